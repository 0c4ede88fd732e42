"""An h5ad file as far as control cells need it: labels in memory, expression on disk until rows of it are asked for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jacprobe.apart import read_apart
from jacprobe.errors import InputError
from jacprobe.h5ad_check import require_inside, require_own, require_rows
from jacprobe.texts import require_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from jacprobe.columns import Columns

EXPRESSION = "X_hvg"
NEEDS = ("h5py", "anndata.io", "xarray", "scipy.sparse")  # what reading one takes
_BYTES = 64 * 2**20  # read at once


@dataclass(frozen=True)
class Rows:
    """A matrix on disk, dense or CSR, whose rows are read when they are asked for, a block of them at a time."""

    source: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return tuple(self.source.shape)

    def __getitem__(self, index: np.ndarray) -> Any:
        """Return rows by ascending index: an array, or a CSR matrix."""
        at_once = max(1, _BYTES // max(1, self.shape[1] * self.source.dtype.itemsize))
        borders = np.flatnonzero(np.diff(index // at_once)) + 1
        try:
            parts = [self.source[block[0] : block[-1] + 1][block - block[0]] for block in np.split(index, borders)]
        except (TypeError, IndexError) as error:
            raise ValueError(f"rows that cannot be read: {error}") from error
        if hasattr(parts[0], "tocsr"):
            import scipy.sparse

            return scipy.sparse.vstack(parts, format="csr")
        return np.concatenate(parts)


@dataclass(frozen=True)
class H5adFile:
    """What of an AnnData control cells are taken from, its matrices as `Rows`."""

    obs: Any
    var: Any
    obsm: Mapping[str, Any]
    X: Any
    layers: Mapping[str, Any] = field(default_factory=dict)
    uns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return len(self.obs)

    @property
    def n_vars(self) -> int:
        """Number of genes of X."""
        return len(self.var)

    @property
    def obs_names(self) -> Any:
        """Names of the cells."""
        return self.obs.index

    @property
    def var_names(self) -> Any:
        """Names of the genes of X."""
        return self.var.index


@contextmanager
def opened(path: Path, expression: str | None = None) -> Iterator[H5adFile]:
    """Open an h5ad file for reading control cells: X, obsm["X_hvg"], and the matrix `expression` of obsm or layers.

    HDF5 can hang or die on a damaged one: it is opened by functions that `jacprobe.apart` calls in a process apart.

    Raises
    ------
    InputError
        If it cannot be read, now or when rows are, or is of a layout before AnnData 0.7.
    """
    import h5py

    try:
        require_regular(path)
        with h5py.File(path, "r") as file:
            yield _read(file, path, expression)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise _unreadable(error, path) from error


def _read(file: Any, path: Path, expression: str | None) -> H5adFile:
    import h5py
    from anndata.io import read_elem

    for name in file:
        require_inside(file, name, path)
    odd = [name for name in ("obs", "var") if isinstance(file[name], h5py.Dataset)]
    if odd:
        raise InputError(
            f"{' and '.join(odd)} of an old layout",
            "h5ad as AnnData 0.7 and later write it",
            "Rewrite it: anndata.read_h5ad(path).write_h5ad(path)",
            path,
        )
    for name in ("obs", "var"):
        require_own(file[name], path)
    try:
        obs, var = (cast("pd.DataFrame", read_elem(file[name])) for name in ("obs", "var"))
        obsm = _matrices(file, "obsm", (EXPRESSION, expression), (len(obs), None), path)
        layers = _matrices(file, "layers", (expression,), (len(obs), len(var)), path)
        x = _rows(file["X"], len(obs), len(var), path) if "X" in file else None
        return H5adFile(obs, var, obsm, x, layers, _logarithm(file, path))
    except InputError:
        raise
    except Exception as error:  # whatever AnnData raises of what it does not know
        raise _unreadable(error, path) from error


def _matrices(
    file: Any, part: str, names: Sequence[str | None], shape: tuple[int, int | None], path: Path
) -> dict[str, Any]:
    """Return those of the named matrices that stand in a part of the file."""
    group = file.get(part, {})
    found = {}
    for name in group:
        if name in names:
            require_inside(group, name, path)
            found[str(name)] = _rows(group[name], *shape, path)
    return found


def _logarithm(file: Any, path: Path) -> dict[str, Any]:
    """Return what scanpy noted of the logarithm that it took, {"log1p": {"base": ...}}; nothing where it did not."""
    import h5py

    noted, base = file.get("uns"), None
    for name in ("log1p", "base"):
        if not isinstance(noted, h5py.Group) or name not in list(noted):
            return {}
        require_inside(noted, name, path)
        base = noted = noted[name]
    if not isinstance(base, h5py.Dataset) or base.shape != () or base.dtype.kind not in "iuf":
        return {}
    return {"log1p": {"base": float(base[()])}}


def _unreadable(error: Exception, path: Path) -> InputError:
    return InputError(
        f"not readable as h5ad ({error})", "control cells as AnnData wrote them", "Copy the file again", path
    )


def require_columns(path: Path, columns: Columns) -> None:
    """Refuse a file without the columns that a study names; nothing but their names is read.

    Raises
    ------
    InputError
        If it is no h5ad file, or lacks a column of `obs` or `var` or the matrix of expression.
    """
    there = read_apart(names_in_parts, path, needs=("h5py",))
    wanted = [("obs", name) for name in columns.of_obs] + [("var", name) for name in (columns.genes,) if name]
    lacking = [f"{part}[{name!r}]" for part, name in wanted if name not in there[part]]
    if columns.expression not in (None, "X", *there["obsm"], *there["layers"]):
        lacking.append(f"obsm[{columns.expression!r}]")
    if lacking:
        found = ", ".join(f"{part}: {', '.join(names[:12]) or 'nothing'}" for part, names in there.items())
        raise InputError(f"no {', '.join(lacking)} ({found})", "the columns that the study names", where=path)


def names_in_parts(path: Path) -> dict[str, list[str]]:
    """Return the names in `obs`, `var`, `obsm` and `layers` of a file.

    Raises
    ------
    InputError
        If it is no h5ad file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {name: _names_in(file.get(name)) for name in ("obs", "var", "obsm", "layers")}
    except OSError as error:
        raise InputError(f"not readable as h5ad ({error})", "an h5ad file", "Copy the file again", path) from error


def matrices(path: Path) -> list[tuple[str, str, int]]:
    """Return the matrices of a file with a row for each cell: (name, part of the file, columns); none of it is read.

    Raises
    ------
    InputError
        If it is no h5ad file.
    """
    return [tuple(one) for one in read_apart(matrices_of_file, path, needs=("h5py",))["matrices"]]


def matrices_of_file(path: Path) -> dict[str, list[tuple[str, str, int]]]:
    """Return what `matrices` does, in the very process that calls it.

    Raises
    ------
    InputError
        As `matrices`.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups: list[tuple[str, Any]] = [(part, file[part]) for part in ("obsm", "layers") if part in file]
            there = [(name, part, group) for part, group in groups for name in _names_in(group)]
            there += [("X", "X", file)] if "X" in file else []
            named = [(name, part, group[name]) for name, part, group in there if not _elsewhere(group, name)]
            return {"matrices": [(name, part, width) for name, part, one in named if (width := _width(one))]}
    except (OSError, KeyError) as error:
        raise InputError(f"not readable as h5ad ({error})", "an h5ad file", "Copy the file again", path) from error


def _elsewhere(group: Any, name: str) -> bool:
    import h5py

    return isinstance(group.get(name, getlink=True), h5py.ExternalLink)


def _width(matrix: Any) -> int:
    """Return the columns of a matrix, dense or sparse; 0 of anything else."""
    shape = getattr(matrix, "shape", None) or matrix.attrs.get("shape", ())
    return int(shape[1]) if len(shape) == 2 else 0


def _names_in(part: Any) -> list[str]:
    import h5py

    return list(part) if isinstance(part, h5py.Group) else []


def _rows(matrix: Any, n_rows: int, n_columns: int | None, path: Path) -> Any:
    """Return a matrix that stays on disk; whole where it is neither dense nor CSR, whose rows do not stand together."""
    import h5py
    from anndata.io import read_elem, sparse_dataset

    by_rows = isinstance(matrix, h5py.Dataset) or matrix.attrs.get("encoding-type") == "csr_matrix"
    require_own(matrix, path, sized=not by_rows)
    if isinstance(matrix, h5py.Dataset) or "shape" in matrix.attrs:
        require_rows(matrix, n_rows, n_columns, str(matrix.name), path)
    if isinstance(matrix, h5py.Dataset):
        return Rows(matrix)
    if by_rows:
        return Rows(sparse_dataset(matrix))
    return read_elem(matrix)
