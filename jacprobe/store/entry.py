"""One piece of evidence on disk: a labelled array in Zarr v3, one label of its first axis per chunk.

    <hash>/zarr.json           the group: key, labels and provenance as attributes
    <hash>/values/zarr.json    the array: chunks of one label, no compression, a CRC32C behind each
    <hash>/values/c/<i>/0...   chunk i, written whole (Zarr writes beside and renames)
    <hash>/values/chunks.lock  who computes which chunk: byte i is locked meanwhile, and freed when its process dies

A chunk counts when it is there and its checksum holds; there is no list of chunks that could disagree with them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import StoreError
from jacprobe.store.chunks import ARRAY, CHECKSUM_BYTES, FORMAT, LabelledChunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import xarray as xr
    import zarr

    from jacprobe.store.chunks import Labels, Scalar

_AGAIN = "Delete the folder: it is computed again."
_LOCK, PARTIAL = "chunks.lock", ".partial"


class Entry(LabelledChunks):
    """A labelled array on disk.

    Attributes
    ----------
    path
        Its folder, named by the hash of its key.
    """

    def __init__(self, path: Path) -> None:
        values = path / ARRAY
        require_no_link(path, path / "zarr.json", values, values / "zarr.json", values / "c", values / _LOCK)
        self.path = path
        super().__init__(path, lambda: (path / "zarr.json").read_text(encoding="utf-8"))

    def _open_array(self) -> zarr.Array[Any]:
        import zarr

        mode = "r+" if os.access(self.path, os.W_OK) else "r"
        odd = sorted(item.name for item in self.path.iterdir() if item.name not in ("zarr.json", ARRAY))
        if odd:
            raise StoreError(f"{', '.join(odd[:5])} beside its values", "nothing else", _AGAIN, self.path)
        try:
            # A setting of the opened array, not of the stored one; without it a chunk of zeros is never written.
            with zarr.config.set({"array.write_empty_chunks": True}):
                array = zarr.open_array(self.path / ARRAY, mode=mode)
        except Exception as error:  # whatever Zarr raises of metadata that it does not know
            raise StoreError(f"no array ({error})", "values", _AGAIN, self.path) from error
        self.require_array(array)
        return array

    def chunk_path(self, label: str | int) -> Path:
        """Return the file of a label's chunk."""
        return self.path / self.chunk_key(label)

    def chunk_bytes(self, label: str | int) -> bytes:
        """Return a label's chunk as it is kept, its checksum included."""
        return self.chunk_path(label).read_bytes()

    def chunk_end(self, label: str | int) -> bytes:
        """Return the checksum that stands behind a label's chunk, without reading the rest."""
        with self.chunk_path(label).open("rb") as file:
            file.seek(-CHECKSUM_BYTES, os.SEEK_END)
            return file.read()

    def is_there(self, label: str | int) -> bool:
        """Tell whether a label has a chunk, sound or not."""
        path = self.chunk_path(label)
        require_no_link(path, *path.parents[: len(self.labels) - 1])
        return path.is_file()

    def kept_nbytes(self, label: str | int) -> int:
        """Return the size of a label's chunk on disk."""
        return self.chunk_path(label).stat().st_size

    def drop(self, label: str | int) -> None:
        """Delete a label's chunk, so that it is computed again."""
        self.chunk_path(label).unlink(missing_ok=True)

    def unfinished(self, label: str | int) -> list[Path]:
        """Return what writers of a label's chunk have not finished; stale where one holds its claim."""
        path = self.chunk_path(label)
        return list(path.parent.glob(f"{path.name}.*{PARTIAL}"))

    def sweep(self, label: str | int) -> None:
        """Delete what killed writers of a label's chunk left; hold its claim."""
        for file in self.unfinished(label):
            file.unlink(missing_ok=True)

    def left_behind(self) -> list[str]:
        """Return what killed writers left of chunks that nobody is writing now, relative to the entry."""
        found: list[Path] = []
        for label in self.names:
            with self.claim(label) as mine:
                if mine:
                    found += self.unfinished(label)
        return [str(path.relative_to(self.path)) for path in found]

    @contextmanager
    def claim(self, label: str | int) -> Iterator[bool]:
        """Hold a label's chunk against other processes; yields False at once where another one holds it.

        The operating system frees the claim when the process dies, however it dies.
        """
        byte = self.place(label)
        try:
            lock = (self.path / ARRAY / _LOCK).open("r+b")
        except OSError as error:
            raise StoreError(
                f"nothing can be computed into it ({error})",
                f"the chunk of {label!r}, which it lacks, or a folder that can be written",
                "Give --store DIR, and this one as --shared-store.",
                self.path,
            ) from error
        with lock as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except OSError:
                yield False
                return
            yield True  # closing the file frees it

    def open(self) -> xr.DataArray:
        """Return the whole entry, read lazily; chunks that are not there read as NaN."""
        return self.opened(self.path)


def require_no_link(*paths: Path) -> None:
    """Refuse symbolic links inside a store: what is read, written and deleted through them lies elsewhere.

    Raises
    ------
    StoreError
        The first that is one.
    """
    for path in paths:
        if path.is_symlink():
            raise StoreError(
                "a symbolic link inside a store",
                "a file or folder of its own",
                "Delete the link; a store as a whole may be linked to, given by --store or --shared-store.",
                path,
            )


def create(path: Path, key: Mapping[str, Scalar], labels: Labels, dtype: str, attrs: Mapping[str, str]) -> None:
    """Make an empty entry at `path`: built beside and renamed, so that it is there whole or not at all."""
    import zarr
    from zarr.codecs import Crc32cCodec

    shape = [len(names) for names in labels.values()]
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    attributes = {
        "format": FORMAT,
        "key": dict(key),
        "labels": {axis: list(names) for axis, names in labels.items()},
        "attrs": dict(attrs),
    }
    try:
        group = zarr.open_group(beside, mode="w-", zarr_format=3, attributes=attributes)
        group.create_array(
            ARRAY,
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype=dtype,
            dimension_names=list(labels),
            compressors=[Crc32cCodec()],
            # Whole numbers have no NaN; what is missing is known by its file, not by its value.
            fill_value=float("nan") if np.dtype(dtype).kind == "f" else 0,
        )
        (beside / ARRAY / _LOCK).touch()
        beside.rename(path)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StoreError(f"no entry can be made ({error})", "a writable disk with room", where=path) from error
