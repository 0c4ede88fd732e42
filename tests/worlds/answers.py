"""What a world's models answer, computed here from their forward alone: no probe, no measure of a claim."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from fixtures.worlds.effects import PLANTED, Effects
from fixtures.worlds.plan import GENES, KNOCKDOWNS
from fixtures.worlds.planted import World, world

HEPG2, JURKAT, ZEROSHOT = "fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2"
REPLICATE, SAME_SEED = "seed-replicate", "shared-seed/jurkat"
PAIRS = np.triu_indices(len(KNOCKDOWNS), 1)


@cache
def of(effects: Effects) -> World:
    return world(effects=effects)


def changed(**effects: Any) -> World:
    return of(replace(PLANTED, **effects))


def cells_of(study: World, role: str, **kind: Any) -> torch.Tensor:
    return torch.tensor(study.control_cells(role, **kind).values)


def vectors(study: World, role: str) -> np.ndarray:
    return study.model(role).weight.numpy().T[: len(KNOCKDOWNS)].astype(float)


@torch.no_grad()
def responses(study: World, role: str, **kind: Any) -> np.ndarray:
    """Mean prediction minus that of the control: [n, G]."""
    model = study.model(role).to(dtype=torch.float64)
    cells = cells_of(study, role, **kind)[None]
    batch = torch.zeros(1, cells.shape[1], dtype=torch.long)
    every = model.pert_vectors(torch.arange(len(model.perturbations)))
    means = np.array([model.forward(cells, p[None], batch)[0].mean(dim=0).numpy() for p in every])
    return means[:-1] - means[-1]


@torch.no_grad()
def silenced(study: World, role: str, **kind: Any) -> np.ndarray:
    """Mean control prediction with each gene at 0 minus that with none: [G in, G]."""
    model = study.model(role).to(dtype=torch.float64)
    cells = cells_of(study, role, **kind)
    control = model.pert_vectors(torch.tensor([len(KNOCKDOWNS)]))
    batch = torch.zeros(1, len(cells), dtype=torch.long)

    def mean(x: torch.Tensor) -> np.ndarray:
        return model.forward(x[None], control, batch)[0].mean(dim=0).numpy()

    without = []
    for gene in range(len(GENES)):
        fewer = cells.clone()
        fewer[:, gene] = 0
        without.append(mean(fewer))
    return np.array(without) - mean(cells)


def jacobian_cosines(study: World, role: str) -> np.ndarray:
    """Cosines between dY/dpert of knockdowns, over pairs, from the weights: diag(o) [M' + panels + (N'p) gate']."""
    model = study.model(role).to(dtype=torch.float64)
    cells = cells_of(study, role)
    t = cells.mean(dim=0) - model.expected
    c = torch.cat([torch.ones(1, dtype=t.dtype), torch.tanh(t @ model.contexts)])
    M, N, V = (torch.tensordot(c, maps, 1).numpy() for maps in (model.responses, model.routing, model.sensitivity))
    still = (M + V @ np.diag(t @ model.regulators.T) @ model.targets.numpy()).T
    every = model.pert_vectors(torch.arange(len(KNOCKDOWNS)))
    batch = torch.zeros(1, len(cells), dtype=torch.long)
    rows = []
    for p in every:
        with torch.no_grad():
            opened = (model.preactivation(cells[None], p[None], batch)[0] > 0).double().mean(dim=0).numpy()
        J = opened[:, None] * (still + np.outer(p.numpy() @ N, model.gate))
        rows.append((J / np.linalg.norm(J)).ravel())
    return over_pairs(np.array(rows))


def cosines(rows: np.ndarray) -> np.ndarray:
    """Cosines between rows, over pairs."""
    return over_pairs(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def over_pairs(unit_rows: np.ndarray) -> np.ndarray:
    return (unit_rows @ unit_rows.T)[PAIRS]


def r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def row_r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of the same row of two tables."""
    return np.array([r(x, y) for x, y in zip(a, b, strict=True)])


def rank_r(a: np.ndarray, b: np.ndarray) -> float:
    return r(a.argsort().argsort(), b.argsort().argsort())
