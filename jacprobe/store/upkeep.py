"""Look after a store: list it, measure it, check it, clear it. The logic of `jacprobe store list|size|verify|gc`."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe.errors import NewerStoreError, StoreError
from jacprobe.store.entry import Entry
from jacprobe.store.store import ESTIMATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jacprobe.store.chunks import Scalar
    from jacprobe.store.store import Store

_ABANDONED_SECONDS = 3600  # after which a folder that was never finished belongs to nobody


@dataclass(frozen=True)
class Listing:
    """An entry at a glance.

    Attributes
    ----------
    path
        Its folder.
    key
        What determines its values.
    shape
        Length of each axis.
    chunks, total
        Chunks there, and all.
    nbytes
        Size of the chunks on disk.
    shared
        Whether it lies in a store that is only read.
    """

    path: Path
    key: Mapping[str, Scalar]
    shape: Mapping[str, int]
    chunks: int
    total: int
    nbytes: int
    shared: bool


@dataclass(frozen=True)
class Fault:
    """Something damaged: where, for which label (None: the whole entry), and what."""

    path: Path
    label: str | None
    problem: str


def list_entries(store: Store) -> list[Listing]:
    """Return what the store and its shared layers hold; chunks are counted, not read.

    Raises
    ------
    StoreError
        An entry whose metadata cannot be read; `verify` names them all.
    """
    found = []
    for entry in store.entries():
        paths = (entry.chunk_path(label) for label in entry.names)
        sizes = [path.stat().st_size for path in paths if path.is_file()]
        shape = {axis: len(names) for axis, names in entry.labels.items()}
        shared = entry.path.parent != store.root
        found.append(Listing(entry.path, entry.key, shape, len(sizes), len(entry.names), sum(sizes), shared))
    return found


def size(store: Store) -> dict[Path, int]:
    """Return the bytes that each layer holds on disk, everything counted."""
    return {layer: sum(_sizes(layer)) for layer in store.layers}


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            if path.is_file():
                yield path.stat().st_size
        except FileNotFoundError:  # a file that another process has just renamed
            continue


def verify(store: Store, mend: bool = False) -> list[Fault]:
    """Read every chunk and return what is damaged, in all layers.

    With `mend`, damaged chunks and entries of the own store are deleted, so that the next run computes them again;
    shared stores are never changed.

    Raises
    ------
    NewerStoreError
        An entry that a newer version wrote, which this one can neither check nor may delete.
    """
    faults = []
    for layer in store.layers:
        for path in sorted(layer.iterdir()) if layer.is_dir() else ():
            if not (path / "zarr.json").exists() or path.name.endswith(".partial"):
                continue
            mending = mend and layer == store.root
            try:
                faults.extend(_damaged_chunks(Entry(path), mending))
            except NewerStoreError:
                raise
            except StoreError as error:
                faults.append(Fault(path, None, error.given))
                if mending:
                    _remove(path)
    return faults


def _damaged_chunks(entry: Entry, mending: bool) -> Iterator[Fault]:
    for label in entry.names:
        problem = entry.fault(label)
        if problem is None:
            continue
        yield Fault(entry.chunk_path(label), str(label), problem)
        if mending:
            entry.drop(label)


def gc(
    store: Store, current: Mapping[str, Scalar] | None = None, code: str | None = None, dry_run: bool = False
) -> list[Path]:
    """Delete from the own store what no run will read again, and return it.

    That is: what killed writers left behind, entries of a superseded version of their probe, and estimates that other
    code measured.

    Parameters
    ----------
    store
        The store; shared layers are never changed.
    current
        Version of each probe now; an entry goes whose key names the probe (`probe`) with another `version`.
    code
        Digest of the code that measures now (`jacprobe.estimates.code_digest`); None keeps all estimates.
    dry_run
        Whether only to say what would go.
    """
    if not store.root.is_dir():
        return []
    gone = []
    for path in sorted(store.root.iterdir()):
        if path.name.endswith(".partial"):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                gone.append(path)
        elif (path / "zarr.json").exists():
            entry = Entry(path)
            probe = str(entry.key.get("probe"))
            if current is not None and probe in current and entry.key.get("version") != current[probe]:
                gone.append(path)
            else:
                gone.extend(_left_behind(entry))
    estimates = store.root / ESTIMATES
    if code is not None and estimates.is_dir():
        gone.extend(path for path in sorted(estimates.iterdir()) if path.name != code)
    if not dry_run:
        for path in gone:
            _remove(path)
    return gone


def _remove(path: Path) -> None:
    """Delete a file, a folder with all in it, or a link but not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _left_behind(entry: Entry) -> Iterator[Path]:
    """Yield the unfinished files of chunks that nobody is writing now."""
    for label in entry.names:
        with entry.claim(label) as mine:
            if mine:
                yield from entry.unfinished(label)
