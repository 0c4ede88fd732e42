"""The control cells in an AnnData: which cells they are, of which batch, and where their expression stands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError, unknown_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import xarray as xr

    from jacprobe.models.protocol import Named


# What data sets call the column of their perturbations; where one is there, the controls have to be marked in it.
_LARGEST = 20.0  # log1p of 5e8
_PERTURBATION_COLUMNS = ("gene", "perturbation", "pert", "target_gene", "gene_target", "drugname_drugconc")


def cells_of_anndata(data: Any, model: Named, cell_line: str | None = None) -> xr.DataArray:
    """Return the control cells of an AnnData as a DataArray (cell, gene), with `batch` where a column holds it.

    Columns of `obs` are recognised by what they hold: the perturbations of the model, its batches, the cell line asked
    for. A column holding the model's perturbations selects its controls; without any such column, nor one of a
    perturbation column's usual name, every cell is taken for a control. Expression is `obsm["X_hvg"]`, by position in
    the model's order as arc-state reads it, or `X` with genes by name where there is no `X_hvg`.

    Raises
    ------
    InputError
        If there is no non-targeting cell, no cell of that line, a wrong width, or columns that contradict each other;
        if the values are counts, or larger than the log of any.
    """
    import xarray as xr

    columns = _named_columns(data.obs)
    keep = _controls(columns, data.n_obs, model)
    if cell_line is not None:
        keep &= _of_line(columns, cell_line)
    values, genes = _expression(data, model)
    coords: dict[str, Any] = {"cell": np.asarray(data.obs_names)[keep].astype(str), "gene": genes}
    batches = _batch_column({name: values[keep] for name, values in columns.items()}, model)
    if batches is not None:
        coords["batch"] = ("cell", batches.astype(str))
    dense = np.zeros((0, len(genes)), np.float32)
    if keep.any():
        chosen = values[np.flatnonzero(keep)]
        dense = np.asarray(chosen.todense()) if hasattr(chosen, "todense") else np.asarray(chosen)
    _require_log1p(dense, genes)
    return xr.DataArray(dense, dims=("cell", "gene"), coords=coords, attrs={"units": "log1p"})


def _named_columns(obs: pd.DataFrame) -> dict[str, np.ndarray]:
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


def _controls(columns: Mapping[str, np.ndarray], n_cells: int, model: Named) -> np.ndarray:
    """Return which cells are controls by the column that holds the model's perturbations."""
    known = model.perturbations
    holding = {name: values for name, values in columns.items() if _among(values, known).any()}
    if not holding:
        _refuse_unmarked(columns, model)
        return np.ones(n_cells, dtype=bool)
    with_control = {
        name: values == model.control for name, values in holding.items() if (values == model.control).any()
    }
    if not with_control:
        raise InputError(
            f"no {model.control} cells: obs[{next(iter(holding))!r}] holds perturbed cells only",
            f"control cells, marked {model.control!r}",
            "Keep the control cells in the file, or drop the column if all cells are controls",
            "control_cells",
        )
    first, *others = with_control.values()
    if any((first != other).any() for other in others):
        raise InputError(
            f"columns {', '.join(with_control)} disagree on which cells are {model.control}",
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
        raise InputError(
            f"no {model.control} cells: obs[{unmarked!r}] holds {', '.join(values[:5])}, none of which the model knows",
            f"control cells, marked {model.control!r}",
            f"Mark them {model.control!r}, or drop the column if all cells are controls",
            "control_cells",
        )


def _among(values: np.ndarray, known: Sequence[str]) -> np.ndarray:
    import pandas as pd

    return pd.Index(values).isin(list(known))


def _of_line(columns: dict[str, np.ndarray], cell_line: str) -> np.ndarray:
    lines = {name: values == cell_line for name, values in columns.items() if (values == cell_line).any()}
    if not lines:
        there = sorted(set(columns["cell_line"].tolist())) if "cell_line" in columns else []
        raise unknown_names("cell line", [cell_line], there, where="control_cells")
    return lines.get("cell_line", next(iter(lines.values())))


def _batch_column(columns: dict[str, np.ndarray], model: Named) -> np.ndarray | None:
    """Return the batches of cells: the one column whose every value is a batch of the model."""
    holding = {name: values for name, values in columns.items() if _among(values, model.batches).all()}
    chosen = holding.get("batch", holding.get("gem_group"))
    return chosen if chosen is not None or len(holding) != 1 else next(iter(holding.values()))


def _expression(data: Any, model: Named) -> tuple[Any, Sequence[str]]:
    width = len(model.genes)
    if "X_hvg" not in data.obsm:
        genes = [str(name) for name in data.var_names]
        require_unique_genes(genes)
        if data.X is None:
            raise InputError(
                "an AnnData with neither obsm['X_hvg'] nor X", "expression, log1p-normalised", where="control_cells"
            )
        return data.X, genes
    values = data.obsm["X_hvg"]
    if values.shape[1] != width:
        raise InputError(
            f"obsm['X_hvg'] with {values.shape[1]} columns",
            f"{width}, the genes of the model: X_hvg is read by position",
            "Give the X_hvg of the data that the model was trained on, or X with gene names",
            "control_cells",
        )
    _require_named_columns(data, model)
    return (values.to_numpy() if hasattr(values, "to_numpy") else values), list(model.genes)


def _require_named_columns(data: Any, model: Named) -> None:
    """Refuse an X_hvg whose columns the AnnData itself gives other names than the model, where it names them at all."""
    names = np.asarray(data.var.get("gene_name", data.var_names)).astype(str)
    if data.n_vars != len(model.genes) and "highly_variable" in data.var:
        names = names[np.asarray(data.var["highly_variable"], dtype=bool)]
    if len(names) != len(model.genes):
        return  # X_hvg need not be a part of X: arc-state asks for no names, and there are none to compare
    wrong = [(i, str(a), b) for i, (a, b) in enumerate(zip(names, model.genes, strict=True)) if a != b]
    if wrong:
        column, given, wanted = wrong[0]
        raise InputError(
            f"obsm['X_hvg'] has {len(wrong)} columns under other names, the first is column {column}: {given}",
            f"{wanted}, since X_hvg is read by position",
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
