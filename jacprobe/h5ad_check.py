"""What an HDF5 file of a stranger declares, checked before any of it is read: where it lies, and how large it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FREE = 64 * 2**20  # bytes that any part may take
_DENSEST = 1_100  # gzip, the densest codec of HDF5 itself, makes at most 1,032 bytes of one
_POINTER = 8  # bytes in memory for each text of varying length, at least
_MOST_PARTS = 100_000


def require_own(root: Any, path: Path, *, sized: bool = True) -> None:
    """Refuse parts of an HDF5 file that lie in other files, or declare more than is stored of them.

    Parameters
    ----------
    root
        A group or data set; everything below it is looked at, nothing is read.
    path
        The file, for the error.
    sized
        Whether it will be read whole; of what is read by rows the declared size does not matter.

    Raises
    ------
    InputError
        The above.
    """
    for name, part in _parts(root, path):
        if part.external or part.is_virtual:
            raise InputError(f"{name} lies in another file", "an h5ad file that holds all of its own", where=path)
        declared = int(np.prod(part.shape or (), dtype=object)) * max(part.dtype.itemsize, _POINTER)
        if sized and declared > _FREE + _DENSEST * part.id.get_storage_size():
            raise InputError(
                f"{name} declares {declared:.3g} bytes, of which {part.id.get_storage_size():,} are stored",
                "data that are in the file",
                "It was made to fill the memory of who opens it, or is damaged.",
                path,
            )


def require_rows(matrix: Any, n_rows: int, n_columns: int | None, name: str, path: Path) -> None:
    """Refuse a matrix of another shape than the tables beside it have, or CSR whose rows are none.

    Parameters
    ----------
    matrix
        A dense data set or a group with a sparse matrix.
    n_rows, n_columns
        Cells; genes, where the file names them for this matrix.
    name, path
        For the error.

    Raises
    ------
    InputError
        The above.
    """
    sparse = not hasattr(matrix, "dtype")
    shape = tuple(int(size) for size in np.ravel(matrix.attrs["shape"])) if sparse else matrix.shape
    if len(shape) != 2 or shape[0] != n_rows or (n_columns is not None and shape[1] != n_columns):
        wanted = f"{n_rows} cells" + ("" if n_columns is None else f" by {n_columns} genes")
        raise InputError(f"{name} of shape {shape}", wanted, "Copy the file again", path)
    if sparse and matrix.attrs.get("encoding-type") == "csr_matrix":
        borders = matrix["indptr"]
        if borders.shape != (n_rows + 1,) or borders.dtype.kind not in "iu":
            raise InputError(f"{name} with {borders.shape} borders of rows", f"{n_rows + 1}", where=path)
        sizes = np.diff(borders[...].astype(np.int64))
        stored = min(matrix[part].shape[0] for part in ("data", "indices"))
        if (sizes < 0).any() or (sizes > shape[1]).any() or int(borders[-1]) > stored or int(borders[0]) != 0:
            raise InputError(f"{name} with rows that are none", "CSR as AnnData writes it", where=path)


def _parts(root: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the data sets at and below `root` by name; links into other files are refused, loops are walked once."""
    import h5py

    left, seen = [root], set()
    while left:
        part = left.pop()
        if part in seen:
            continue
        seen.add(part)
        if len(seen) > _MOST_PARTS:
            raise InputError(f"more than {_MOST_PARTS:,} parts", "an h5ad file of cells", where=path)
        if isinstance(part, h5py.Dataset):
            yield str(part.name), part
            continue
        if not isinstance(part, h5py.Group):
            raise InputError(f"{part.name} is a {type(part).__name__}", "tables and matrices", where=path)
        for name in map(str, part):
            require_inside(part, name, path)
            left.append(part[name])


def require_inside(group: Any, name: str, path: Path) -> None:
    """Raise `InputError` where a name of a group is a link into another file."""
    import h5py

    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise InputError(f"{group.name}/{name} is a link into another file", "an h5ad file of its own", where=path)
