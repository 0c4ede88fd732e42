from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from fixtures.run_folders import PUBLISHED, Shape, perturbation_names, random_cells, write_run_folder
from jacprobe.errors import InputError, JacprobeError, RunFolderError
from jacprobe.models.devices import require_device
from jacprobe.models.state import load_run
from jacprobe.models.state_identity import identify
from jacprobe.models.weights import weights_sha256
from jacprobe.probes.response import predict

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = Shape()
CHECKPOINT = "checkpoints/best.ckpt"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run_folder(tmp_path / "run", SHAPE, rng=np.random.default_rng(0))


def edit(
    run: Path, state: dict[str, Any] | None = None, backbone: dict[str, Any] | None = None, **changes: Any
) -> None:
    """Change weights (None takes one out), hyperparameters or those of the backbone in the checkpoint."""
    content = torch.load(run / CHECKPOINT, weights_only=True)
    weights = content["state_dict"] | (state or {})
    content["state_dict"] = {name: value for name, value in weights.items() if value is not None}
    content["hyper_parameters"] |= changes
    content["hyper_parameters"]["transformer_backbone_kwargs"] |= backbone or {}
    torch.save(content, run / CHECKPOINT)


def order_error(run: Path, **options: Any) -> float:
    """Return max |P Y(X) - Y(P X)| / max |Y| for one reversal of the cells."""
    model = load_run(run, device="cpu", **options)
    x = torch.from_numpy(random_cells(SHAPE, np.random.default_rng(1)))[None]
    kd, batch = torch.tensor([2]), torch.zeros(1, len(x[0]), dtype=torch.long)
    y, reversed_y = model.predict_step(x, kd, batch), model.predict_step(x.flip(1), kd, batch)
    return float((y.flip(1) - reversed_y).abs().max() / y.abs().max())


@pytest.mark.parametrize(
    ("flag", "mask", "bidirectional"),
    [
        (None, "auto", True),
        (True, "auto", True),
        (False, "auto", False),
        (None, "causal", False),
        (True, "causal", False),
        (False, "bidirectional", True),
    ],
)
def test_the_mask_follows_the_flag_unless_asked_for_by_name(
    tmp_path: Path, flag: bool | None, mask: Any, bidirectional: bool
):
    run = write_run_folder(tmp_path, SHAPE, rng=np.random.default_rng(0), flag=flag)
    error = order_error(run, mask=mask)
    assert error < 1e-5 if bidirectional else error > 1e-2
    provenance = load_run(run, device="cpu", mask=mask).provenance
    assert provenance["mask"] == ("bidirectional" if bidirectional else "causal")
    assert ("2025" in provenance["mask_rule"]) == (flag is None and mask == "auto")


def test_a_mask_that_versions_have_made_another_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch):
    # What arc-state 0.9.12 comes to on transformers 4.53 and later: bidirectional by name, causal in force.
    monkeypatch.setattr("state.tx.models.utils.LlamaBidirectionalModel", _plain_llama())
    with pytest.raises(
        JacprobeError, match=r"attention in force is causal with transformers 4\.\S+; wanted bidirectional"
    ):
        load_run(run, device="cpu")


def _plain_llama() -> type:
    from transformers import LlamaModel

    return LlamaModel


def test_newer_transformers_are_refused_with_the_way_out(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jacprobe.models.state.version", lambda _name: "5.0.1")
    with pytest.raises(JacprobeError, match=r"transformers 5\.0\.1.*pip install 'transformers<5'"):
        load_run(run, device="cpu")


def test_a_missing_arc_state_says_how_to_install_it(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "state.tx.models.state_transition", None)
    with pytest.raises(JacprobeError, match=r"pip install 'jacprobe\[state\]'.*non-commercial"):
        load_run(run, device="cpu")


def test_loading_prints_nothing_and_leaves_the_random_state_alone(run: Path, capfd: pytest.CaptureFixture[str]):
    before = torch.get_rng_state()
    model = load_run(run, device="cpu")
    model.fresh_module(seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_weights_are_those_of_the_file_frozen_and_in_evaluation_mode(run: Path):
    model = load_run(run, device="cpu")
    state = torch.load(run / CHECKPOINT, weights_only=True)["state_dict"]
    assert model.weights_sha256 == weights_sha256(state) == model.provenance["weights_sha256"]
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_provenance_has_strings_only_and_no_absolute_path(run: Path):
    provenance = load_run(run, device="cpu").provenance
    assert all(
        isinstance(value, str) and "/" not in value.removeprefix("checkpoints/") for value in provenance.values()
    )
    assert {"run", "checkpoint", "split", "arc-state", "transformers", "torch"} <= provenance.keys()


def test_a_decoder_to_counts_changes_neither_prediction_nor_hash(run: Path):
    before = load_run(run, device="cpu")
    edit(
        run,
        state={"gene_decoder.decoder.0.weight": torch.ones(4, 30)},
        gene_decoder_bool=True,
        decoder_cfg={"latent_dim": 30, "gene_dim": 30, "hidden_dims": [4]},
    )
    assert load_run(run, device="cpu").weights_sha256 == before.weights_sha256


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("confidence_token", True),
        ("use_batch_token", True),
        ("output_space", "all"),
        ("embed_key", "X_state"),
        ("transformer_backbone_key", "GPT2"),
        ("mask_attn", True),
        ("lora", {"enable": True}),
    ],
)
def test_what_the_adapter_does_not_cover_is_refused_by_name(run: Path, option: str, value: Any):
    edit(run, **{option: value})
    with pytest.raises(RunFolderError, match=rf"hyperparameter {option}(\.enable)? = "):
        load_run(run, device="cpu")


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"project_out.0.bias": None}, r"lacks project_out\.0\.bias"),
        ({"stranger": torch.ones(1)}, "has stranger beyond the model"),
        ({"project_out.0.bias": torch.ones(31)}, r"project_out\.0\.bias is \(31,\), the hyperparameters say \(30,\)"),
        ({"project_out.0.bias": torch.full((30,), torch.nan)}, r"not finite in project_out\.0\.bias"),
    ],
)
def test_weights_that_do_not_fit_are_named(run: Path, state: dict[str, Any], found: str):
    edit(run, state=state)
    with pytest.raises(RunFolderError, match=rf"best\.ckpt: .*{found}"):
        load_run(run, device="cpu")


def test_hyperparameters_that_claim_a_giant_are_refused_without_building_it(run: Path):
    edit(run, backbone={"intermediate_size": 10**9})
    with pytest.raises(RunFolderError, match=r"hyperparameter intermediate_size = 1e\+09; wanted up to"):
        load_run(run, device="cpu")
    edit(run, backbone={"intermediate_size": 24, "num_hidden_layers": 1000})
    with pytest.raises(RunFolderError, match="num_hidden_layers = 1000; wanted 1 to 512"):
        load_run(run, device="cpu")


def test_hyperparameters_that_build_nothing_are_refused(run: Path):
    edit(run, loss="no such loss")
    with pytest.raises(RunFolderError, match="arc-state cannot build the model"):
        load_run(run, device="cpu")


@pytest.mark.parametrize(
    "options", [{"mask": "diagonal"}, {"dtype": "bfloat16"}, {"dtype": torch.float16}, {"device": "abacus"}]
)
def test_arguments_that_mean_nothing_are_refused(run: Path, options: dict[str, Any]):
    with pytest.raises(InputError, match=next(iter(options))):
        load_run(run, **options)


def test_a_device_is_there_or_refused():
    assert require_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match=r"device cuda:99: .*Use device='cpu'"):
        require_device("cuda:99")


def test_a_model_without_batches_has_one(tmp_path: Path):
    shape = Shape(batches=0)
    model = load_run(write_run_folder(tmp_path, shape, rng=np.random.default_rng(0)), device="cpu")
    assert model.batches == ("none",)
    assert predict(model, random_cells(shape, np.random.default_rng(1))).shape == (12, 30)


def test_the_published_shape_loads_from_a_flagless_folder_of_2025_and_predicts(tmp_path: Path):
    rng = np.random.default_rng(0)
    run = write_run_folder(tmp_path, PUBLISHED, rng=rng, flag=None, layout="2025", split="zeroshot")
    model = load_run(run, device="cpu")
    assert (len(model.perturbations), len(model.genes), len(model.batches)) == (2024, 2000, 56)
    assert (model.latent_dim, model.n_layers, model.cell_set_len) == (328, 8, 64)
    assert model.provenance["mask"] == "bidirectional"
    assert set(model.split.values()) == {"held out"}
    kds = perturbation_names(PUBLISHED)[:3]
    y = predict(model, random_cells(PUBLISHED, rng), kds)
    assert y.dims == ("kd", "gene")
    assert y.shape == (3, 2000)
    assert float(y.std("kd").mean()) > 0.01


def test_a_run_is_identified_without_building_the_model_as_the_model_tells_itself(run: Path):
    identity, model = identify(run), load_run(run, device="cpu")
    assert dict(identity.provenance) == dict(model.provenance)
    names = ("genes", "perturbations", "control", "batches", "cell_set_len", "latent_dim", "split", "weights_sha256")
    for name in names:
        assert getattr(identity, name) == getattr(model, name)
