"""Reading evidence of others: tables, arrays and lists of names, each checked against what its name promises.

Large arrays are memory-mapped, pickles are read as plain data, and no file is trusted to have the shape it should.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import StudyError
from jacprobe.texts import require_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

_MOST_NUMBERS = 2**28  # of a table that is read whole; the published ones have 7 million


def read_table(path: Path, columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a CSV file, those of `numbers` as finite floats, the others as text.

    Raises
    ------
    StudyError
        If the file cannot be read, lacks a column, or a number is none.
    """
    import pandas as pd

    try:
        require_regular(path)
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, OverflowError) as error:
        raise StudyError(f"not readable as CSV: {error}", "a table with a header", where=path) from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise StudyError(
            f"no column {', '.join(map(repr, missing))}", f"columns {', '.join(map(repr, columns))}", where=path
        )
    table = pd.DataFrame(table[list(columns)])
    for name in numbers:
        values = np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=np.float64)
        if not np.isfinite(values).all():
            line = int(np.flatnonzero(~np.isfinite(values))[0]) + 2
            raise StudyError(
                f"line {line}: {name} is {table[name].tolist()[line - 2]!r}", "a finite number", where=path
            )
        table = table.assign(**{name: values})
    return table


def read_vector(path: Path, key: str, value: str) -> xr.DataArray:
    """Return one number per name of a CSV file: (kd,).

    Raises
    ------
    StudyError
        As `read_table`, or if a name stands twice.
    """
    table = read_table(path, (key, value), (value,))
    return _labelled(np.asarray(table[value], dtype=np.float64), {"kd": _unique(table[key].tolist(), path)})


def read_names(path: Path) -> list[str]:
    """Return the list of names in a pickle, of which no code is run.

    Raises
    ------
    StudyError
        If it holds anything but a list of different strings.
    UnsafePickleError
        If it would run code.
    """
    from jacprobe.models.pickles import read_pickle

    names = read_pickle(path)
    if isinstance(names, np.ndarray):
        names = names.tolist()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StudyError(f"a {type(names).__name__}", "a list of names", where=path)
    return _unique(names, path)


def read_frame(path: Path) -> xr.DataArray:
    """Return a Parquet table of numbers, knockdowns by genes or features: (kd, gene).

    Raises
    ------
    StudyError
        If the file is truncated or no Parquet, or holds anything but finite numbers.
    """
    try:
        frame = _parquet(path)
    except Exception as error:  # whatever Arrow and pandas raise of what they do not know
        raise StudyError(
            f"not readable as Parquet: {error}", "a whole file as pandas wrote it", "Copy it again.", path
        ) from error
    try:
        values = frame.to_numpy(dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise StudyError(f"values that are no numbers: {error}", "numbers throughout", where=path) from error
    if not np.isfinite(values).all():
        raise StudyError("values that are not finite", "finite numbers", where=path)
    names = _unique([str(name) for name in frame.index], path)
    return _labelled(values, {"kd": names, "gene": _unique([str(name) for name in frame.columns], path)})


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.parquet as pq

    require_regular(path)
    about = pq.read_metadata(path)
    if about.num_rows * about.num_columns > _MOST_NUMBERS:
        raise ValueError(f"{about.num_rows:,} rows of {about.num_columns:,} columns are declared")
    return pd.read_parquet(path)


def read_array(path: Path, shape: Sequence[int | None]) -> np.ndarray:
    """Return an array of numbers, memory-mapped; None in `shape` admits any length.

    Raises
    ------
    StudyError
        If it is no NumPy file of numbers, is truncated, or has another shape.
    """
    try:
        require_regular(path)
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # of a header that lies NumPy raises what it runs into
        raise StudyError(
            f"not readable as a NumPy array: {error}", "a whole .npy file of numbers", "Copy it again.", path
        ) from error
    wanted = " x ".join("any" if size is None else str(size) for size in shape)
    fits = array.ndim == len(shape) and all(
        size in (None, found) for size, found in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu":
        found = " x ".join(map(str, array.shape))
        raise StudyError(f"{array.dtype} of shape {found}", f"numbers of shape {wanted}", where=path)
    return array


def named_rows(array: np.ndarray, axes: Sequence[str], names: dict[str, list[str]], path: Path) -> xr.DataArray:
    """Return an array with names on its axes, numbered where `names` has none for one.

    Raises
    ------
    StudyError
        If an axis has another length than its names.
    """
    coords: dict[str, Any] = {}
    for axis, size in zip(axes, array.shape, strict=True):
        coords[axis] = names.get(axis, list(range(size)))
        if len(coords[axis]) != size:
            raise StudyError(f"{size} along {axis}, but {len(coords[axis])} names", "one name each", where=path)
    return _labelled(array, coords)


def _labelled(values: np.ndarray, coords: dict[str, Any]) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(values, dims=list(coords), coords=coords)


def _unique(names: list[str], path: Path) -> list[str]:
    if len(set(names)) < len(names) or not names:
        twice = sorted({name for name in names if names.count(name) > 1})[:5]
        raise StudyError(f"{', '.join(twice)} twice" if twice else "no rows", "each name once", where=path)
    return names
