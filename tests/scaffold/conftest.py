"""The demo's run folders and cells as someone else might keep them: under other names, in other places."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "fixtures" / "studies" / "demo"
RUNS = {
    "first": "fewshot-hepg2",
    "second": "fewshot-jurkat",
    "third": "zeroshot-hepg2",
    "first-again": "seed-replicate",
    "fourth": "shared-seed-jurkat",
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Return a folder of the demo's runs under names that tell nothing, beside a folder that is no run."""
    folder = tmp_path_factory.mktemp("models")
    for new, old in RUNS.items():
        shutil.copytree(DEMO / "models" / old, folder / "trained" / new)
    (folder / "notes").mkdir()
    return folder


@pytest.fixture(scope="session")
def renamed(tmp_path_factory):
    """Return the demo's cells with other columns, another mark of controls, counts in X and Ensembl identifiers."""
    data = anndata.read_h5ad(DEMO / "control_cells.h5ad")
    data.obs = pd.DataFrame(data.obs).rename(columns={"gene": "guide", "cell_line": "sample_line", "gem_group": "lane"})
    data.obs["guide"] = data.obs["guide"].astype(str).replace("non-targeting", "NT")
    lines = {"hepg2": "Hep-G2", "jurkat": "Jurkat"}
    data.obs["sample_line"] = data.obs["sample_line"].astype(str).replace(lines)
    data.obs["depth"] = np.linspace(0.5, 1.5, data.n_obs)
    data.layers["lognorm"] = np.asarray(data.obsm.pop("X_hvg"))
    data.X = np.round(np.expm1(data.layers["lognorm"]) * 3).astype(np.float32)
    data.obsm["X_pca"] = np.zeros((data.n_obs, 20), np.float32)
    data.var["symbol"] = data.var_names.astype(str)
    data.var_names = [f"ENSG{number:011d}" for number in range(data.n_vars)]
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    data.write_h5ad(path)
    return path
