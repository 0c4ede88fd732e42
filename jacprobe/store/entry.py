"""One piece of evidence on disk: a labelled array in Zarr v3, one label of its first axis per chunk.

    <hash>/zarr.json           the group: key, labels and provenance as attributes
    <hash>/values/zarr.json    the array: chunks of one label, no compression, a CRC32C behind each
    <hash>/values/c/<i>/0...   chunk i, written whole (Zarr writes beside and renames)
    <hash>/values/chunks.lock  who computes which chunk: byte i is locked meanwhile, and freed when its process dies

A chunk counts when it is there and its checksum holds; there is no list of chunks that could disagree with them.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import uuid
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import NewerStoreError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import xarray as xr
    import zarr

    Scalar = str | int | float | bool
    Labels = Mapping[str, Sequence[str] | Sequence[int]]

FORMAT = 1
_ARRAY, _LOCK, _PARTIAL = "values", "chunks.lock", ".partial"


class Entry:
    """A labelled array on disk.

    Attributes
    ----------
    path
        Its folder, named by the hash of its key.
    key
        What determines the values.
    labels
        Names along each axis, in order; chunk i belongs to the i-th name of the first.
    attrs
        Units, direction and provenance.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
            self.format = int(attributes["format"])
            self._read(attributes)
        except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            raise StoreError(
                given=f"metadata that cannot be read ({type(error).__name__}: {error})",
                wanted="an entry as jacprobe writes it",
                mend="Delete the folder: it is computed again.",
                where=path,
            ) from error

    def _read(self, attributes: Any) -> None:
        if self.format > FORMAT:
            raise NewerStoreError(
                given=f"an entry of format {self.format}",
                wanted=f"format {FORMAT}, the newest that this version knows",
                mend="Update jacprobe, or give another store.",
                where=self.path,
            )
        self.key: dict[str, Scalar] = dict(attributes["key"])
        self.labels: dict[str, list[str] | list[int]] = {
            axis: _names(axis, names) for axis, names in dict(attributes["labels"]).items()
        }
        self.attrs: dict[str, str] = dict(attributes["attrs"])
        self._place = {label: i for i, label in enumerate(self.names)}

    @property
    def names(self) -> Sequence[str] | Sequence[int]:
        """Labels of the first axis."""
        return next(iter(self.labels.values()), [])

    @cached_property
    def _array(self) -> zarr.Array[Any]:
        import zarr

        mode = "r+" if os.access(self.path, os.W_OK) else "r"
        try:
            # A setting of the opened array, not of the stored one; without it a chunk of zeros is never written.
            with zarr.config.set({"array.write_empty_chunks": True}):
                return zarr.open_array(self.path / _ARRAY, mode=mode)
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(
                f"no array ({error})", "values", "Delete the folder: it is computed again.", self.path
            ) from error

    @property
    def chunk_nbytes(self) -> int:
        """Size of one chunk on disk: its values and four bytes of checksum."""
        return math.prod(self._array.shape[1:]) * self._array.dtype.itemsize + 4

    def require_labels(self, labels: Labels) -> None:
        """Raise `StoreError` if the entry has other labels than these."""
        wanted = {axis: list(names) for axis, names in labels.items()}
        if self.labels != wanted:
            raise StoreError(
                f"other labels along {', '.join(axis for axis in wanted if self.labels.get(axis) != wanted[axis])}",
                "one key for one model, whose names never change",
                "Put what differs into the key.",
                self.path,
            )

    def place(self, label: str | int) -> int:
        """Return the chunk of a label."""
        if label not in self._place:
            raise StoreError(f"no {label!r} in this entry", f"one of its {len(self.names)} labels", where=self.path)
        return self._place[label]

    def chunk_path(self, label: str | int) -> Path:
        """Return the file of a label's chunk."""
        return self.path / _ARRAY / "/".join(["c", str(self.place(label)), *["0"] * (len(self.labels) - 1)])

    def has(self, label: str | int) -> bool:
        """Tell whether a label's chunk is there and its checksum holds."""
        return self.chunk_path(label).is_file() and self.fault(label) is None

    def fault(self, label: str | int) -> str | None:
        """Return what is wrong with a label's chunk, or None; one that is not there is no fault."""
        if not self.chunk_path(label).is_file():
            return None
        try:
            self.read(label)
        except StoreError as error:
            return error.given
        return None

    def read(self, label: str | int) -> np.ndarray:
        """Return the values of one label.

        Raises
        ------
        StoreError
            They are not there, or their checksum does not hold.
        """
        path = self.chunk_path(label)
        if not path.is_file():
            raise StoreError(f"nothing for {label!r} yet", "a computed chunk", "Collect it.", path)
        try:
            values = np.asarray(self._array[self.place(label)])
        except (ValueError, OSError, RuntimeError) as error:
            raise StoreError(
                given=f"a damaged chunk for {label!r} ({error})",
                wanted="bytes whose checksum holds",
                mend="Collect it again: damaged chunks are recomputed.",
                where=path,
            ) from error
        return values

    def write(self, label: str | int, values: np.ndarray) -> None:
        """Write the values of one label, whole or not at all.

        Raises
        ------
        StoreError
            Values of another shape or dtype, or not finite; the disk is full or cannot be written.
        """
        array = self._array
        if values.shape != array.shape[1:] or values.dtype != array.dtype:
            raise StoreError(
                f"{values.dtype} values of shape {values.shape} for {label!r}",
                f"{array.dtype} of shape {array.shape[1:]}",
                where=self.path,
            )
        if not np.isfinite(values).all():
            raise StoreError(f"values that are not finite for {label!r}", "finite evidence", where=self.path)
        try:
            array[self.place(label)] = values
        except OSError as error:
            self.sweep(label)
            raise StoreError(
                given=f"{label!r} cannot be written ({error})",
                wanted=f"{values.nbytes / 2**20:.1f} MiB of room",
                mend="Make room or give --store DIR on another disk; collecting again goes on from here.",
                where=self.path,
            ) from error

    def drop(self, label: str | int) -> None:
        """Delete a label's chunk, so that it is computed again."""
        self.chunk_path(label).unlink(missing_ok=True)

    def unfinished(self, label: str | int) -> list[Path]:
        """Return what writers of a label's chunk have not finished; stale where one holds its claim."""
        path = self.chunk_path(label)
        return list(path.parent.glob(f"{path.name}.*{_PARTIAL}"))

    def sweep(self, label: str | int) -> None:
        """Delete what killed writers of a label's chunk left; hold its claim."""
        for file in self.unfinished(label):
            file.unlink(missing_ok=True)

    @contextmanager
    def claim(self, label: str | int) -> Iterator[bool]:
        """Hold a label's chunk against other processes; yields False at once where another one holds it.

        The operating system frees the claim when the process dies, however it dies.
        """
        byte = self.place(label)
        with (self.path / _ARRAY / _LOCK).open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except OSError:
                yield False
                return
            yield True  # closing the file frees it

    def open(self) -> xr.DataArray:
        """Return the whole entry, read lazily; chunks that are not there read as NaN."""
        import xarray as xr

        data = xr.open_dataset(self.path, engine="zarr", consolidated=False, chunks=None, decode_cf=False)
        array = data[_ARRAY].drop_attrs()
        return array.assign_coords(self.labels).assign_attrs(self.attrs).rename(str(self.attrs.get("name", _ARRAY)))


def _names(axis: str, names: Any) -> list[Any]:
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise TypeError(f"labels along {axis} are no list of names")
    return names


def create(path: Path, key: Mapping[str, Scalar], labels: Labels, dtype: str, attrs: Mapping[str, str]) -> None:
    """Make an empty entry at `path`: built beside and renamed, so that it is there whole or not at all."""
    import zarr
    from zarr.codecs import Crc32cCodec

    shape = [len(names) for names in labels.values()]
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
    attributes = {
        "format": FORMAT,
        "key": dict(key),
        "labels": {axis: list(names) for axis, names in labels.items()},
        "attrs": dict(attrs),
    }
    try:
        group = zarr.open_group(beside, mode="w-", zarr_format=3, attributes=attributes)
        group.create_array(
            _ARRAY,
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype=dtype,
            dimension_names=list(labels),
            compressors=[Crc32cCodec()],
            # Whole numbers have no NaN; what is missing is known by its file, not by its value.
            fill_value=float("nan") if np.dtype(dtype).kind == "f" else 0,
        )
        (beside / _ARRAY / _LOCK).touch()
        beside.rename(path)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StoreError(f"no entry can be made ({error})", "a writable disk with room", where=path) from error
