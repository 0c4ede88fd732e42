"""The files of a new study: study.toml with comments, and an expected.toml that expects nothing yet."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from jacprobe.models.adapters import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jacprobe.columns import Columns
    from jacprobe.models.found import FoundRun

EXPECTED = """\
# What is expected of each claim; of a claim that does not stand here, nothing: any verdict passes. State what you know
# before you look, with a reason. Or hold later runs against one that you trust: jacprobe accept results/verdicts.jsonl
#
# [nb02-splicing-coherent]
# expected = "SUPPORTED"          # or a list: ["SUPPORTED", "INCONCLUSIVE"]
# reason = "why it has to be so"
"""


@dataclass(frozen=True)
class Draft:
    """What a study.toml is written from.

    Attributes
    ----------
    name
        The study's name.
    runs
        Runs by role.
    cell_lines
        By role the line whose control cells the model is given, as the data call it.
    models, data
        The folder that run folders are in, and the file of cells.
    columns
        Names of the data's columns.
    n_cells
        Control cells in a set.
    adapter
        What reads the run folders.
    """

    name: str
    runs: Mapping[str, FoundRun]
    cell_lines: Mapping[str, str]
    models: Path
    data: Path
    columns: Columns
    n_cells: int
    adapter: str = DEFAULT


def study_toml(draft: Draft) -> str:
    """Return the text of study.toml."""
    lines = [
        f"name = {_text(draft.name)}",
        f"title = {_text(f'{len(draft.runs)} models on {draft.data.name}')}",
        "",
        "# Where models and cells are; --models and --data go before it. Absolute, or from this folder.",
        "[elsewhere]",
        f"models = {_text(str(draft.models))}",
        f"data = {_text(str(draft.data))}",
        "",
        "# Each role that claims speak of, its run folder within models, and the line whose control cells it is given.",
        '# Claims on others are NOT EVALUATED. A further training of one: [models."fewshot/hepg2@43"].',
    ]
    for role, run in draft.runs.items():
        lines += [
            f"[models.{_text(role)}]",
            f"run = {_text(os.path.relpath(run.folder, draft.models))}",
            f"cell_line = {_text(draft.cell_lines[role])}",
            *([f"checkpoint = {_text(run.checkpoint)}"] if run.checkpoint != "best" else []),
            *([f"adapter = {_text(draft.adapter)}"] if draft.adapter != DEFAULT else []),
            "",
        ]
    named = {item.name: getattr(draft.columns, item.name) for item in fields(draft.columns)}
    lines += [
        "[data]",
        "# Control cells in a set: what the models were trained with.",
        f"n_cells = {draft.n_cells}",
        "",
        "# Columns of obs (genes: of var), the matrix of expression, and the mark of control cells where it is not the",
        "# models' own.",
        "[data.columns]",
        *(f"{name} = {_text(value)}" for name, value in named.items() if value is not None),
        "",
        "# Layer that representations are read from; without it the middle one.",
        "# [features]",
        "# layer = 2",
        "",
        *_shapes(draft.runs),
        "[gene_sets]",
        "# Every set of fixtures/gene_sets/published.toml as it stands there; your own go here:",
        "# [gene_sets.mine]",
        '# kind = "kd"',
        '# genes = ["MYC", "MAX"]',
        "",
    ]
    return "\n".join(lines)


def write_study(folder: Path, text: str) -> None:
    """Write the files of a study into a folder that is made."""
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    (folder / "expected.toml").write_text(EXPECTED, encoding="utf-8")


def _shapes(runs: Mapping[str, FoundRun]) -> list[str]:
    """Return the sizes that all models share, which a claim then checks."""
    of = [run.identity for run in runs.values()]
    counts = {
        "genes": {len(one.genes) for one in of},
        "knockdowns": {len(set(one.perturbations) - {one.control}) for one in of},
        "latent": {one.latent_dim for one in of},
    }
    shared = [f"{name} = {next(iter(sizes))}" for name, sizes in counts.items() if len(sizes) == 1 and 0 not in sizes]
    return ["# Sizes of the models, checked by a claim.", "[shapes]", *shared, ""] if shared else []


def _text(value: str) -> str:
    """Return a basic string of TOML, which JSON's strings are but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
