"""From run folders and cells to a study: found, guessed, written, and opened once to see that it runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jacprobe.cells import read_cells
from jacprobe.columns import ENSEMBL, Columns, kind_of
from jacprobe.errors import InputError, unknown_names
from jacprobe.models.adapters import DEFAULT
from jacprobe.models.found import FoundRun, find_runs
from jacprobe.opening import open_study
from jacprobe.scaffold.data import guess_expression, guess_labels
from jacprobe.scaffold.roles import Cast, cast, line_of, plain
from jacprobe.scaffold.write import Draft, study_toml, write_study

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """What the user says of a new study; what is left open is guessed.

    Attributes
    ----------
    folder
        The study's folder, to be made.
    models, data
        Folder of run folders; h5ad file of cells.
    roles, cell_lines
        Run folders, and lines as the data call them, by role.
    columns
        Names of the data's columns.
    adapter, checkpoint
        What reads the run folders, and which checkpoint of each.
    """

    folder: Path
    models: Path
    data: Path
    roles: Mapping[str, Path] = field(default_factory=dict)
    cell_lines: Mapping[str, str] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)
    adapter: str = DEFAULT
    checkpoint: str | None = None


@dataclass(frozen=True)
class Made:
    """What was guessed for a new study, and what could not be, each with the option that gives it."""

    guesses: Sequence[str]
    unknown: Sequence[str]


def make_study(wanted: Wanted, progress: Callable[[int, int, str], None] | None = None) -> Made:
    """Write a study and return what was guessed for it.

    Raises
    ------
    InputError
        Where the folder is there already, or something that a study cannot do without can be neither read nor guessed.
    StudyError
        Where what was written is no study that opens.
    """
    _require_new(wanted.folder)
    if not wanted.models.is_dir():
        raise InputError(f"{wanted.models} is not there", "a folder of run folders", "Check the path.", "--models")
    if not wanted.data.is_file():
        raise InputError(f"{wanted.data} is not there", "an h5ad file of control cells", "Check the path.", "--data")
    found, unusable = find_runs(wanted.models, wanted.adapter, wanted.checkpoint, progress)
    asked = {role: _named(path, found, unusable) for role, path in wanted.roles.items()}
    if not found:
        raise InputError(unusable[0], "a run folder that can be read", "See what is wrong by: jacprobe doctor RUN")
    model = next(iter(asked.values()), found[0]).identity
    labels = guess_labels(wanted.data, model, [line_of(run) for run in found], wanted.columns)
    roles = cast(found, asked, labels.lines)
    cell_lines = {role: _cell_line(role, run, labels.lines, wanted.cell_lines) for role, run in roles.runs.items()}
    first = next(iter(roles.runs))
    model, line = roles.runs[first].identity, cell_lines[first]
    columns, of_expression = guess_expression(wanted.data, model, line, labels.columns)
    draft = Draft(
        name=wanted.folder.name,
        runs=roles.runs,
        cell_lines=cell_lines,
        models=wanted.models.resolve(),
        data=wanted.data.resolve(),
        columns=columns,
        n_cells=min(run.identity.cell_set_len for run in roles.runs.values()),
        adapter=wanted.adapter,
    )
    cells = _written(wanted.folder, draft)
    unknown = [*labels.unknown, *unusable, *_left(roles), *_of_names(model.perturbations)]
    return Made([*roles.guesses, *labels.guesses, *of_expression, cells], unknown)


def _require_new(folder: Path) -> None:
    if folder.exists():
        raise InputError(
            f"{folder} is there already",
            "a folder to be made",
            "Nothing was touched: give another name, or move it.",
            "init",
        )


def _named(path: Path, found: list[FoundRun], unusable: Sequence[str]) -> FoundRun:
    """Return the run of a folder that the user gave a role."""
    for run in found:
        if run.folder.resolve() == path.resolve():
            return run
    why = next((text for text in unusable if text.startswith(f"{path}:")), f"{path} is none of the run folders")
    raise InputError(why, f"one of {', '.join(str(run.folder) for run in found)}", where="--role")


def _cell_line(role: str, run: FoundRun, there: Sequence[str], asked: Mapping[str, str]) -> str:
    """Return what the data call the line of a run."""
    if role in asked:
        if there and asked[role] not in there:
            raise unknown_names("cell line", [asked[role]], there, where="--cell-line")
        return asked[role]
    wanted = line_of(run, there)
    same = [line for line in there if plain(line) == wanted]
    if len(same) == 1:
        return same[0]
    raise InputError(
        f"{role}: the line of {run.folder.name} ({wanted or 'unknown'}) is none of {', '.join(there) or 'the data'}",
        "the line whose control cells it is given",
        f"Give it by --cell-line {role}=NAME.",
        "--cell-line",
    )


def _written(folder: Path, draft: Draft) -> str:
    """Write the study, and say how many control cells it finds; nothing is left of one that cannot be opened."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write_study(partial, study_toml(draft))
        study = open_study(partial)
        of_line = {
            entry.cell_line: read_cells(draft.data, study.identity(role), entry.cell_line, study.columns).sizes["cell"]
            for role, entry in study.models.items()
        }
        fewest = min(of_line.values())
        if fewest < draft.n_cells:
            raise InputError(
                f"{fewest} control cells in one line, sets of {draft.n_cells}",
                f"at least {draft.n_cells} of each line, better five times as many",
                "Give data with more control cells.",
                draft.data,
            )
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    counts = ", ".join(f"{number} of {line}" for line, number in of_line.items())
    draws = f"enough for {fewest // draft.n_cells} disjoint draws"
    return f"n_cells: {draft.n_cells}, as the models were trained; control cells: {counts}, {draws}"


def _left(roles: Cast) -> list[str]:
    return [
        f"role of {run.folder.name} ({run.kind or 'unknown kind'}, {run.line or 'unknown line'}): no claim speaks of "
        f"such a model; --role ROLE={run.folder} gives it one, ROLE@NAME makes it a further training"
        for run in roles.left
    ]


def _of_names(perturbations: Sequence[str]) -> list[str]:
    if kind_of(perturbations) != ENSEMBL:
        return []
    return [
        "gene sets: the models' knockdowns are Ensembl identifiers, the sets are symbols; state your own in study.toml"
    ]
