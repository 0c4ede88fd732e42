"""A labelled array of which each label of the first axis is a chunk of its own, wherever the chunks lie.

Entries in a folder (`jacprobe.store.entry`) and on an object store (`jacprobe.store.objects`) are alike byte for byte;
they differ in how a chunk is found, who may write it, and how it is deleted.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import NewerStoreError, NotFiniteError, StoreError, UnreachableStoreError
from jacprobe.texts import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import xarray as xr
    import zarr

    Scalar = str | int | float | bool
    Labels = Mapping[str, Sequence[str] | Sequence[int]]

FORMAT = 1
ARRAY = "values"
_HASH_LENGTH = 64
CHECKSUM_BYTES = 4  # of the CRC-32C behind each chunk
LARGEST_CHUNK = 2**32  # bytes; a Jacobian of 20,000 genes by 20,000 has 1.6e9


def key_hash(key: Mapping[str, Scalar]) -> str:
    """Return the name of an entry: SHA-256 over its key as JSON with sorted names.

    Raises
    ------
    StoreError
        A value that is no string, finite number or truth value.
    """
    for name, value in key.items():
        if not isinstance(value, (str, int, float, bool)):
            raise StoreError(f"{name} = {value!r} in a key", "strings, numbers and truth values", where="key")
    try:
        text = json.dumps(dict(key), sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise StoreError(f"a key with {error}", "finite numbers", where="key") from error
    return hashlib.sha256(text.encode()).hexdigest()


def is_key_hash(name: str) -> bool:
    """Tell whether a name is that of an entry, so that whatever else lies in the same place is left alone."""
    return len(name) == _HASH_LENGTH and set(name) <= set("0123456789abcdef")


class LabelledChunks(ABC):
    """A labelled array in Zarr v3.

    Attributes
    ----------
    where
        Its folder or address, which ends in the hash of its key.
    key
        What determines the values.
    labels
        Names along each axis, in order; chunk i belongs to the i-th name of the first.
    attrs
        Units, direction and provenance.
    """

    def __init__(self, where: object, metadata: Callable[[], str | bytes]) -> None:
        self.where = str(where)
        try:
            attributes = parse_json(metadata())["attributes"]
            self.format = int(attributes["format"])
            self._read(attributes)
        except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            raise StoreError(
                given=f"metadata that cannot be read ({type(error).__name__}: {error})",
                wanted="an entry as jacprobe writes it",
                mend="Delete the folder: it is computed again.",
                where=self.where,
            ) from error

    def _read(self, attributes: Any) -> None:
        if self.format > FORMAT:
            raise NewerStoreError(
                given=f"an entry of format {self.format}",
                wanted=f"format {FORMAT}, the newest that this version knows",
                mend="Update jacprobe, or give another store.",
                where=self.where,
            )
        self.key: dict[str, Scalar] = dict(attributes["key"])
        self.labels: dict[str, list[str] | list[int]] = {
            axis: _names(axis, names) for axis, names in dict(attributes["labels"]).items()
        }
        self.attrs: dict[str, str] = dict(attributes["attrs"])
        self._place = {label: i for i, label in enumerate(self.names)}

    @cached_property
    def array(self) -> zarr.Array[Any]:
        """The opened Zarr array."""
        return self._open_array()

    @abstractmethod
    def _open_array(self) -> zarr.Array[Any]: ...

    @abstractmethod
    def is_there(self, label: str | int) -> bool:
        """Tell whether a label has a chunk, sound or not."""

    def kept_nbytes(self, label: str | int) -> int:
        """Return the size of a label's chunk as it is kept."""
        return len(self.chunk_bytes(label))

    @abstractmethod
    def drop(self, label: str | int) -> None:
        """Delete a label's chunk, so that it is computed again."""

    @abstractmethod
    def sweep(self, label: str | int) -> None:
        """Delete what killed writers of a label's chunk left; hold its claim."""

    @abstractmethod
    def left_behind(self) -> list[str]:
        """Return what killed writers left of chunks that nobody is writing now, relative to the entry."""

    @abstractmethod
    def claim(self, label: str | int) -> AbstractContextManager[bool]:
        """Hold a label's chunk against other processes; yields False at once where another one holds it."""

    @abstractmethod
    def chunk_bytes(self, label: str | int) -> bytes:
        """Return a label's chunk as it is kept, its checksum included."""

    @abstractmethod
    def chunk_end(self, label: str | int) -> bytes:
        """Return the checksum that stands behind a label's chunk, without reading the rest."""

    @abstractmethod
    def open(self) -> xr.DataArray:
        """Return the whole entry, read lazily; chunks that are not there read as NaN."""

    @property
    def names(self) -> Sequence[str] | Sequence[int]:
        """Labels of the first axis."""
        return next(iter(self.labels.values()), [])

    @property
    def chunk_nbytes(self) -> int:
        """Size of one chunk as it is kept: its values and four bytes of checksum."""
        return math.prod(self.array.shape[1:]) * self.array.dtype.itemsize + CHECKSUM_BYTES

    def require_array(self, array: zarr.Array[Any]) -> None:
        """Refuse an array that is not as this version writes it: its metadata are a stranger's, where the store is.

        Raises
        ------
        StoreError
            Another shape than there are labels, other chunks, codecs or types, or chunks that no memory holds.
        """
        shape = tuple(len(names) for names in self.labels.values())
        wanted = {"shape": shape, "chunks": (1, *shape[1:]), "codecs": ["bytes", "crc32c"], "numbers": True}
        written: Any = array.metadata.to_dict().get("codecs") or ()
        codecs = [str(codec.get("name")) for codec in written]
        found = {
            "shape": tuple(array.shape),
            "chunks": tuple(array.chunks),
            "codecs": codecs,
            "numbers": np.dtype(array.dtype).kind in "fiub",
        }
        odd = [name for name in wanted if found[name] != wanted[name]]
        if odd:
            raise StoreError(
                f"an array with {', '.join(f'{name} {found[name]}' for name in odd)}",
                ", ".join(f"{name} {wanted[name]}" for name in odd),
                "Delete the folder: it is computed again.",
                self.where,
            )
        declared = math.prod(shape[1:]) * np.dtype(array.dtype).itemsize
        if declared > LARGEST_CHUNK:
            raise StoreError(f"chunks of {declared:.3g} bytes", f"up to {LARGEST_CHUNK}", where=self.where)

    def require_labels(self, labels: Labels) -> None:
        """Raise `StoreError` if the entry has other labels than these."""
        wanted = {axis: list(names) for axis, names in labels.items()}
        if self.labels != wanted:
            raise StoreError(
                f"other labels along {', '.join(axis for axis in wanted if self.labels.get(axis) != wanted[axis])}",
                "one key for one model, whose names never change",
                "Put what differs into the key.",
                self.where,
            )

    def place(self, label: str | int) -> int:
        """Return the chunk of a label."""
        if label not in self._place:
            raise StoreError(f"no {label!r} in this entry", f"one of its {len(self.names)} labels", where=self.where)
        return self._place[label]

    def chunk_key(self, label: str | int) -> str:
        """Return where a label's chunk lies, relative to the entry."""
        return "/".join([ARRAY, "c", str(self.place(label)), *["0"] * (len(self.labels) - 1)])

    def has(self, label: str | int) -> bool:
        """Tell whether a label's chunk is there and its checksum holds."""
        return self.is_there(label) and self.fault(label) is None

    def fault(self, label: str | int) -> str | None:
        """Return what is wrong with a label's chunk as far as looking is cheap here, or None; absence is no fault."""
        return self.damage(label)

    def damage(self, label: str | int) -> str | None:
        """Return what is wrong with a label's chunk once all of it is read, or None; absence is no fault.

        Raises
        ------
        UnreachableStoreError
            It cannot be read now, which says nothing about it.
        """
        if not self.is_there(label):
            return None
        try:
            self.read(label)
        except UnreachableStoreError:
            raise
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
        where = f"{self.where}/{self.chunk_key(label)}"
        if not self.is_there(label):
            raise StoreError(f"nothing for {label!r} yet", "a computed chunk", "Collect it.", where)
        size = self.kept_nbytes(label)
        if size != self.chunk_nbytes:
            raise StoreError(
                f"a damaged chunk for {label!r} ({size:,} bytes)",
                f"{self.chunk_nbytes:,}",
                "Collect it again: damaged chunks are recomputed.",
                where,
            )
        try:
            values = self._values(label)
        except (ValueError, OSError, RuntimeError, TypeError) as error:
            raise StoreError(
                given=f"a damaged chunk for {label!r} ({error})",
                wanted="bytes whose checksum holds",
                mend="Collect it again: damaged chunks are recomputed.",
                where=where,
            ) from error
        return values

    def _values(self, label: str | int) -> np.ndarray:
        return np.asarray(self.array[self.place(label)])

    def write(self, label: str | int, values: np.ndarray) -> None:
        """Write the values of one label, whole or not at all.

        Raises
        ------
        StoreError
            Values of another shape or dtype, or not finite; there is no room, or no right to write.
        """
        array = self.array
        if values.shape != array.shape[1:] or values.dtype != array.dtype:
            raise StoreError(
                f"{values.dtype} values of shape {values.shape} for {label!r}",
                f"{array.dtype} of shape {array.shape[1:]}",
                where=self.where,
            )
        if not np.isfinite(values).all():
            raise NotFiniteError(f"values that are not finite for {label!r}", "finite evidence", where=self.where)
        try:
            array[self.place(label)] = values
        except OSError as error:
            self.sweep(label)
            raise StoreError(
                given=f"{label!r} cannot be written ({error})",
                wanted=f"{values.nbytes / 2**20:.1f} MiB of room",
                mend="Make room or give --store DIR on another disk; collecting again goes on from here.",
                where=self.where,
            ) from error

    def opened(self, store: Any) -> xr.DataArray:
        """Return the labelled array that xarray makes of an opened Zarr store."""
        import xarray as xr

        _ = self.array  # refused here if its metadata lie
        try:
            data = xr.open_dataset(store, engine="zarr", consolidated=False, chunks=None, decode_cf=False)
            array = data[ARRAY].drop_attrs().assign_coords(self.labels)
        except (ValueError, TypeError, LookupError, AttributeError, FileNotFoundError) as error:
            raise StoreError(
                f"metadata that cannot be read ({type(error).__name__}: {error})",
                "an entry as jacprobe writes it",
                "Delete the folder: it is computed again.",
                self.where,
            ) from error
        return array.assign_attrs(self.attrs).rename(str(self.attrs.get("name", ARRAY)))


def _names(axis: str, names: Any) -> list[Any]:
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise TypeError(f"labels along {axis} are no list of names")
    return names
