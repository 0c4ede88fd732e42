"""Write the shipped side of the demo study: data, study.toml and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacprobe.demo.family import CELL_SET_LEN, FAMILY, DemoModel, Recipe
from jacprobe.demo.truth import CONTROL

if TYPE_CHECKING:
    from pathlib import Path

    import anndata

    from jacprobe.demo.simulate import Truth

CONTROLS_FILE = "control_cells.h5ad"
OBSERVED_FILE = "observed.h5ad"
# Means over 32 cells are uncertain by about .1; a finer grid would only cost bytes.
OBSERVED_GRID = 1 / 1024


def write_data(data: anndata.AnnData, path: Path, *, compress: bool) -> None:
    """Write an h5ad file, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    data.write_h5ad(partial, compression="gzip" if compress else None, compression_opts=9 if compress else None)
    partial.replace(path)


def observed_responses(study: anndata.AnnData) -> anndata.AnnData:
    """Return the mean response of each line to each knockdown, perturbed minus control cells.

    Returns
    -------
    AnnData (line x knockdown, gene) in log1p units, rounded to 1/1024; `obs`: cell_line, gene, n_cells.
    """
    import anndata
    import pandas as pd

    obs, x = pd.DataFrame(study.obs), np.asarray(study.obsm["X_hvg"], dtype=np.float64)
    cell_line, gene = obs["cell_line"].to_numpy(str), obs["gene"].to_numpy(str)
    labels: dict[str, list] = {"cell_line": [], "gene": [], "n_cells": []}
    responses = []
    for line in np.unique(cell_line):
        baseline = x[(cell_line == line) & (gene == CONTROL)].mean(axis=0)
        for knockdown in np.unique(gene[(cell_line == line) & (gene != CONTROL)]):
            cells = x[(cell_line == line) & (gene == knockdown)]
            for name, value in zip(labels, (line, knockdown, len(cells)), strict=True):
                labels[name].append(value)
            responses.append(cells.mean(axis=0) - baseline)
    rows = pd.DataFrame(labels).astype({"cell_line": "category", "gene": "category"})
    rows.index = pd.Index(np.char.add(np.char.add(labels["cell_line"], ":"), labels["gene"]))
    grid = np.round(np.stack(responses) / OBSERVED_GRID) * OBSERVED_GRID
    return anndata.AnnData(X=grid.astype(np.float32), obs=rows, var=pd.DataFrame(index=study.var_names))


def sae_folder(model: DemoModel) -> str:
    """Return where a model's sparse autoencoder stands in the study."""
    return f"sae/{model.folder}"


def study_toml(truth: Truth, seed: int, recipe: Recipe) -> str:
    """Return the text of study.toml."""
    lines = [
        'name = "demo"',
        f'title = "A family of small State models of a simulated study with planted truth (seed {seed})"',
        "",
    ]
    for model in FAMILY:
        lines += [f'[models."{model.role}"]', f'run = "models/{model.folder}"', f'cell_line = "{model.line}"']
        lines += [f'sae = "{sae_folder(model)}"', ""] if model.sae else [""]
    lines += [
        "[data]",
        f'control_cells = "{CONTROLS_FILE}"',
        f'observed = "{OBSERVED_FILE}"',
        f"n_cells = {CELL_SET_LEN}",
        "",
        "[features]",
        "# The layer that representations are read from and the autoencoders were trained on; 0 is the stack's input.",
        f"layer = {recipe.middle_layer}",
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
    followed = [(kd, w) for kd, w in zip(plan.knockdowns, truth.weight, strict=True) if kd in _affiliated(truth)]
    lines += [
        "[weight]",
        "# How strongly each knockdown follows its programs.",
        *(f"{kd} = {w:.3f}" for kd, w in followed),
        "",
    ]
    without = [kd for kd in plan.knockdowns if kd not in _affiliated(truth)]
    lines += [
        "[unaffiliated]",
        "# No program: only the shared axes and a part of their own.",
        f"knockdowns = {_strings(without)}",
        "",
    ]
    targeted = [kd for kd, own in zip(plan.knockdowns, truth.own_target, strict=True) if own >= 0]
    lines += ["[own_gene_is_output]", f"knockdowns = {_strings(targeted)}", ""]
    return "\n".join(lines)


def _affiliated(truth: Truth) -> set[str]:
    return {kd for program in truth.plan.programs for kd in program.knockdowns}


def _strings(names: tuple[str, ...] | list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
