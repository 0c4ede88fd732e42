"""What a data set calls its columns, found by what they hold, and which of its matrices a model can read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jacprobe.anndata_cells import named_columns
from jacprobe.apart import read_apart
from jacprobe.cells import read_cells
from jacprobe.columns import Columns, mismatch
from jacprobe.errors import InputError
from jacprobe.h5ad_file import EXPRESSION, NEEDS, matrices, opened
from jacprobe.scaffold.roles import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jacprobe.models.protocol import Named

# What controls are called where a model's own word is not used, in plain letters.
_CONTROLS = {
    "nontargeting", "nontargetingcontrol", "nt", "ntc", "ctrl", "control", "neg", "negctrl", "negativecontrol",
    "scrambled", "safeharbor", "unperturbed", "dmso",
}  # fmt: skip
_USUAL = {
    "perturbation": ("gene", "perturbation", "pert", "target_gene", "gene_target", "condition"),
    "cell_line": ("cell_line", "cell_type", "celltype", "cell"),
    "batch": ("batch", "gem_group"),
}
_ESSENTIAL = ("perturbation", "cell_line")


@dataclass
class Guessed:
    """The columns, what each guess rests on, and what could not be guessed with the option that gives it."""

    columns: Columns
    lines: tuple[str, ...] = ()
    guesses: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def guess_labels(path: Path, model: Named, lines: Iterable[str], given: Columns) -> Guessed:
    """Return the columns of `obs` that hold perturbations, cell lines and batches, and how controls are marked.

    Parameters
    ----------
    path
        An h5ad file.
    model
        One of the models that will read it.
    lines
        Lines that runs were made for, in any spelling.
    given
        What the user named; it is checked when cells are read, not guessed.

    Raises
    ------
    InputError
        Where no column, or several alike, hold perturbations or lines, or the controls' mark cannot be told.
    """
    found = Guessed(given)
    distinct = {name: set(values) for name, values in read_apart(labels_of_file, path, needs=NEEDS).items()}
    known = set(model.perturbations)
    wanted = {plain(line) for line in lines if line}
    counts = {
        "perturbation": {
            name: len(there & known) or len(_marks(there, model.control)) for name, there in distinct.items()
        },
        "cell_line": {name: len({plain(value) for value in there} & wanted) for name, there in distinct.items()},
        "batch": {name: len(there) * (there <= set(model.batches)) for name, there in distinct.items()},
    }
    taken = set(given.of_obs)
    for what, by_name in counts.items():
        if getattr(found.columns, what) is None:
            chosen = _best({name: count for name, count in by_name.items() if name not in taken}, what, found)
            if chosen is not None:
                taken.add(chosen)
                found.columns = replace(found.columns, **{what: chosen})
                found.guesses.append(f"{what}: obs[{chosen!r}], {_shown(distinct[chosen])}")
    found = _with_control(found, distinct, model)
    of_lines = found.columns.cell_line
    found.lines = tuple(sorted(distinct.get(of_lines, ()))) if of_lines else ()
    return found


def guess_expression(path: Path, model: Named, line: str, given: Columns) -> tuple[Columns, list[str]]:
    """Return the columns with a matrix that the model can read, and where its genes are named; and what that rests on.

    Every matrix of the file is tried by reading the control cells of `line` from it: X_hvg, others of `obsm` as wide as
    the model, X, and `layers`.

    Raises
    ------
    InputError
        Where none can be read, each with the reason.
    """
    genes, said = given.genes, []
    if genes is None:
        genes = read_apart(genes_of_file, path, needs=NEEDS, wanted=list(model.genes))["column"]
        if genes is not None:
            said.append(f"genes: var[{genes!r}] holds the model's names")
    refused = []
    for name, part in _tried(path, model, given.expression):
        tried = replace(given, expression=name, genes=genes)
        try:
            cells = read_cells(path, model, line, tried)
        except InputError as error:
            refused.append(f"{name}: {error.given}")
            continue
        where = "X" if name == "X" else f"{part}[{name!r}]"
        by = "by position" if part == "obsm" else "by name"
        said.append(f"expression: {where}, genes {by}; log1p scale, largest {float(cells.max()):.3g} in {line}")
        return tried, said
    raise InputError(
        f"no matrix that the model can read: {'; '.join(refused) or 'none of its width'}",
        f"log1p-normalised expression of the model's {len(model.genes)} genes",
        "Put it into X, a layer or obsm['X_hvg']; name it by --expression, and the genes' names by --genes-column.",
        path,
    )


def labels_of_file(path: Path) -> dict[str, list[str]]:
    """Return the distinct values of every column of `obs` that can hold names.

    Raises
    ------
    InputError
        If it is no h5ad file.
    """
    with opened(path) as data:
        return {name: sorted(set(values.tolist())) for name, values in named_columns(data.obs).items()}


def genes_of_file(path: Path, wanted: list[str]) -> dict[str, str | None]:
    """Return as `column` that of `var` with the wanted genes; None where the index has as many of them.

    Raises
    ------
    InputError
        If it is no h5ad file.
    """
    with opened(path) as data:
        return {"column": _genes_column(data.var, set(wanted))}


def _best(counts: Mapping[str, int], what: str, found: Guessed) -> str | None:
    """Return the column that holds most; of several alike the one of a usual name."""
    option = f"--{what.replace('_', '-')}-column NAME"
    most = max(counts.values(), default=0)
    best = [name for name, count in counts.items() if count == most and most > 0]
    usual = [name for name in _USUAL[what] if name in best]
    if len(best) == 1 or usual:
        return best[0] if len(best) == 1 else usual[0]
    why = (
        f"{', '.join(best)} hold alike" if best else f"no column of {', '.join(counts)} holds any that the models know"
    )
    if what in _ESSENTIAL:
        raise InputError(f"{what}: {why}", f"one column of obs with the {what.replace('_', ' ')}s", f"Give {option}.")
    found.unknown.append(f"{what}: {why}; {option} gives it (only --batch own needs it)")
    return None


def _marks(values: set[str], own: str) -> list[str]:
    return sorted(value for value in values if value == own or plain(value) in _CONTROLS)


def _with_control(found: Guessed, distinct: Mapping[str, set[str]], model: Named) -> Guessed:
    column = found.columns.perturbation
    there = distinct.get(column or "", set())
    if found.columns.control is not None or model.control in there or not there:
        return found
    marks = _marks(there, model.control)
    if len(marks) != 1:
        other = mismatch(sorted(there), [name for name in model.perturbations if name != model.control])
        raise InputError(
            f"control: obs[{column!r}] holds {_shown(there)}" + (f"; {other}" if other else ""),
            f"control cells, marked {model.control!r} or otherwise",
            "Give their mark by --control.",
        )
    found.columns = replace(found.columns, control=marks[0])
    found.guesses.append(f"control: cells marked {marks[0]!r}, which the models call {model.control!r}")
    return found


def _genes_column(var: Any, wanted: set[str]) -> str | None:
    """Return the column of `var` with the wanted genes, where the index has fewer of them."""
    shares = {str(name): len(wanted & set(var[name].astype(str))) for name in var.columns}
    best = max(shares, key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] > len(wanted & set(map(str, var.index))) else None


def _tried(path: Path, model: Named, asked: str | None) -> list[tuple[str, str]]:
    """Return the matrices to try, (name, part of the file), the likeliest first."""
    there = matrices(path)
    fitting = [
        (name, part)
        for name, part, width in there
        if (asked is None or name == asked) and (part != "obsm" or width == len(model.genes))
    ]
    return sorted(fitting, key=lambda one: (one[0] != EXPRESSION, ("obsm", "X", "layers").index(one[1]), one[0]))


def _shown(values: set[str]) -> str:
    first = sorted(values)[:4]
    return f"{len(values)} values, such as {', '.join(first)}" if len(values) > len(first) else ", ".join(first)
