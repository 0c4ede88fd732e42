"""The study of the published models, run on folders of the published shape with random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from fixtures.run_folders import PUBLISHED, batch_names, random_cells, write_run_folder

ROOT = Path(__file__).parent.parent
ROLES = ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2")
# Names, encoder, responses of two models: a forward pass of this size takes a tenth of a second, a Jacobian far more.
EVALUATED = (
    "instrument-gene-and-knockdown-names",
    "nb02-encoder-is-a-lookup-table",
    "nb06-most-responses-diverge",
)
NOT_EVALUATED = ("nb03-chek1-in-top-percent", "nb06-cluster-agreement-below-training-seed")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("published"), np.random.default_rng(0)
    for role in ROLES:
        split = "zeroshot" if role.startswith("zeroshot") else "fewshot"
        write_run_folder(folder / role, PUBLISHED, rng=rng, flag=None, layout="2025", split=split)
    n = 320
    obs = pd.DataFrame(
        {
            "gene": ["non-targeting"] * 2 * n,
            "cell_line": ["hepg2"] * n + ["jurkat"] * n,
            "gem_group": batch_names(PUBLISHED)[:4] * (n // 2),
        },
        index=pd.Index([f"cell{i}" for i in range(2 * n)]),
    )
    data = anndata.AnnData(obs=obs)
    data.obsm["X_hvg"] = random_cells(PUBLISHED, rng, 2 * n)
    data.write_h5ad(folder / "cells.h5ad")
    return folder


@pytest.mark.slow
def test_a_quick_look_at_models_of_the_published_shape(given, tmp_path):
    chosen = [word for claim_id in (*EVALUATED, *NOT_EVALUATED) for word in ("--claim", claim_id)]
    models = ["--models", str(given), "--data", str(given / "cells.h5ad"), "--store", str(tmp_path / "store")]
    command = [sys.executable, "-m", "pytest", "claims", "--study", "replogle-nadig", "--quick", "-q", *models]
    run = subprocess.run(
        [*command, "--results", str(tmp_path), *chosen],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert run.returncode == 0, run.stdout[-3000:]  # a quick look expects nothing
    lines = {
        line["id"]: line for line in map(json.loads, (tmp_path / "verdicts.jsonl").read_text("utf-8").splitlines())
    }
    for claim_id in EVALUATED:
        assert lines[claim_id]["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE"), lines[claim_id]["reason"]
    for claim_id in NOT_EVALUATED:
        assert lines[claim_id]["verdict"] == "NOT EVALUATED"
    names = lines["instrument-gene-and-knockdown-names"]
    assert {run["mask"] for run in names["provenance"]["models"].values()} == {"bidirectional"}
    for exact in EVALUATED[:2]:
        assert lines[exact]["verdict"] == "SUPPORTED", lines[exact]["reason"]
    assert any("quick look" in flag for flag in names["flags"])
    assert f"--models {given}" in names["provenance"]["command"]
