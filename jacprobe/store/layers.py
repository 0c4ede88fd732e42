"""The layers of a store for those who look after it, wherever they lie: folders and object stores."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jacprobe.store.chunks import is_key_hash
from jacprobe.store.entry import PARTIAL, Entry
from jacprobe.store.objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jacprobe.store.chunks import LabelledChunks
    from jacprobe.store.store import Store

_ABANDONED_SECONDS = 3600  # after which a folder that was never finished belongs to nobody


class Layer(Protocol):
    """Entries in one place."""

    @property
    def where(self) -> str:
        """Its folder or address."""
        ...

    def names(self) -> list[str]:
        """Return the names of its entries, sorted."""
        ...

    def opened(self, name: str) -> LabelledChunks:
        """Return an entry; damaged metadata raises `StoreError`."""
        ...

    def nbytes(self) -> int:
        """Return the bytes in it, everything counted."""
        ...

    def leavings(self) -> list[str]:
        """Return the names of what killed writers left beside the entries."""
        ...

    def remove(self, name: str) -> None:
        """Delete an entry or something else in the layer."""
        ...


def layers_of(store: Store | ObjectStore) -> list[Layer]:
    """Return the layers of a store, the own one first."""
    if isinstance(store, ObjectStore):
        return [store]
    return [*map(Folder, store.layers), *store.objects]


@dataclass(frozen=True)
class Folder:
    """A layer that is a folder; one that is not there yet is empty."""

    path: Path

    @property
    def where(self) -> str:
        """Its path."""
        return str(self.path)

    def names(self) -> list[str]:
        """Return the names of its entries, sorted."""
        return sorted(path.name for path in self._inside() if is_key_hash(path.name) and path.is_dir())

    def opened(self, name: str) -> Entry:
        """Return an entry; damaged metadata raises `StoreError`."""
        return Entry(self.path / name)

    def nbytes(self) -> int:
        """Return the bytes on disk, everything counted."""
        return sum(_sizes(self.path))

    def leavings(self) -> list[str]:
        """Return the names of entries that were begun an hour ago and never made."""
        partial = (path for path in self._inside() if path.name.endswith(PARTIAL))
        return sorted(path.name for path in partial if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS)

    def remove(self, name: str) -> None:
        """Delete a file, a folder with all in it, or a link but not what it leads to."""
        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _inside(self) -> Iterator[Path]:
        return self.path.iterdir() if self.path.is_dir() else iter(())


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            if path.is_file():
                yield path.stat().st_size
        except FileNotFoundError:  # a file that another process has just renamed
            continue
