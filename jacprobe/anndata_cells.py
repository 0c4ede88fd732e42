"""The control cells in an AnnData: which cells they are, of which batch, and where their expression stands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.columns import Columns, mismatch
from jacprobe.errors import InputError, unknown_names
from jacprobe.h5ad_file import EXPRESSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import xarray as xr

    from jacprobe.models.protocol import Named


# What data sets call the column of their perturbations; where one is there, the controls have to be marked in it.
_LARGEST = 20.0  # log1p of 5e8
_PERTURBATION_COLUMNS = ("gene", "perturbation", "pert", "target_gene", "gene_target", "drugname_drugconc")


def cells_of_anndata(
    data: Any, model: Named, cell_line: str | None = None, columns: Columns | None = None
) -> xr.DataArray:
    """Return the control cells of an AnnData as a DataArray (cell, gene), with `batch` where a column holds it.

    Columns of `obs` are those that `columns` names; others are recognised by what they hold: the perturbations of the
    model, its batches, the cell line asked for. A column holding the model's perturbations selects its controls;
    without any such column, nor one of a perturbation column's usual name, every cell is taken for a control.
    Expression is the matrix that `columns` names, one of `obsm` by position in the model's order as arc-state reads it,
    X or one of `layers` with genes by name; otherwise `obsm["X_hvg"]`, or `X` where there is none.

    Raises
    ------
    InputError
        If a named column is not there; if there is no non-targeting cell, no cell of that line, a wrong width, or
        columns that contradict each other; if genes go by other names than the model's, such as Ensembl identifiers
        for symbols; if the values are counts, larger than the log of any, or of another logarithm.
    """
    import xarray as xr

    named, obs = columns or Columns(), named_columns(data.obs)
    _require_there(named.of_obs, obs, "obs")
    keep = _controls(obs, data.n_obs, model, named)
    if cell_line is not None:
        keep &= _of_line(obs, cell_line, named.cell_line)
    values, genes = _expression(data, model, named)
    coords: dict[str, Any] = {"cell": np.asarray(data.obs_names)[keep].astype(str), "gene": genes}
    batches = _batch_column({name: column[keep] for name, column in obs.items()}, model, named.batch)
    if batches is not None:
        coords["batch"] = ("cell", batches.astype(str))
    dense = np.zeros((0, len(genes)), np.float32)
    if keep.any():
        chosen = values[np.flatnonzero(keep)]
        dense = np.asarray(chosen.todense()) if hasattr(chosen, "todense") else np.asarray(chosen)
    _require_natural(data, named)
    _require_log1p(dense, genes)
    return xr.DataArray(dense, dims=("cell", "gene"), coords=coords, attrs={"units": "log1p"})


def named_columns(obs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the columns that can hold names, as text; equal names share memory, as there may be a million of them."""
    found = {}
    for name in obs.columns:
        column = obs[name]
        if column.dtype.kind == "f" and np.mod(column.to_numpy(), 1).any():
            continue  # a measurement
        codes, distinct = column.factorize(use_na_sentinel=False)
        found[str(name)] = np.array([str(value) for value in distinct], dtype=object)[codes]
    return found


def _require_log1p(values: np.ndarray, genes: Sequence[str]) -> None:
    """Refuse what can be no log1p of normalised counts: counts themselves, or values that only counts have."""
    if values.dtype.kind not in "iuf" or not values.size or not np.isfinite(values).all():
        return  # told by whoever takes the cells
    cell, column = divmod(int(values.argmax()), values.shape[1])
    largest = float(values[cell, column])
    whole = largest > 1 and not (values % 1).any()
    if whole or largest > _LARGEST:
        what = "whole numbers throughout, as counts are" if whole else "values that no log1p of counts has"
        raise InputError(
            f"{what}, the largest {largest:g} in cell {cell}, {genes[column]}",
            "log1p-normalised expression",
            "Give log1p of counts scaled to one depth, as the model was trained on",
            "control_cells",
        )


def _require_there(wanted: Sequence[str], there: Mapping[str, Any], part: str) -> None:
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise unknown_names(f"column of {part}", unknown, list(there), where="control_cells")


def _require_natural(data: Any, named: Columns) -> None:
    """Refuse X in another logarithm than the natural one, where the file says so as scanpy writes it."""
    base = (data.uns.get("log1p") or {}).get("base")
    if base is not None and named.expression in (None, "X") and EXPRESSION not in data.obsm:
        raise InputError(
            f"a logarithm to the base {float(base):g} (uns['log1p'])",
            "log1p-normalised expression, by the natural logarithm",
            f"Multiply by the natural logarithm of {float(base):g}, as the model was trained on log1p",
            "control_cells",
        )


def _controls(columns: Mapping[str, np.ndarray], n_cells: int, model: Named, named: Columns) -> np.ndarray:
    """Return which cells are controls by the column that holds the model's perturbations."""
    control = named.control or model.control
    if named.perturbation is not None:
        marked = columns[named.perturbation] == control
        if not marked.any():
            there = sorted(set(columns[named.perturbation].tolist()))
            raise InputError(
                f"no {control} cells: obs[{named.perturbation!r}] holds {', '.join(there[:5])}",
                f"control cells, marked {control!r}",
                "Name their mark in study.toml: [data.columns] control = NAME",
                "control_cells",
            )
        return marked
    known = [*model.perturbations, control]
    holding = {name: values for name, values in columns.items() if _among(values, known).any()}
    if not holding:
        _refuse_unmarked(columns, model)
        return np.ones(n_cells, dtype=bool)
    with_control = {name: values == control for name, values in holding.items() if (values == control).any()}
    if not with_control:
        raise InputError(
            f"no {control} cells: obs[{next(iter(holding))!r}] holds perturbed cells only",
            f"control cells, marked {control!r}",
            "Keep the control cells in the file, or drop the column if all cells are controls",
            "control_cells",
        )
    first, *others = with_control.values()
    if any((first != other).any() for other in others):
        raise InputError(
            f"columns {', '.join(with_control)} disagree on which cells are {control}",
            "one column of perturbations",
            "Drop the other columns",
            "control_cells",
        )
    return first


def _refuse_unmarked(columns: Mapping[str, np.ndarray], model: Named) -> None:
    """Refuse a column of perturbations that holds none of the model's, the control included."""
    unmarked = next((name for name in _PERTURBATION_COLUMNS if name in columns), None)
    if unmarked is not None:
        values = sorted(set(columns[unmarked].tolist()))
        other = mismatch(values, [name for name in model.perturbations if name != model.control])
        raise InputError(
            f"no {model.control} cells: obs[{unmarked!r}] holds {', '.join(values[:5])}, none of which the model knows"
            + (f"; {other}" if other else ""),
            f"control cells, marked {model.control!r}",
            f"Mark them {model.control!r}, or drop the column if all cells are controls",
            "control_cells",
        )


def _among(values: np.ndarray, known: Sequence[str]) -> np.ndarray:
    import pandas as pd

    return pd.Index(values).isin(list(known))


def _of_line(columns: Mapping[str, np.ndarray], cell_line: str, named: str | None) -> np.ndarray:
    columns = columns if named is None else {"cell_line": columns[named]}
    lines = {name: values == cell_line for name, values in columns.items() if (values == cell_line).any()}
    if not lines:
        there = sorted(set(columns["cell_line"].tolist())) if "cell_line" in columns else []
        raise unknown_names("cell line", [cell_line], there, where="control_cells")
    return lines.get("cell_line", next(iter(lines.values())))


def _batch_column(columns: Mapping[str, np.ndarray], model: Named, named: str | None) -> np.ndarray | None:
    """Return the batches of cells: the named column, or the one whose every value is a batch of the model."""
    if named is not None:
        return columns[named]
    holding = {name: values for name, values in columns.items() if _among(values, model.batches).all()}
    chosen = holding.get("batch", holding.get("gem_group"))
    return chosen if chosen is not None or len(holding) != 1 else next(iter(holding.values()))


def _expression(data: Any, model: Named, named: Columns) -> tuple[Any, Sequence[str]]:
    """Return the matrix of expression and the names of its columns."""
    asked = named.expression or (EXPRESSION if EXPRESSION in data.obsm else "X")
    if asked in data.obsm:
        return _by_position(data, asked, model, named), list(model.genes)
    if asked != "X":
        _require_there([asked], dict.fromkeys((*data.obsm, *data.layers)), "obsm or layers")
    values = data.X if asked == "X" else data.layers[asked]
    if values is None:
        raise InputError(
            "an AnnData with neither obsm['X_hvg'] nor X", "expression, log1p-normalised", where="control_cells"
        )
    genes = _gene_names(data, named)
    require_same_kind(genes, model.genes, _holding_genes(data, model))
    require_unique_genes(genes)
    return values, genes


def _gene_names(data: Any, named: Columns) -> list[str]:
    if named.genes is None:
        return [str(name) for name in data.var_names]
    _require_there([named.genes], data.var, "var")
    return [str(name) for name in data.var[named.genes]]


def _holding_genes(data: Any, model: Named) -> str | None:
    """Return the column of `var` that holds most of the model's genes, if any does."""
    wanted = set(model.genes)
    shares = {str(name): len(wanted & set(data.var[name].astype(str))) for name in data.var.columns}
    best = max(shares, key=shares.__getitem__, default=None)
    return best if best is not None and 2 * shares[best] > len(wanted) else None


def require_same_kind(given: Sequence[str], wanted: Sequence[str], column: str | None = None) -> None:
    """Refuse genes that go by another kind of names than the model's; `column` is where the right ones stand.

    Raises
    ------
    InputError
        The above.
    """
    other = mismatch(given, wanted)
    if other is None:
        return
    first = "" if column else "Put the model's names into a column of var. "
    raise InputError(
        other,
        f"the model's names, which stand in var[{column!r}]" if column else "the model's names",
        f'{first}Name it in study.toml: [data.columns] genes = "{column or "NAME"}"',
        "control_cells",
    )


def _by_position(data: Any, name: str, model: Named, named: Columns) -> Any:
    values, width = data.obsm[name], len(model.genes)
    if values.shape[1] != width:
        raise InputError(
            f"obsm[{name!r}] with {values.shape[1]} columns",
            f"{width}, the genes of the model: {name} is read by position",
            f"Give the {name} of the data that the model was trained on, or X with gene names",
            "control_cells",
        )
    _require_named_columns(data, name, model, named)
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def _require_named_columns(data: Any, matrix: str, model: Named, named: Columns) -> None:
    """Refuse a matrix whose columns the AnnData itself gives other names than the model, where it names them at all."""
    names = np.asarray(data.var.get(named.genes or "gene_name", data.var_names)).astype(str)
    if data.n_vars != len(model.genes) and "highly_variable" in data.var:
        names = names[np.asarray(data.var["highly_variable"], dtype=bool)]
    if len(names) != len(model.genes):
        return  # X_hvg need not be a part of X: arc-state asks for no names, and there are none to compare
    require_same_kind(names.tolist(), model.genes, _holding_genes(data, model))
    wrong = [(i, str(a), b) for i, (a, b) in enumerate(zip(names, model.genes, strict=True)) if a != b]
    if wrong:
        column, given, wanted = wrong[0]
        raise InputError(
            f"obsm[{matrix!r}] has {len(wrong)} columns under other names, the first is column {column}: {given}",
            f"{wanted}, since {matrix} is read by position",
            "Give a DataArray (cell, gene) with names, whose genes are matched by name",
            "control_cells",
        )


def require_unique_genes(genes: Sequence[str]) -> None:
    """Refuse genes that occur twice, listing them."""
    twice = [name for name, count in Counter(genes).items() if count > 1]
    if twice:
        raise InputError(
            f"{len(twice)} duplicate genes: {', '.join(twice[:5])}",
            "gene names that occur once, since genes are matched by name",
            "Make them unique, for instance by their Ensembl identifiers",
            "control_cells",
        )
