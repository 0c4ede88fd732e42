"""Adapters: kinds of models that packages install, found by name."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from fixtures import linear_model
from fixtures.run_folders import Shape, write_run_folder
from jacprobe.errors import CapabilityMissingError, InputError, StudyError, UnknownNameError
from jacprobe.kept_chunks import adapter_code
from jacprobe.models.adapters import GROUP, adapter, code_version, installed
from jacprobe.models.identity import Identity
from jacprobe.models.state import load_run
from jacprobe.opening import open_study
from jacprobe.plan import sizes
from tests.packages import offer_adapters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUDY = """
name = "mine"
[models."fewshot/hepg2"]
run = "run"
cell_line = "hepg2"
{adapter}
[data]
control_cells = "cells.h5ad"
n_cells = 4
"""
LINEAR = """
from fixtures.linear_model import build
from jacprobe.models.adapters import Adapter
from jacprobe.models.identity import Identity

def load(run, checkpoint, mask, device):
    return build(seed=int((run / checkpoint).read_text()))

ADAPTER = Adapter(load, lambda run, checkpoint: Identity.of(load(run, checkpoint, "auto", "cpu")))
NO_ADAPTER = load
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that installs adapters as a package would: its module, and its entry points' metadata."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    adapter.cache_clear()

    def offer(package: str = "linear", **points: str) -> None:
        (tmp_path / "site" / "linear_adapter.py").write_text(LINEAR)
        offer_adapters(tmp_path / "site", package, points)

    return offer


@pytest.fixture
def study(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a study whose one model has an adapter, or states none."""

    def write(given: str = "") -> Path:
        folder = tmp_path / "study"
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "best").write_text("3")
        (folder / "cells.h5ad").touch()
        (folder / "study.toml").write_text(STUDY.format(adapter=given))
        return folder

    return write


def test_state_is_installed_through_the_entry_point_like_any_other():
    (point,) = entry_points(group=GROUP, name="state")
    assert installed()["state"] == point
    assert adapter("state") is point.load()


def test_state_is_the_adapter_of_a_model_that_states_none(study: Any):
    folder = study()
    write_run_folder(folder / "run", Shape(), rng=np.random.default_rng(0))
    opened = open_study(folder, device="cpu")
    assert opened.models["fewshot/hepg2"].adapter == "state"
    assert opened.model("fewshot/hepg2").weights_sha256 == opened.identity("fewshot/hepg2").weights_sha256


def test_a_study_takes_its_models_through_the_adapter_it_states(install: Any, study: Any):
    install(linear="linear_adapter:ADAPTER")
    opened = open_study(study('adapter = "linear"'), device="cpu")
    model, identity = opened.model("fewshot/hepg2"), opened.identity("fewshot/hepg2")
    assert type(model).__name__ == "LinearModel"
    assert model.weights_sha256 == identity.weights_sha256 == linear_model.build(seed=3).weights_sha256
    assert identity.provenance["mask"] == "none"
    assert (identity.latent_dim, identity.encoded_dim) == (6, 9)


def test_the_work_of_another_kind_of_model_is_reckoned_by_its_head(install: Any, study: Any):
    install(linear="linear_adapter:ADAPTER")
    found = sizes(open_study(study('adapter = "linear"'), device="cpu"), "fewshot/hepg2")
    assert (found.cells, found.genes, found.width, found.layers) == (4, 9, 6, 0)
    assert found.forward_gflop == pytest.approx(2e-9 * 4 * 6 * 9)
    assert found.jacobian_gflop == pytest.approx(2e-9 * 4 * 9 * 6**2)


@pytest.mark.parametrize("given", ['adapter = "lineer"', "adapter = 3"])
def test_an_unknown_adapter_is_refused_with_the_installed_ones(install: Any, study: Any, given: str):
    install(linear="linear_adapter:ADAPTER")
    with pytest.raises(
        UnknownNameError, match=r"study.toml: unknown adapter .*; wanted one of .*: linear, state\. Inst"
    ):
        open_study(study(given))


def test_a_mask_that_an_adapter_does_not_offer_is_a_missing_capability(install: Any, study: Any):
    install(linear="linear_adapter:ADAPTER")
    opened = open_study(study('adapter = "linear"'), device="cpu")
    with pytest.raises(CapabilityMissingError, match="a causal attention mask, which run cannot be built with"):
        opened.model("fewshot/hepg2", mask="causal")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("linear_adapter:NO_ADAPTER", "linear_adapter:NO_ADAPTER is a function; wanted a jacprobe.models.adapters.Ad"),
        ("no_such_module:ADAPTER", "adapter linear: cannot be imported .ModuleNotFoundError: No module named"),
    ],
)
def test_what_is_no_adapter_is_said_of_which_entry_point(install: Any, study: Any, value: str, message: str):
    install(linear=value)
    opened = open_study(study('adapter = "linear"'), device="cpu")
    with pytest.raises(StudyError, match=message):
        opened.identity("fewshot/hepg2")


def test_one_name_for_two_adapters_is_refused(install: Any):
    install("one", linear="linear_adapter:ADAPTER")
    install("two", linear="linear_adapter:NO_ADAPTER")
    with pytest.raises(InputError, match=r"adapter 'linear' offered twice, as linear_adapter:.* and linear_adapter:"):
        installed()


def test_the_identity_of_a_model_is_what_is_read_from_its_folder(tmp_path: Path):
    run = write_run_folder(tmp_path, Shape(), rng=np.random.default_rng(0))
    read, of_model = adapter("state").identify(run, "best"), Identity.of(load_run(run, device="cpu"))
    for name in ("genes", "perturbations", "control", "batches", "cell_set_len", "split", "weights_sha256"):
        assert getattr(read, name) == getattr(of_model, name)
    assert (read.latent_dim, read.n_layers) == (of_model.latent_dim, of_model.n_layers)
    assert read.provenance == of_model.provenance
    assert of_model.provenance["torch"] == torch.__version__


def test_the_code_of_an_adapter_in_a_clone_is_told_by_its_files(install, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "linear_adapter", raising=False)
    install(linear="linear_adapter:ADAPTER")
    assert code_version("state") == ""
    before = code_version("linear")
    assert before == code_version("linear") != ""
    with (tmp_path / "site" / "linear_adapter.py").open("a") as file:
        file.write("changed = True\n")
    assert code_version("linear") != before


def test_a_key_names_the_code_of_anothers_adapter_alone(install, study):
    install(linear="linear_adapter:ADAPTER")
    opened = open_study(study('adapter = "linear"'))
    assert adapter_code(opened, "fewshot/hepg2") == {"adapter": code_version("linear")}
    assert adapter_code(open_study("demo"), "fewshot/hepg2") == {}
