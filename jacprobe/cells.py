"""Control cells: what a user hands over, checked, and put into the model's order of genes and batches."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from jacprobe.anndata_cells import cells_of_anndata, require_same_kind, require_unique_genes
from jacprobe.apart import read_apart
from jacprobe.columns import Columns
from jacprobe.errors import InputError, unknown_names
from jacprobe.h5ad_file import NEEDS, opened

if TYPE_CHECKING:
    import xarray as xr

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
    drawn later. Of the file no more than these is in memory. It is read in a process apart (`jacprobe.apart`).

    Raises
    ------
    InputError
        As `cells_of_anndata`, for values that are no expression, or if it is no h5ad file or HDF5 hangs or dies on it;
        each names the file.
    """
    import xarray as xr

    asked = {"model": names_of(model), "cell_line": cell_line, "columns": asdict(columns) if columns else None}
    read = read_apart(cells_of_file, Path(path), needs=NEEDS, **asked)
    coords: dict[str, Any] = {name: np.array(read[name], dtype=str) for name in ("cell", "gene")}
    if read["batch"] is not None:
        coords["batch"] = ("cell", np.array(read["batch"], dtype=str))
    return xr.DataArray(read["values"], dims=("cell", "gene"), coords=coords, attrs=read["attrs"])


def names_of(model: Named) -> dict[str, Any]:
    """Return the names by which cells are put in a model's order, as JSON holds them."""
    listed = {part: list(getattr(model, part)) for part in ("genes", "perturbations", "batches")}
    return {**listed, "control": model.control}


def cells_of_file(
    path: Path, model: dict[str, Any], cell_line: str | None, columns: dict[str, str | None] | None
) -> dict[str, Any]:
    """Return what `read_cells` does, as numbers and names: `values`, `cell`, `gene`, `batch` (or None), `attrs`.

    It is `read_cells` in the very process that calls it, with the names of a model (`names_of`).

    Raises
    ------
    InputError
        As `read_cells`.
    """
    named = cast("Named", SimpleNamespace(**{name: _as_tuple(names) for name, names in model.items()}))
    asked = Columns(**columns) if columns else None
    try:
        with opened(path, asked.expression if asked else None) as data:
            cells = cells_of_anndata(data, named, cell_line, asked)
        _expression(named, _by_name(named, cells)[0])
    except InputError as error:
        raise type(error)(error.given, error.wanted, error.mend, where=path) from error
    listed = {name: cells[name].values.tolist() if name in cells.coords else None for name in ("cell", "gene", "batch")}
    return {"values": cells.values, **listed, "attrs": cells.attrs}


def _as_tuple(names: Any) -> Any:
    return tuple(names) if isinstance(names, list) else names


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
