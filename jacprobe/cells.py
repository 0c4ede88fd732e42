"""Control cells: what a user hands over, checked, and put into the model's order of genes and batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jacprobe.anndata_cells import cells_of_anndata, require_same_kind, require_unique_genes
from jacprobe.errors import InputError, unknown_names
from jacprobe.h5ad_file import opened

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.columns import Columns
    from jacprobe.models.protocol import Named

BatchRule = Literal["first", "own"]


@dataclass(frozen=True, eq=False)
class ControlCells:
    """A set of control cells as one model reads it.

    Attributes
    ----------
    values
        Expression [S, G], log1p-normalised, columns in the model's order.
    batch
        Index of each cell's batch in the model's list [S].
    names
        Names of the cells.
    rule
        How the batches were chosen: "first" (index 0 for all, as published) or "own".
    """

    values: np.ndarray
    batch: np.ndarray
    names: tuple[str, ...]
    rule: BatchRule

    @cached_property
    def sha256(self) -> str:
        """Hash over shape, values and batches: what a prediction depends on."""
        digest = hashlib.sha256(f"{self.values.shape}|{self.values.dtype}|".encode())
        digest.update(np.ascontiguousarray(self.values).tobytes())
        digest.update(self.batch.astype("<i8").tobytes())
        return digest.hexdigest()


def prepare_cells(model: Named, given: Any, batch: BatchRule = "first") -> ControlCells:
    """Return control cells checked against `model` and in its order.

    Parameters
    ----------
    model
        The model that will read them.
    given
        A DataArray (cell, gene), with the coordinate `batch` where batches matter; genes are matched by name, further
        genes left out. Or an AnnData, of which the control cells are taken (see `cells_of_anndata`). Or a data frame
        with a column for each gene. Or a bare array [S, G] whose columns are the model's genes in the model's order.
    batch
        "first" gives every cell the batch of index 0, as published; "own" the batch of its coordinate.

    Raises
    ------
    InputError
        If cells are too few, of the wrong width, not finite or negative; if batches are unknown or missing; if the
        model does not admit sets of this size.
    UnknownNameError
        If genes of the model are missing, or a batch is none of the model's.
    """
    if batch not in ("first", "own"):
        raise InputError(f"batch {batch!r}", "'first' (index 0, as published) or 'own'", where="batch")
    if hasattr(given, "obsm"):
        given = cells_of_anndata(given, model)
    if hasattr(given, "columns"):
        given = _of_frame(given)
    if hasattr(given, "dims"):
        values, names = _by_name(model, given)
        own = [str(name) for name in given["batch"].values] if "batch" in given.coords else None
    else:
        values, own = np.asarray(given), None
        names = tuple(f"cell{i}" for i in range(len(values))) if values.ndim else ()
    values = _expression(model, values)
    if not model.any_set_len and len(values) != model.cell_set_len:
        raise InputError(
            f"a set of {len(values)} cells", f"{model.cell_set_len}, the model's set size", where="control_cells"
        )
    index = np.zeros(len(values), dtype=np.int64) if batch == "first" else _own_batches(model, own)
    return ControlCells(values, index, names, batch)


def read_cells(
    path: str | Path, model: Named, cell_line: str | None = None, columns: Columns | None = None
) -> xr.DataArray:
    """Return the control cells of an h5ad file, of one line where `cell_line` is given: (cell, gene) with `batch`.

    `columns` says what the file calls them, as for `cells_of_anndata`. All of them are checked, whichever of them are
    drawn later. Of the file no more than these is in memory.

    Raises
    ------
    InputError
        As `cells_of_anndata`, for values that are no expression, or if it is no h5ad file; each names the file.
    """
    path = Path(path)
    try:
        with opened(path, columns.expression if columns else None) as data:
            cells = cells_of_anndata(data, model, cell_line, columns)
        _expression(model, _by_name(model, cells)[0])
    except InputError as error:
        raise type(error)(error.given, error.wanted, error.mend, where=path) from error
    return cells


def draw_cells(cells: xr.DataArray, n_cells: int, rng: np.random.Generator, draw: int = 0) -> xr.DataArray:
    """Return the `draw`-th of the disjoint random sets of `n_cells` cells.

    The sets are consecutive stretches of one random order, so that with the same state of `rng` two draws share no
    cell, and a draw does not depend on how many are taken.

    Raises
    ------
    InputError
        If there are not cells enough.
    """
    n, needed = cells.sizes["cell"], n_cells * (draw + 1)
    if n_cells < 1 or draw < 0 or needed > n:
        raise InputError(
            f"{n} control cells for draw {draw} of {n_cells} each",
            f"at least {needed}, since draws share no cell",
            "Give more control cells, smaller sets or fewer draws",
            "control_cells",
        )
    order = rng.permutation(n)
    return cells.isel(cell=order[needed - n_cells : needed])


def _of_frame(frame: Any) -> xr.DataArray:
    import xarray as xr

    coords = {"cell": [str(name) for name in frame.index], "gene": [str(name) for name in frame.columns]}
    return xr.DataArray(frame.to_numpy(), dims=("cell", "gene"), coords=coords)


def _by_name(model: Named, cells: xr.DataArray) -> tuple[np.ndarray, tuple[str, ...]]:
    if set(cells.dims) != {"cell", "gene"} or "gene" not in cells.coords:
        raise InputError(
            f"a DataArray of {', '.join(map(str, cells.dims))} with coordinates {', '.join(map(str, cells.coords))}",
            "dimensions cell and gene, with gene names",
            where="control_cells",
        )
    genes = [str(name) for name in cells["gene"].values]
    require_unique_genes(genes)
    position = {name: i for i, name in enumerate(genes)}
    missing = [name for name in model.genes if name not in position]
    if missing:
        require_same_kind(genes, model.genes)
        raise InputError(
            f"{len(genes)} genes, without {len(missing)} that the model reads: {', '.join(missing[:5])}",
            f"all {len(model.genes)} genes of the model, by name",
            "Give the genes that the model was trained on",
            "control_cells",
        )
    values = cells.transpose("cell", "gene").values[:, [position[name] for name in model.genes]]
    names = cells["cell"].values if "cell" in cells.coords else [f"cell{i}" for i in range(len(values))]
    return values, tuple(map(str, names))


def _expression(model: Named, values: np.ndarray) -> np.ndarray:
    """Return the values as floats, once they are cells that the model can read."""
    width = len(model.genes)
    if values.ndim != 2 or values.shape[1] != width:
        raise InputError(
            f"control cells of shape {values.shape}",
            f"[cells, {width}], one column for each gene of the model in its order",
            "Give a DataArray or AnnData with gene names where the order differs",
            "control_cells",
        )
    if not len(values):
        raise InputError("no control cells", "at least one", where="control_cells")
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"control cells of type {values.dtype}", "numbers", "Give the expression as float32", "control_cells"
        )
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
    for fault, wrong in (("not finite", ~np.isfinite(values)), ("negative", values < 0)):
        if wrong.any():
            cell, column = np.argwhere(wrong)[0]
            raise InputError(
                f"{np.count_nonzero(wrong)} values that are {fault}, the first in cell {cell}, {model.genes[column]}",
                "log1p-normalised expression: finite, not negative",
                "Give log1p(normalised counts), neither centred nor scaled",
                "control_cells",
            )
    return values


def _own_batches(model: Named, own: list[str] | None) -> np.ndarray:
    if own is None:
        raise InputError(
            "control cells without batches",
            "the coordinate `batch`",
            "Give a DataArray with it, or batch='first'",
            "control_cells",
        )
    position = {name: i for i, name in enumerate(model.batches)}
    unknown = [name for name in dict.fromkeys(own) if name not in position]
    if unknown:
        raise unknown_names("batch", unknown, model.batches, where="control_cells")
    return np.array([position[name] for name in own], dtype=np.int64)
