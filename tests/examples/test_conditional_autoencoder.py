"""The worked example of another kind of model: trained, checked and judged as its README says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from jacprobe.kept_chunks import key
from jacprobe.kept_whole import whole_key
from jacprobe.models.adapters import GROUP, adapter, code_version
from jacprobe.opening import open_study
from jacprobe.requests import Delta, Norm
from jacprobe.testing import check_model
from tests.packages import offer_adapters

EXAMPLE = Path(__file__).parents[2] / "examples" / "conditional_autoencoder"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the example, installed and trained in a process of its own."""
    folder = tmp_path_factory.mktemp("example") / "repository"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("run", "*.h5ad", "results", "__pycache__"))
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offer_adapters(folder / "site", "conditional_autoencoder", project["entry-points"][GROUP])
    trained = run(folder, "-m", "conditional_autoencoder.train")
    assert trained.returncode == 0, trained.stderr
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(folder / "site")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_its_claims_come_out_as_planted_in_its_own_repository(example: Path):
    judged = run(example, "-m", "pytest", "claims", "--study", "study", "--store", str(example / "store"))
    assert judged.returncode == 0, judged.stdout
    ledger = (example / "results" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    lines = {line["id"]: line for line in map(json.loads, ledger)}
    assert {claim: line["verdict"] for claim, line in lines.items()} == {
        "cae-own-gene-falls": "SUPPORTED",
        "cae-growth-knockdowns-respond-alike": "SUPPORTED",
        "cae-jacobians-are-slopes": "SUPPORTED",
        "cae-layers-agree": "NOT EVALUATED",
    }
    assert (
        "Adapted, whose layers cannot be read; wanted n_layers and activations" in lines["cae-layers-agree"]["reason"]
    )


def test_its_adapter_conforms_and_its_training_is_deterministic(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(example)
    monkeypatch.syspath_prepend(example / "site")
    adapter.cache_clear()
    study = open_study(example / "study", device="cpu", store=tmp_path / "store")
    model = study.model("autoencoder")
    check_model(model, study.control_cells("autoencoder"))
    code = code_version("conditional-autoencoder")
    assert key(Delta("autoencoder"), study)["adapter"] == code
    assert code in str(whole_key(Norm(Delta("autoencoder")), study)["request"])
    training: Any = import_module("conditional_autoencoder.train")
    training.main(tmp_path)
    again = (tmp_path / "run" / "best.safetensors").read_bytes()
    assert again == (example / "study" / "run" / "best.safetensors").read_bytes()
