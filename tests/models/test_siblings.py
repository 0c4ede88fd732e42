"""arc-state's sibling models, from tiny run folders made with arc-state's own classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, gene_names, hyperparameters, perturbation_names, random_cells, write_run_folder
from jacprobe.errors import CapabilityMissingError, RunFolderError
from jacprobe.judging import Judging
from jacprobe.models.adapters import adapter
from jacprobe.models.doctor import doctor
from jacprobe.models.protocol import Castable, DifferentiableInPert, HasLayers, HasModule, LinearPertEncoder, Rectified
from jacprobe.models.state import built, model_class
from jacprobe.opening import open_study
from jacprobe.probes.response import delta
from jacprobe.probes.routing import jacobian_wrt_pert
from jacprobe.requests import Delta, Features, Jacobian, PertEmbedding
from jacprobe.testing import check_model
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import Above
from jacprobe.verdicts.judge import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from jacprobe.requests import Request

SHAPE = Shape(batches=3)
CLASSES = {
    "embedsum": ("embed_sum", "EmbedSumPerturbationModel"),
    "pseudobulk": ("pseudobulk", "PseudobulkPerturbationModel"),
    "perturb_mean": ("perturb_mean", "PerturbMeanPerturbationModel"),
    "context_mean": ("context_mean", "ContextMeanPerturbationModel"),
    "decoder_only": ("decoder_only", "DecoderOnlyPerturbationModel"),
}


def write(folder: Path, name: str, **changes: Any) -> Path:
    """Write a run folder as arc-state's training leaves one of this class, with random weights or tables."""
    write_run_folder(folder, SHAPE, rng=np.random.default_rng(0))
    given = hyperparameters(SHAPE) | {"softplus": True, "lr": 1e-3, "loss_fn": "mse", "n_encoder_layers": 2} | changes
    given["transformer_backbone_kwargs"] |= {"n_positions": SHAPE.cell_set_len}
    if name == "embedsum":
        given["batch_encoder"] = False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module: Any = built(model_class(*CLASSES[name]), given)
    rng = np.random.default_rng(2)
    tables = [torch.from_numpy(rng.normal(0, 1, SHAPE.genes).astype(np.float32)) for _ in range(SHAPE.perturbations)]
    module.global_basal = tables[0]
    module.pert_mean_offsets = dict(zip(perturbation_names(SHAPE), [*tables[1:], 0 * tables[0]], strict=True))
    module.celltype_pert_means = {"hepg2": tables[1].abs(), "k562": tables[2].abs()}
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": given}
    module.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    (folder / "config.yaml").write_text(
        f"data: {{kwargs: {{toml_config_path: split.toml}}}}\nmodel: {{name: {name}}}\n", encoding="utf-8"
    )
    return folder


def load(run: Path) -> Any:
    return adapter("state").loaded(run, "best", "auto", "cpu")


def cells() -> np.ndarray:
    return random_cells(SHAPE, np.random.default_rng(3))


@pytest.mark.parametrize("name", ["embedsum", "pseudobulk", "perturb_mean", "context_mean"])
def test_what_predicts_from_control_cells_conforms_and_is_what_its_folder_says(tmp_path: Path, name: str):
    run = write(tmp_path / "run", name)
    model, identity = load(run), adapter("state").identify(run, "best")
    check_model(model, cells())
    for one in ("genes", "perturbations", "batches", "split", "weights_sha256", "cell_set_len"):
        assert getattr(model, one) == getattr(identity, one), one
    assert dict(identity.provenance) == dict(model.provenance)
    assert model.genes == tuple(gene_names(SHAPE))
    assert model.provenance["mask"] == "none"
    assert model.provenance["model"] == CLASSES[name][1]
    assert identity.latent_dim == getattr(model, "latent_dim", 0)


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("embedsum", {Castable, DifferentiableInPert, HasModule, LinearPertEncoder}),
        ("pseudobulk", {Castable, DifferentiableInPert, HasModule, LinearPertEncoder, Rectified}),
        ("perturb_mean", set()),
        ("context_mean", set()),
    ],
)
def test_each_offers_what_its_class_allows(tmp_path: Path, name: str, offered: set[type]):
    model = load(write(tmp_path, name))
    every = {Castable, DifferentiableInPert, HasLayers, HasModule, LinearPertEncoder, Rectified}
    assert {one for one in every if isinstance(model, one)} == offered


@pytest.mark.parametrize("name", ["perturb_mean", "context_mean"])
def test_a_looked_up_prediction_has_no_gradient_and_says_so(tmp_path: Path, name: str):
    model = load(write(tmp_path, name))
    with pytest.raises(CapabilityMissingError, match="LookedUp, which is not differentiable in pert; wanted a model"):
        jacobian_wrt_pert(model, cells(), ["GENE0"])


def test_perturb_mean_answers_with_the_offset_of_each_knockdown(tmp_path: Path):
    run = write(tmp_path, "perturb_mean")
    stored = torch.load(run / "checkpoints" / "best.ckpt", weights_only=False)["pert_mean_offsets"]
    response = delta(load(run), cells(), ["GENE0", "GENE4"])
    for name in ("GENE0", "GENE4"):
        np.testing.assert_allclose(response.sel(kd=name), stored[name], atol=1e-5)


def test_context_mean_answers_every_knockdown_alike(tmp_path: Path):
    response = delta(load(write(tmp_path, "context_mean")), cells(), ["GENE0", "GENE4"])
    np.testing.assert_array_equal(response[0], response[1])


def test_context_mean_refuses_a_line_that_it_never_saw(tmp_path: Path):
    run = write(tmp_path, "context_mean")
    split = run / "split.toml"
    split.write_text(split.read_text().replace("hepg2", "jurkat"))
    with pytest.raises(CapabilityMissingError, match="context_mean has no mean for jurkat; wanted one of hepg2, k562"):
        load(run)


def test_decoder_only_is_identified_but_predicts_nothing(tmp_path: Path):
    run = write(tmp_path, "decoder_only")
    assert adapter("state").identify(run, "best").genes == tuple(gene_names(SHAPE))
    with pytest.raises(CapabilityMissingError, match="decoder_only model: it decodes measured perturbed cells"):
        load(run)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("embedsum", {"embed_key": "X_uce"}, "hyperparameter embed_key = 'X_uce'; wanted 'X_hvg'"),
        ("pseudobulk", {"softplus": False}, "hyperparameter softplus = False; wanted True"),
    ],
)
def test_options_that_are_not_covered_are_refused(tmp_path: Path, name: str, change: dict[str, Any], message: str):
    with pytest.raises(RunFolderError, match=message):
        load(write(tmp_path, name, **change))


def test_a_causal_build_of_a_class_without_attention_is_a_missing_capability(tmp_path: Path):
    with pytest.raises(CapabilityMissingError, match="a causal build of embed_sum"):
        adapter("state").loaded(write(tmp_path, "embedsum"), "best", "causal", "cpu")


STUDY = """
name = "siblings"
[models."fewshot/hepg2"]
run = "run"
cell_line = "hepg2"
[data]
control_cells = "cells.h5ad"
n_cells = 8
"""


@pytest.mark.parametrize(
    ("name", "request_", "reason"),
    [
        ("perturb_mean", Jacobian("fewshot/hepg2"), "run, which has no perturbation gradient; wanted a model that is"),
        ("context_mean", PertEmbedding("fewshot/hepg2"), "LookedUp, whose perturbations enter by no vector"),
        ("embedsum", Features("fewshot/hepg2"), "EmbedSum, whose layers cannot be read; wanted n_layers and activat"),
        ("decoder_only", Delta("fewshot/hepg2"), "it decodes measured perturbed cells (pert_cell_emb) and predicts"),
    ],
)
def test_a_claim_that_needs_what_a_model_lacks_is_not_evaluated_and_says_what(
    tmp_path: Path, name: str, request_: Request, reason: str
):
    import anndata
    import pandas as pd

    write(tmp_path / "run", name)
    (tmp_path / "study.toml").write_text(STUDY)
    obs = pd.DataFrame({"gene": ["non-targeting"] * 8, "cell_line": ["hepg2"] * 8, "gem_group": ["gem0"] * 8})
    obs.index = pd.Index([f"cell{i}" for i in range(8)])
    data = anndata.AnnData(obs=obs)
    data.obsm["X_hvg"] = cells()
    data.write_h5ad(tmp_path / "cells.h5ad")
    claim = Claim("nb01-a", "A finding.", "a mean", {"x": request_}, Above(0, sesoi=0.1), "stats.never_reached")
    judging = Judging(open_study(tmp_path, device="cpu", store=tmp_path / "store"), {claim.id: claim})
    judgement, _ = judging.judge(claim)
    assert judgement.verdict is Verdict.NOT_EVALUATED
    assert reason in judgement.reason


@pytest.mark.parametrize("name", list(CLASSES))
def test_doctor_finds_no_fault_but_that_of_a_class_that_predicts_nothing(tmp_path: Path, name: str):
    run = write(tmp_path / "run", name)
    report = doctor(run)
    faults = [fault.found for fault in report.faults]
    assert len(faults) == (name == "decoder_only"), faults
    assert all("predicts nothing from control cells" in fault for fault in faults)
    assert adapter("state").identify(run, "best").weights_sha256 in report.text()
    assert "a sibling of State's ST model" in report.text()
