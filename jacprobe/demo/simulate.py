"""Simulate the demo study: effects from the plan, counts from the effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacprobe.demo.truth import CONTROL, HOME_LINE, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anndata
    import pandas as pd

CELLS_PER_KNOCKDOWN = 32
# The home line is measured twice as deep: what is peculiar to it has to be learned from it alone.
HOME_CELLS_PER_KNOCKDOWN = 64
TRAINING_CONTROLS = 256
SHIPPED_CONTROLS = 640
BATCHES = ("1", "2", "3", "4")
PROGRAM_GENES = 60
PROGRAM_FAMILY_GENES = 30
OWN_GENES = 25
MODULES = 4


@dataclass(frozen=True)
class Truth:
    """What was drawn from the plan.

    Attributes
    ----------
    plan
        The plan.
    log_mean
        Log mean expression of unperturbed cells [line, gene].
    weight
        How strongly each knockdown follows its programs [knockdown].
    effect
        Change of the log mean at full strength [line, knockdown, gene], the targeted gene's own fall left out.
    own_target
        Index of each knockdown's own gene among the outputs, -1 where it is none [knockdown].
    batch_offset
        [line, batch, gene].
    modules
        Loadings of the co-expression modules of unperturbed cells [line, module, gene].
    """

    plan: Plan
    log_mean: np.ndarray
    weight: np.ndarray
    effect: np.ndarray
    own_target: np.ndarray
    batch_offset: np.ndarray
    modules: np.ndarray


def draw_truth(plan: Plan, rng: np.random.Generator) -> Truth:
    """Draw programs, knockdown weights and cell lines from the plan."""
    genes = len(plan.genes)
    index = {gene: i for i, gene in enumerate(plan.genes)}
    home = np.array([line == HOME_LINE for line in plan.lines])
    line_offset = 0.5 * rng.normal(0, 0.7, (len(plan.lines), genes))
    log_mean = rng.normal(0.6, 0.8, genes) + line_offset
    log_mean[:, [index[kd] for kd in plan.knockdowns if kd in index]] += plan.own_expressed
    for i, line in enumerate(plan.lines):
        identity = [index[gene] for gene in plan.outputs["liver" if home[i] else line]]
        log_mean[:, identity] -= 0.9
        log_mean[i, identity] += 0.9 + 1.2
    weight = _weights(plan, rng)
    return Truth(
        plan=plan,
        log_mean=log_mean,
        weight=weight,
        effect=_programs(plan, weight, rng) + _axes(plan, rng) + _own_parts(plan, rng),
        own_target=np.array([index.get(kd, -1) for kd in plan.knockdowns]),
        batch_offset=rng.normal(0, 0.08, (len(plan.lines), len(BATCHES), genes)),
        modules=rng.normal(0, 1, (len(plan.lines), MODULES, genes))
        * (rng.random((len(plan.lines), MODULES, genes)) < 0.25),
    )


def _movable(plan: Plan, outputs: str | None = None) -> np.ndarray:
    """Return the indices of the genes, of one family where given, that no knockdown targets."""
    genes = plan.outputs[outputs] if outputs else plan.genes
    return np.array([plan.genes.index(gene) for gene in genes if gene not in plan.family_of], dtype=int)


def _direction(plan: Plan, outputs: str | None, rng: np.random.Generator) -> np.ndarray:
    """Draw a program: 60 genes, up to 30 of them from the linked family and of one sign, loadings |N(.9, .3)|."""
    linked = rng.permutation(_movable(plan, outputs))[:PROGRAM_FAMILY_GENES] if outputs else np.array([], dtype=int)
    others = rng.permutation(np.setdiff1d(_movable(plan), linked))[: PROGRAM_GENES - len(linked)]
    direction = np.zeros(len(plan.genes))
    direction[linked] = 1 if outputs in plan.raised else rng.choice([-1, 1])
    direction[others] = rng.choice([-1, 1], len(others))
    return direction * np.abs(rng.normal(0.9, 0.3, len(plan.genes)))


def _weights(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    weight = rng.uniform(0.7, 1.2, len(plan.knockdowns))
    weight[[plan.knockdowns.index(kd) for kd in plan.strong]] = plan.strong_weight
    return weight


def _programs(plan: Plan, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    position = {kd: i for i, kd in enumerate(plan.knockdowns)}
    effect = np.zeros((len(plan.lines), len(plan.knockdowns), len(plan.genes)))
    for program in plan.programs:
        members = [position[kd] for kd in program.knockdowns]
        at_home = _direction(plan, program.outputs, rng)
        elsewhere = _direction(plan, program.outputs, rng) if program.line_specific else at_home
        for i, line in enumerate(plan.lines):
            direction = at_home if line == HOME_LINE else elsewhere
            effect[i, members] += program.activity[line] * np.outer(weight[members], direction)
    return effect


def _axes(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Draw the two axes that all knockdowns share, with positions that correlate between the lines."""
    share = _shares(plan, plan.axes_share)
    effect = np.zeros((len(plan.lines), len(plan.knockdowns), len(plan.genes)))
    for axis in (plan.stress, plan.growth):
        direction = _direction(plan, axis.outputs, rng)
        position = axis.mean + axis.sd * _correlated(plan, (len(plan.knockdowns),), plan.axes_correlation, rng)
        effect += (position * share)[:, :, None] * direction
    return effect


def _own_parts(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Draw each knockdown's own part: 25 genes, alike between the lines except in line-specific families."""
    shape = (len(plan.knockdowns), len(plan.genes))
    alike = _correlated(plan, shape, plan.own_correlation, rng) * _few_genes(plan, rng)
    at_home, elsewhere = (rng.normal(0, 1, shape) * _few_genes(plan, rng) for _ in range(2))
    home = np.array([line == HOME_LINE for line in plan.lines])
    unlike = np.array([plan.family_of[kd] in plan.own_line_specific for kd in plan.knockdowns])
    part = np.where(unlike[:, None], np.where(home[:, None, None], at_home, elsewhere), alike)
    return plan.own_activity * _shares(plan, plan.own_share)[:, :, None] * part


def _shares(plan: Plan, by_family: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """Return the factor of each line and knockdown [line, knockdown] from the families that have one."""
    families = [plan.family_of[kd] for kd in plan.knockdowns]
    return np.array([[by_family.get(family, {}).get(line, 1.0) for family in families] for line in plan.lines])


def _few_genes(plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Draw which genes each knockdown's own part moves: bool [knockdown, gene]."""
    movable, chosen = _movable(plan), np.zeros((len(plan.knockdowns), len(plan.genes)), dtype=bool)
    for row in chosen:
        row[rng.permutation(movable)[:OWN_GENES]] = True
    return chosen


def _correlated(plan: Plan, shape: tuple[int, ...], r: float, rng: np.random.Generator) -> np.ndarray:
    """Draw N(0, 1) per line [line, *shape]; every line's values correlate r with those of the home line."""
    home = rng.normal(0, 1, shape)
    return np.stack(
        [home if line == HOME_LINE else r * home + np.sqrt(1 - r**2) * rng.normal(0, 1, shape) for line in plan.lines]
    )


def draw_cells(
    truth: Truth, line: int, knockdown: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw cells of one line: log1p(count / depth) [cell, gene] as float32, and the batch index of each cell.

    `knockdown` [cell] holds the index of each cell's knockdown, -1 for control cells.
    """
    cells, genes = len(knockdown), truth.log_mean.shape[1]
    batch = rng.permutation(np.arange(cells) % len(BATCHES))
    log_mu = truth.log_mean[line] + truth.batch_offset[line, batch]
    log_mu += rng.normal(0, 0.35, (cells, MODULES)) @ truth.modules[line]
    perturbed = knockdown >= 0
    strength = rng.beta(8, 2, (cells, 1))
    log_mu += np.where(perturbed[:, None], strength * truth.effect[line, knockdown], 0.0)
    own = np.where(perturbed, truth.own_target[knockdown], -1)
    targeted = np.flatnonzero(own >= 0)
    log_mu[targeted, own[targeted]] += truth.plan.own_target
    depth = np.exp(rng.normal(0, 0.25, (cells, 1)))
    count = rng.poisson(np.exp(log_mu) * depth * rng.gamma(8, 1 / 8, (cells, genes)))
    return np.log1p(count / depth).astype(np.float32), batch


def simulate(truth: Truth, rng: np.random.Generator) -> tuple[anndata.AnnData, anndata.AnnData]:
    """Draw the training study and the control cells to ship.

    Returns
    -------
    study
        All lines: 32 cells a knockdown (64 in the home line) and 256 control cells a line, rows sorted by line and
        knockdown.
    controls
        640 further control cells of every line.
    """
    plan = truth.plan
    names = np.array([*plan.knockdowns, CONTROL])
    study, controls = [], []
    for i, line in enumerate(plan.lines):
        cells = HOME_CELLS_PER_KNOCKDOWN if line == HOME_LINE else CELLS_PER_KNOCKDOWN
        knockdown = np.concatenate([np.repeat(np.arange(len(plan.knockdowns)), cells), np.full(TRAINING_CONTROLS, -1)])
        study.append(_labelled(line, names[knockdown], *draw_cells(truth, i, knockdown, rng)))
        none = np.full(SHIPPED_CONTROLS, -1)
        controls.append(_labelled(line, names[none], *draw_cells(truth, i, none, rng)))
    return _assembled(plan, study), _assembled(plan, controls)


def _labelled(line: str, gene: np.ndarray, x: np.ndarray, batch: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    import pandas as pd

    return x, pd.DataFrame({"cell_line": line, "gene": gene, "gem_group": np.array(BATCHES)[batch]})


def _assembled(plan: Plan, parts: list[tuple[np.ndarray, pd.DataFrame]]) -> anndata.AnnData:
    import anndata
    import pandas as pd

    x = np.concatenate([part for part, _ in parts])
    obs = pd.concat([labels for _, labels in parts], ignore_index=True)
    order = np.lexsort((obs["gene"].to_numpy(str), obs["cell_line"].to_numpy(str)))
    obs = obs.iloc[order].astype("category")
    obs.index = pd.Index(np.array([f"cell{i:05d}" for i in range(len(obs))]))
    var = pd.DataFrame(index=pd.Index(plan.genes, name="gene_name"))
    data = anndata.AnnData(obs=obs, var=var)
    data.obsm["X_hvg"] = x[order]
    data.uns["log1p"] = {}
    return data
