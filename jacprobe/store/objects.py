"""Evidence on an object store, through fsspec: s3://bucket/prefix and whatever else fsspec reaches.

The entries are those of `jacprobe.store.entry`, byte for byte. There are no locks: who computes what is settled
beforehand, by shards or by the scheduler that hands out the blocks. Two writers of one chunk write the same bytes, and
an object is there whole or not at all, so that the worst of a mistake is work done twice.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import InputError, StoreError, UnreachableStoreError
from jacprobe.store.chunks import ARRAY, CHECKSUM_BYTES, LabelledChunks, is_key_hash, key_hash
from jacprobe.store.entry import create

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    import xarray as xr
    import zarr
    from fsspec import AbstractFileSystem

    from jacprobe.store.chunks import Labels, Scalar


def is_address(place: object) -> bool:
    """Tell whether a store's place is an address such as s3://bucket/evidence, and no folder."""
    return "://" in str(place)


class ObjectEntry(LabelledChunks):
    """A labelled array on an object store.

    Which chunks are there is listed once, when the entry is opened: listing is what object stores are slow at, and what
    others write meanwhile belongs to others. A chunk counts by its size; its checksum is looked at when it is read.
    """

    def __init__(self, store: ObjectStore, name: str) -> None:
        self._store, self._name = store, name
        super().__init__(f"{store.address}/{name}", lambda: store.get(f"{name}/zarr.json"))
        self._sizes = store.sizes(f"{name}/{ARRAY}/c")

    def _open_array(self) -> zarr.Array[Any]:
        import zarr

        with self._store.told(self.where), zarr.config.set({"array.write_empty_chunks": True}):
            array = zarr.open_array(self._store.zarr(f"{self._name}/{ARRAY}"), mode="r+")
        self.require_array(array)
        return array

    def kept_nbytes(self, label: str | int) -> int:
        """Return the size of a label's chunk as it was listed."""
        return self._sizes[self._relative(label)]

    def chunk_bytes(self, label: str | int) -> bytes:
        """Return a label's chunk as it is kept, its checksum included."""
        return self._store.get(f"{self._name}/{self.chunk_key(label)}")

    def chunk_end(self, label: str | int) -> bytes:
        """Return the checksum that stands behind a label's chunk, without reading the rest."""
        return self._store.get(f"{self._name}/{self.chunk_key(label)}", -CHECKSUM_BYTES)

    def is_there(self, label: str | int) -> bool:
        """Tell whether a label had a chunk when the entry was opened, or has been given one since."""
        return self._relative(label) in self._sizes

    def fault(self, label: str | int) -> str | None:
        """Return what is wrong with the size of a label's chunk, or None; one that is not there is no fault."""
        size = self._sizes.get(self._relative(label), self.chunk_nbytes)
        return None if size == self.chunk_nbytes else f"a chunk of {size} bytes for {label!r}, not {self.chunk_nbytes}"

    def write(self, label: str | int, values: Any) -> None:
        """Write the values of one label, whole or not at all; errors as of `LabelledChunks.write`."""
        with self._store.told(self.where):
            super().write(label, values)
        self._sizes[self._relative(label)] = self.chunk_nbytes

    def drop(self, label: str | int) -> None:
        """Delete a label's chunk, so that it is computed again."""
        self._store.delete(f"{self._name}/{self.chunk_key(label)}")
        self._sizes.pop(self._relative(label), None)

    def sweep(self, label: str | int) -> None:
        """Do nothing: an object that was not wholly written is not there."""

    def left_behind(self) -> list[str]:
        """Return nothing, for the same reason."""
        return []

    @contextmanager
    def claim(self, label: str | int) -> Iterator[bool]:
        """Yield True: nobody else was given this label."""
        self.place(label)
        yield True

    def open(self) -> xr.DataArray:
        """Return the whole entry, read lazily; chunks that are not there read as NaN."""
        return self.opened(self._store.zarr(self._name, read_only=True))

    def _values(self, label: str | int) -> np.ndarray:
        with self._store.told(self.where):  # what cannot be fetched is not damaged
            return super()._values(label)

    def _relative(self, label: str | int) -> str:
        return self.chunk_key(label).removeprefix(f"{ARRAY}/c/")


@dataclass(frozen=True)
class ObjectStore:
    """Entries under an address.

    Attributes
    ----------
    address
        Such as s3://bucket/evidence; credentials and endpoint are the environment's.
    """

    address: str

    @classmethod
    def at(cls, address: str) -> ObjectStore:
        """Return the store at an address; whether it can be reached shows when it is first used.

        Raises
        ------
        InputError
            An address that fsspec has no driver for, or whose driver is not installed.
        """
        store = cls(address.rstrip("/"))
        try:
            store.__dict__["_fs"] = store._files()
        except (ValueError, ImportError) as error:
            raise InputError(
                f"{address} ({error})", "an address such as s3://bucket/evidence", "pip install 'jacprobe[cluster]'"
            ) from error
        return store

    def find(self, key: Mapping[str, Scalar]) -> list[ObjectEntry]:
        """Return the entry of a key, or nothing."""
        name = key_hash(key)
        return [ObjectEntry(self, name)] if self._has(f"{name}/zarr.json") else []

    def entry(self, key: Mapping[str, Scalar], labels: Labels, dtype: str, attrs: Mapping[str, str]) -> ObjectEntry:
        """Return the entry of a key, made now if it is not there; whoever makes it writes the same bytes."""
        name = key_hash(key)
        if not self._has(f"{name}/zarr.json"):
            with tempfile.TemporaryDirectory() as folder:
                made = Path(folder) / name
                create(made, key, labels, dtype, attrs)
                # The group's metadata last: by it the entry is there.
                for part in (f"{ARRAY}/zarr.json", "zarr.json"):
                    self._put(f"{name}/{part}", (made / part).read_bytes())
        entry = ObjectEntry(self, name)
        entry.require_labels(labels)
        return entry

    @property
    def where(self) -> str:
        """Its address."""
        return self.address

    def names(self) -> list[str]:
        """Return the names of its entries, sorted; of an empty or new prefix none."""
        with self.told(""):
            self._fs.invalidate_cache()
            try:
                below: Any = self._fs.ls(self._path(""), detail=False)
            except FileNotFoundError:
                below = self._fs.find(self._path(""))  # which fails where there is no bucket, and not of a new prefix
        names = {str(path).rstrip("/").rpartition("/")[2] for path in below}
        return sorted(name for name in names if is_key_hash(name) and self._has(f"{name}/zarr.json"))

    def opened(self, name: str) -> ObjectEntry:
        """Return an entry; damaged metadata raises `StoreError`."""
        return ObjectEntry(self, name)

    def nbytes(self) -> int:
        """Return the bytes of all objects under the address."""
        return sum(self.sizes("").values())

    def leavings(self) -> list[str]:
        """Return nothing: an object that was not wholly written is not there."""
        return []

    def remove(self, name: str) -> None:
        """Delete an entry, its metadata first: without them nobody finds a part of it."""
        self.delete(f"{name}/zarr.json")
        rest = self.sizes(name)
        for part in rest:
            self.delete(f"{name}/{part}")

    def get(self, name: str, start: int | None = None) -> bytes:
        """Return an object, or from byte `start` on; counted from its end where negative."""
        with self.told(name):
            found: Any = self._fs.cat_file(self._path(name), start=start)
        return bytes(found)

    def delete(self, name: str) -> None:
        """Delete an object."""
        with self.told(name):
            self._fs.rm_file(self._path(name))

    def sizes(self, name: str) -> dict[str, int]:
        """Return the size of every object under a name, listed now: {rest of its name: bytes}."""
        with self.told(name):
            self._fs.invalidate_cache()
            found: Any = self._fs.find(self._path(name), detail=True)
        start = len(self._path(name).rstrip("/")) + 1
        return {path[start:]: int(entry["size"]) for path, entry in found.items()}

    def zarr(self, name: str, *, read_only: bool = False) -> Any:
        """Return a name as a store of Zarr's."""
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(f"{self.address}/{name}", read_only=read_only)

    @contextmanager
    def told(self, where: str) -> Iterator[None]:
        """Turn what goes wrong on the way to the store into a `StoreError` that says what to mend."""
        try:
            yield
        except StoreError as error:
            if isinstance(error.__cause__, PermissionError):
                raise self._refused(where, error.__cause__) from error
            raise
        except PermissionError as error:
            raise self._refused(where, error) from error
        except FileNotFoundError as error:
            raise StoreError(
                f"nothing here ({error})", "a bucket or container that exists", "Make it first.", self.address
            ) from error
        except (OSError, *_driver_errors()) as error:
            raise UnreachableStoreError(
                f"the object store cannot be reached ({type(error).__name__}: {error})",
                "an endpoint that answers, and credentials for it",
                "For s3:// see AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE.",
                self.address,
            ) from error

    def _refused(self, where: str, error: BaseException) -> StoreError:
        return UnreachableStoreError(
            f"the object store refuses these credentials ({error})",
            "credentials that may list, read and write here",
            "For s3:// see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE.",
            f"{self.address} ({where})" if where else self.address,
        )

    @cached_property
    def _fs(self) -> AbstractFileSystem:
        return self._files()

    def _files(self) -> AbstractFileSystem:
        import fsspec

        return fsspec.core.url_to_fs(self.address)[0]

    def _path(self, name: str) -> str:
        path: Any = self._fs._strip_protocol(f"{self.address}/{name}")
        return str(path)

    def _has(self, name: str) -> bool:
        with self.told(name):
            return bool(self._fs.exists(self._path(name)))

    def _put(self, name: str, content: bytes) -> None:
        with self.told(name):
            self._fs.pipe_file(self._path(name), content)


def _driver_errors() -> tuple[type[Exception], ...]:
    """Return what s3fs lets through of its driver's own errors, where it was loaded: they are no OSErrors."""
    botocore = sys.modules.get("botocore.exceptions")
    return () if botocore is None else (botocore.BotoCoreError, botocore.ClientError)
