"""Simulate a small screen, train the autoencoder on it, and write what the study needs: seconds on one core.

The planted truth: 24 knockdowns in four pathways of six. A knockdown takes 1.5 off its own gene and moves the genes of
its pathway's program; "growth" knockdowns share one program, those of the other pathways have one each.
"""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch.nn.functional import mse_loss, one_hot

from conditional_autoencoder.model import ConditionalAutoencoder

STUDY = Path(__file__).parent.parent / "study"
CONTROL, SEED, CELLS, STEPS = "non-targeting", 7, 64, 600
GENES = [f"G{i:02d}" for i in range(48)]
KNOCKDOWNS = GENES[:24]
GROWTH = KNOCKDOWNS[:6]


def effects(rng: np.random.Generator) -> np.ndarray:
    """Return the planted change of every gene under every condition, the control last: [25, 48]."""
    programs = rng.normal(0, 0.6, (len(KNOCKDOWNS), len(GENES)))
    programs[: len(GROWTH)] = programs[0]
    programs[:, : len(KNOCKDOWNS)] = 0
    programs[:, : len(KNOCKDOWNS)] -= 1.5 * np.eye(len(KNOCKDOWNS))
    return np.vstack([programs, np.zeros(len(GENES))])


def simulate(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return log1p-like cells [N, G] and the position of each cell's condition [N]."""
    condition = np.repeat(np.arange(len(KNOCKDOWNS) + 1), CELLS)
    level, state = rng.uniform(1.8, 3.0, len(GENES)), rng.normal(0, 0.3, (len(condition), 1))
    loading, noise = rng.normal(0, 1, (1, len(GENES))), rng.normal(0, 0.2, (len(condition), len(GENES)))
    cells = level + effects(rng)[condition] + state * loading + noise
    return np.maximum(cells, 0).astype(np.float32), condition


def train(cells: np.ndarray, condition: np.ndarray) -> ConditionalAutoencoder:
    """Return the autoencoder fitted to all cells, the same bits on every run of one machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = ConditionalAutoencoder(len(GENES), len(KNOCKDOWNS) + 1)
    x, c = torch.from_numpy(cells), one_hot(torch.from_numpy(condition)).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        optimiser.zero_grad()
        mse_loss(model(x, c, c), x).backward()
        optimiser.step()
    return model


def main(folder: Path = STUDY) -> None:
    """Write `run/` and `cells.h5ad` into the study's folder."""
    torch.set_num_threads(1)
    cells, condition = simulate(np.random.default_rng(SEED))
    conditions = [*KNOCKDOWNS, CONTROL]
    run = folder / "run"
    run.mkdir(parents=True, exist_ok=True)
    save_file(train(cells, condition).state_dict(), run / "best.safetensors")
    split = dict.fromkeys(KNOCKDOWNS, "trained")
    names = {"genes": GENES, "conditions": conditions, "control": CONTROL, "split": split}
    (run / "names.json").write_text(json.dumps(names), encoding="utf-8")
    obs = pd.DataFrame({"gene": [conditions[k] for k in condition], "cell_line": "simulated"})
    obs.index = obs.index.astype(str)
    anndata.AnnData(X=cells, obs=obs, var=pd.DataFrame(index=pd.Index(GENES))).write_h5ad(folder / "cells.h5ad")


if __name__ == "__main__":
    main()
