"""The study of the published models, run on folders of the published shape with random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from fixtures.run_folders import PUBLISHED, batch_names, random_cells, write_run_folder
from jacprobe.coverage import answerable
from jacprobe.suite import load_rows

ROOT = Path(__file__).parent.parent
FEWSHOT = "fewshot/hepg2"
ROLES = ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2")
# A pass of this size takes a tenth of a second, whole Jacobians of the forty knockdowns of a quick look take minutes:
# of Jacobians it is NB03's one pair, of the other probes one claim each.
EXACT = (
    "instrument-gene-and-knockdown-names",
    "instrument-forward-matches-predict-step",
    "instrument-control-cells-exchangeable",
    "instrument-causal-mask-is-caught",
    "nb02-encoder-is-a-lookup-table",
)
EVALUATED = (
    *EXACT,
    "nb01-lines-differ-more-where-features-are-line-biased",
    "nb03-chek1-in-top-percent",
    "nb04-no-gene-above-circuit-threshold",
    "nb06-most-responses-diverge",
)
NOT_EVALUATED = ("nb02-splicing-coherent", "nb06-cluster-agreement-below-training-seed")
SHAPE = replace(PUBLISHED, first=("CHEK1", "HSPA5", "ARFGEF2"))  # the first knockdown is always looked at


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("published"), np.random.default_rng(0)
    for role in ROLES:
        split = "zeroshot" if role.startswith("zeroshot") else "fewshot"
        write_run_folder(folder / role, SHAPE, rng=rng, flag=None, layout="2025", split=split)
    n = 320
    obs = pd.DataFrame(
        {
            "gene": ["non-targeting"] * 2 * n,
            "cell_line": ["hepg2"] * n + ["jurkat"] * n,
            "gem_group": batch_names(SHAPE)[:4] * (n // 2),
        },
        index=pd.Index([f"cell{i}" for i in range(2 * n)]),
    )
    data = anndata.AnnData(obs=obs)
    data.obsm["X_hvg"] = random_cells(SHAPE, rng, 2 * n)
    data.write_h5ad(folder / "cells.h5ad")
    return folder


def look(tmp_path, given, *ids):
    """Return what a quick look at claims prints, and its ledger lines by id."""
    chosen = [word for claim_id in ids for word in ("--claim", claim_id)]
    command = [sys.executable, "-m", "pytest", "claims", "--study", "replogle-nadig", "--quick", *given]
    run = subprocess.run(
        [*command, "--store", str(tmp_path / "store"), "--results", str(tmp_path), *chosen],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert run.returncode == 0, run.stdout[-3000:]  # a quick look expects nothing
    written = (tmp_path / "verdicts.jsonl").read_text("utf-8").splitlines()
    return run.stdout, {line["id"]: line for line in map(json.loads, written)}


@pytest.mark.slow
def test_a_quick_look_at_models_of_the_published_shape(given, tmp_path):
    models = ["--models", str(given), "--data", str(given / "cells.h5ad")]
    _, lines = look(tmp_path, models, *EVALUATED, *NOT_EVALUATED)
    for claim_id in EVALUATED:
        assert lines[claim_id]["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE"), lines[claim_id]["reason"]
    for claim_id in NOT_EVALUATED:
        assert lines[claim_id]["verdict"] == "NOT EVALUATED"
    # No flag of the attention in the checkpoint, maps as plain pickles: read as the models of 2025 were trained.
    names = lines["instrument-gene-and-knockdown-names"]
    assert {run["mask"] for run in names["provenance"]["models"].values()} == {"bidirectional"}
    for exact in EXACT:
        assert lines[exact]["verdict"] == "SUPPORTED", lines[exact]["reason"]
    assert any("quick look" in flag for flag in names["flags"])
    assert f"--models {given}" in names["provenance"]["command"]


@pytest.mark.slow
def test_one_model_alone_says_how_many_claims_it_can_answer(given, tmp_path):
    models = ["--model", f"{FEWSHOT}={given / FEWSHOT}"]
    shown, lines = look(tmp_path, models, "nb02-encoder-is-a-lookup-table", "nb06-most-responses-diverge")
    rows = load_rows(ROOT / "claims")
    assert f"claims that need no other model: {len(answerable(rows, [FEWSHOT]))} of {len(rows)} (" in shown
    assert lines["nb02-encoder-is-a-lookup-table"]["verdict"] == "SUPPORTED"
    other = lines["nb06-most-responses-diverge"]
    assert other["verdict"] == "NOT EVALUATED"
    assert "no model for the role zeroshot/hepg2" in other["reason"] or "no control cells" in other["reason"]
