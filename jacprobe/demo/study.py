"""Write the shipped side of the demo study: data, study.toml and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacprobe.demo.train import CELL_SET_LEN, FAMILY, Recipe
from jacprobe.demo.truth import CONTROL

if TYPE_CHECKING:
    from pathlib import Path

    import anndata

    from jacprobe.demo.simulate import Truth

CONTROLS_FILE = "control_cells.h5ad"
OBSERVED_FILE = "observed.h5ad"
# Means over 32 cells are uncertain by about .1; a finer grid would only cost bytes.
OBSERVED_GRID = 1 / 1024


def write_controls(controls: anndata.AnnData, path: Path) -> None:
    """Write the control cells, compressed."""
    controls.write_h5ad(path, compression="gzip", compression_opts=9)


def observed_responses(study: anndata.AnnData) -> anndata.AnnData:
    """Return the mean response of each line to each knockdown, perturbed minus control cells.

    Returns
    -------
    AnnData (line x knockdown, gene) in log1p units, rounded to 1/1024; `obs`: cell_line, gene, n_cells.
    """
    import anndata
    import pandas as pd

    x = np.asarray(study.obsm["X_hvg"], dtype=np.float64)
    rows = study.obs.groupby(["cell_line", "gene"], observed=True).indices
    means = {key: x[index].mean(axis=0) for key, index in rows.items()}
    keys = [key for key in means if key[1] != CONTROL]
    response = np.stack([means[line, kd] - means[line, CONTROL] for line, kd in keys])
    obs = pd.DataFrame(
        {
            "cell_line": pd.Categorical([line for line, _ in keys]),
            "gene": pd.Categorical([kd for _, kd in keys]),
            "n_cells": [len(rows[key]) for key in keys],
        },
        index=[f"{line}:{kd}" for line, kd in keys],
    )
    grid = np.round(response / OBSERVED_GRID) * OBSERVED_GRID
    return anndata.AnnData(X=grid.astype(np.float32), obs=obs, var=study.var.copy())


def study_toml(truth: Truth, seed: int, recipe: Recipe) -> str:
    """Return the text of study.toml."""
    lines = [
        'name = "demo"',
        f'title = "A family of small State models of a simulated study with planted truth (seed {seed})"',
        "",
    ]
    for model in FAMILY:
        lines += [f'[models."{model.role}"]', f'run = "models/{model.folder}"', f'cell_line = "{model.line}"', ""]
    lines += [
        "[data]",
        f'control_cells = "{CONTROLS_FILE}"',
        f'observed = "{OBSERVED_FILE}"',
        f"n_cells = {CELL_SET_LEN}",
        "",
        "[shapes]",
        f"genes = {len(truth.plan.genes)}",
        f"knockdowns = {len(truth.plan.knockdowns)}",
        f"latent = {recipe.hidden_dim}",
        "",
        "[gene_sets]",
        "# Every set of fixtures/gene_sets/published.toml, as it stands there.",
        "",
    ]
    return "\n".join(lines)


def truth_toml(truth: Truth, seed: int) -> str:
    """Return the text of truth.toml: programs with their activity per line, members and weights; own-target effect."""
    plan = truth.plan
    lines = [
        "# What was planted, by plan and draw. Activities are in log-mean units per unit of loading and of weight.",
        f"seed = {seed}",
        f"own_target = {plan.own_target}",
        f"own_activity = {plan.own_activity}",
        f"lines = {_strings(plan.lines)}",
        "",
    ]
    for program in plan.programs:
        activity = ", ".join(f"{line} = {value}" for line, value in program.activity.items())
        lines += [
            f"[program.{program.name}]",
            f"activity = {{ {activity} }}",
            f"same_direction_in_every_line = {str(not program.line_specific).lower()}",
            f"knockdowns = {_strings(program.knockdowns)}",
            "",
        ]
    without = [kd for kd in plan.knockdowns if not any(kd in program.knockdowns for program in plan.programs)]
    lines += [
        "[unaffiliated]",
        "# No program: only the shared axes and a part of their own.",
        f"knockdowns = {_strings(without)}",
        "",
    ]
    targeted = [kd for kd, own in zip(plan.knockdowns, truth.own_target, strict=True) if own >= 0]
    lines += ["[own_gene_is_output]", f"knockdowns = {_strings(targeted)}", ""]
    return "\n".join(lines)


def _strings(names: tuple[str, ...] | list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
