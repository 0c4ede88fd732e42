"""The control cells in an AnnData: which cells they are, of which batch, and where their expression stands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError, unknown_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import xarray as xr

    from jacprobe.models.protocol import Named


# What data sets call the column of their perturbations; where one is there, the controls have to be marked in it.
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
        If there is no non-targeting cell, no cell of that line, a wrong width, or columns that contradict each other.
    """
    import xarray as xr

    columns = {str(name): np.asarray(data.obs[name]).astype(str) for name in data.obs.columns}
    keep = _controls(columns, data.n_obs, model)
    if cell_line is not None:
        keep &= _of_line(columns, cell_line)
    values, genes = _expression(data, model)
    coords: dict[str, Any] = {"cell": np.asarray(data.obs_names)[keep].astype(str), "gene": genes}
    batches = _batch_column({name: values[keep] for name, values in columns.items()}, model)
    if batches is not None:
        coords["batch"] = ("cell", batches)
    chosen = values[np.flatnonzero(keep)]
    dense = np.asarray(chosen.todense()) if hasattr(chosen, "todense") else np.asarray(chosen)
    return xr.DataArray(dense, dims=("cell", "gene"), coords=coords, attrs={"units": "log1p"})


def require_columns(path: Path, columns: Sequence[str], expression: str) -> None:
    """Refuse a file without the columns that a study names; nothing but their names is read.

    Raises
    ------
    InputError
        If it is no h5ad file, or lacks a column of `obs` or the matrix `expression` of `obsm`.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            parts = {name: file.get(name) for name in ("obs", "obsm")}
            there = {name: list(part) if isinstance(part, h5py.Group) else [] for name, part in parts.items()}
    except OSError as error:
        raise InputError(f"not readable as h5ad ({error})", "an h5ad file", "Copy the file again", path) from error
    wanted = [("obs", name) for name in columns] + [("obsm", expression)]
    lacking = [f"{part}[{name!r}]" for part, name in wanted if name not in there[part]]
    if lacking:
        found = ", ".join(f"{part}: {', '.join(names[:12]) or 'nothing'}" for part, names in there.items())
        raise InputError(f"no {', '.join(lacking)} ({found})", "the columns that the study names", where=path)


def _controls(columns: Mapping[str, np.ndarray], n_cells: int, model: Named) -> np.ndarray:
    """Return which cells are controls by the column that holds the model's perturbations."""
    known = np.asarray(model.perturbations)
    holding = {name: values for name, values in columns.items() if np.isin(values, known).any()}
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


def _of_line(columns: dict[str, np.ndarray], cell_line: str) -> np.ndarray:
    lines = {name: values == cell_line for name, values in columns.items() if (values == cell_line).any()}
    if not lines:
        there = sorted(set(columns["cell_line"].tolist())) if "cell_line" in columns else []
        raise unknown_names("cell line", [cell_line], there, where="control_cells")
    return lines.get("cell_line", next(iter(lines.values())))


def _batch_column(columns: dict[str, np.ndarray], model: Named) -> np.ndarray | None:
    """Return the batches of cells: the one column whose every value is a batch of the model."""
    known = np.asarray(model.batches)
    holding = {name: values for name, values in columns.items() if np.isin(values, known).all()}
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
