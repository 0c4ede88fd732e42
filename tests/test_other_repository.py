"""The plugin in a repository of someone else: her claims, her measure, her study, and nothing of this clone's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd

from fixtures.run_folders import Shape, random_cells, write_run_folder

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "conftest.py": 'pytest_plugins = ["jacprobe.plugin"]\n',
    "pytest.ini": "[pytest]\npythonpath = .\naddopts = --import-mode=importlib\nfilterwarnings = error\n",
    "measures.py": """
from jacprobe.estimate import Estimate

def largest_response(delta, rng):
    size = float(abs(delta).max())
    return Estimate(size, delta.sizes["kd"], (size, size), (size, size))
""",
    "claims/test_mine.py": """
from jacprobe.plugin import claims
from jacprobe.requests import Delta
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import Above

def row(claim_id, finding, limit):
    evidence, measure = {"delta": Delta("mine")}, "measures.largest_response"
    return Claim(claim_id, finding, "largest |dY|", evidence, Above(limit), measure, unit="knockdowns")

CLAIMS = [
    row("mine-model-responds", "The model answers to knockdowns.", 0.01),
    row("mine-model-answers-loudly", "Some gene moves by more than a million.", 1e6),
]

@claims(CLAIMS)
def test_mine(claim, study, rng):
    return claim.measure(**study.evidence(claim), rng=rng)
""",
    "tests/test_unrelated.py": "def test_arithmetic():\n    assert 1 + 1 == 2\n",
    "study/study.toml": """
name = "hers"
[models.mine]
run = "run"
cell_line = "hepg2"
[data]
control_cells = "cells.h5ad"
n_cells = 8
""",
    "study/expected.toml": """
[mine-model-responds]
expected = "SUPPORTED"
reason = "random weights respond"

[mine-model-answers-loudly]
expected = "REFUTED"
reason = "expression is log1p"
""",
}


def test_the_plugin_judges_her_claims_on_her_study(tmp_path: Path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    write_run_folder(tmp_path / "study" / "run", Shape(), rng=np.random.default_rng(0))
    obs = pd.DataFrame({"gene": ["non-targeting"] * 8, "cell_line": ["hepg2"] * 8, "gem_group": ["gem0"] * 8})
    obs.index = pd.Index([f"cell{i}" for i in range(8)])
    data = anndata.AnnData(obs=obs)
    data.obsm["X_hvg"] = random_cells(Shape(), np.random.default_rng(1))
    data.write_h5ad(tmp_path / "study" / "cells.h5ad")

    hers = pytest(tmp_path, "claims", "--study", "study", "--store", "store")
    assert hers.returncode == 0, hers.stdout + hers.stderr
    assert "2 claims: 1 SUPPORTED, 1 REFUTED; 0 unexpected" in hers.stdout
    ledger = (tmp_path / "results" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [line["verdict"] for line in map(json.loads, ledger)] == ["SUPPORTED", "REFUTED"]

    # Her other tests run beside the plugin as if it were not there.
    others = pytest(tmp_path, "tests")
    assert others.returncode == 0
    assert "1 passed" in others.stdout


def pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-p", "no:zarr", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
