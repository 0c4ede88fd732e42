"""check_model: sound models of every kind pass, and each kind of fault is found by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, random_cells, write_run_folder
from fixtures.worlds.planted import world
from jacprobe.errors import ConformanceError, InputError
from jacprobe.models.protocol import DifferentiableInPert
from jacprobe.models.state import load_run
from jacprobe.opening import open_study
from jacprobe.testing import check_model
from tests import faulty_models as faulty
from tests.faulty_models import OnlyPredicts, Sound, Trained

if TYPE_CHECKING:
    from fixtures.worlds.closed_form import ClosedForm

CELLS = np.random.default_rng(1).uniform(0.5, 3, (8, 9))


@pytest.mark.parametrize("role", ["fewshot/hepg2", "zeroshot/hepg2"])
def test_the_demos_state_models_pass(role: str):
    study = open_study("demo", device="cpu")
    check_model(study.model(role), study.control_cells(role, n_cells=8))


@pytest.mark.parametrize("mask", ["bidirectional", "causal"])
def test_a_random_state_model_passes_under_either_mask(tmp_path, mask: Any):
    run = write_run_folder(tmp_path, Shape(), rng=np.random.default_rng(0))
    check_model(load_run(run, mask=mask, device="cpu"), random_cells(Shape(), np.random.default_rng(1)))


@pytest.fixture(scope="module")
def closed_form() -> ClosedForm:
    return world().model("fewshot/hepg2")


def test_the_worlds_closed_forms_pass(closed_form: ClosedForm):
    check_model(closed_form, world().control_cells("fewshot/hepg2"))
    check_model(replace(closed_form, ordered=True), world().control_cells("fewshot/hepg2"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("dropped_residual", "forward is another function than predict_step"),
        ("blocked_gradient", "dY/dpert differs from central differences by 5.0e-01"),
        ("restless", "predict_step gives other bits at the same call"),
    ],
)
def test_the_worlds_faults_are_found(closed_form: ClosedForm, fault: str, message: str):
    with pytest.raises(ConformanceError, match=message):
        check_model(replace(closed_form, **{fault: True}), world().control_cells("fewshot/hepg2"))


def test_the_model_from_which_the_faulty_ones_are_made_passes():
    check_model(Sound(), CELLS)


def test_a_model_that_only_predicts_passes():
    assert not isinstance(OnlyPredicts(), DifferentiableInPert)
    check_model(OnlyPredicts(), CELLS)


KDS = ("KD0", "KD1", "KD2", "KD3")
FAULTS = [
    (faulty.WithoutSplit(), "no attribute split; wanted a Mapping"),
    (Sound(genes=[f"G{i}" for i in range(9)]), "genes is a list; wanted a tuple"),
    (faulty.Halved(), "latent_dim without encode_cells, pert_vectors, forward; wanted all or none"),
    (Sound(genes=("G0",) * 2 + tuple(f"G{i}" for i in range(2, 9))), "genes named twice: G0"),
    (Sound(control="untreated"), "control 'untreated'; wanted one of the perturbations"),
    (Sound(split=dict.fromkeys(KDS[1:], "trained")), "split tags differ from the knockdowns in KD0"),
    (Sound(split=dict.fromkeys(KDS, "seen")), "split tags seen; wanted 'trained' or 'held out' or 'unknown'"),
    (Sound(weights_sha256="abc"), "weights_sha256 'abc'; wanted 64 hexadecimal digits. Take jacprobe"),
    (Sound(provenance={}), "provenance without mask"),
    (Sound(provenance={"mask": "none", "run": "/data/run"}), "provenance run = '/data/run'; wanted no absolute path"),
    (faulty.Recording(), "predict_step that records gradients; wanted none. Switch requires_grad off"),
    (faulty.Flat(), r"predict_step gives \(16, 9\); wanted \[B, S, G\] = \(2, 8, 9\)"),
    (faulty.Narrow(), "predict_step gives torch.float32; wanted torch.float64, the model's dtype"),
    (faulty.Infinite(), "predictions that are not finite"),
    (faulty.Elsewhere(), "predict_step gives meta; wanted cpu, the model's device"),
    (faulty.DropsOut(), "predict_step gives other bits at the same call; wanted the same bits. Call eval"),
    (faulty.Draws(), "predicting draws from torch's global random state"),
    (faulty.MixesSets(), "a set of cells is predicted otherwise beside other sets"),
    (faulty.FirstForAll(), "the control 'non-targeting' beside knockdowns is not the baseline that it is alone"),
    (faulty.Unmoved(), "none of 4 knockdowns changes the prediction"),
    (faulty.ReadsInOrder(), "the order of the cells changes the prediction"),
    (faulty.OneSize(), r"7 cells give RuntimeError: shape .*Let any_set_len be False"),
    (faulty.Wide(), r"pert_vectors gives \(2, 12\); wanted \(2, 6\), D = latent_dim"),
    (faulty.WithoutResidual(), "forward is another function than predict_step"),
    (faulty.WithoutGraph(), "no gradient reaches the cells; wanted one. Take no_grad, detach"),
    (faulty.HalfSlope(), r"dY/dpert differs from central differences by 5.0e-01"),
    (faulty.NoSlope(), "not differentiable in pert: its prediction moves, its derivative is 0"),
    (faulty.Shifted(), r"relu\(preactivation\) is not what forward gives"),
    (faulty.Transposed(), r"pert_linear gives \(5, 6\) and \(6,\); wanted \[D, 5\] and \[D\]"),
    (faulty.Layered(), r"activations after layer 1 are \(1, 8, 9\); wanted \(1, 8, 6\)"),
    (faulty.Renamed(), r"to\(\) changes weights_sha256; wanted that of the weights as loaded"),
]


@pytest.mark.parametrize(("model", "message"), FAULTS, ids=lambda value: type(value).__name__)
def test_a_fault_is_found_and_named(model: Any, message: str):
    with pytest.raises(ConformanceError, match=message):
        check_model(model, CELLS)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Trained(), "module in training mode; wanted evaluation mode. Call module.eval()"),
        (Trained().eval(), "gradients left on for weight; wanted none"),
        (Trained().eval().requires_grad_(False), "other weights under the same hash"),
    ],
)
def test_a_module_is_frozen_and_its_weights_have_a_hash_of_their_own(module: torch.nn.Module, message: str):
    def same(*_: object) -> Any:
        return model

    model = Sound(module=module, with_module=same, fresh_module=lambda _: module)
    with pytest.raises(ConformanceError, match=message):
        check_model(model, CELLS)


def test_cells_that_do_not_fit_are_no_fault_of_the_model():
    with pytest.raises(InputError, match="control cells of shape"):
        check_model(Sound(), CELLS[:, :5])
