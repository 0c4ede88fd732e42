"""Look after a store: list it, measure it, check it, clear it. The logic of `jacprobe store list|size|verify|gc`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe.errors import NewerStoreError, StoreError, UnreachableStoreError
from jacprobe.store.layers import layers_of
from jacprobe.store.store import ESTIMATES, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jacprobe.store.chunks import LabelledChunks, Scalar
    from jacprobe.store.objects import ObjectStore


@dataclass(frozen=True)
class Listing:
    """An entry at a glance.

    Attributes
    ----------
    where
        Its folder or address.
    key
        What determines its values.
    shape
        Length of each axis.
    chunks, total
        Chunks there, and all.
    nbytes
        Size of the chunks as they are kept.
    shared
        Whether it lies in a store that is only read.
    """

    where: str
    key: Mapping[str, Scalar]
    shape: Mapping[str, int]
    chunks: int
    total: int
    nbytes: int
    shared: bool


@dataclass(frozen=True)
class Fault:
    """Something damaged: the file or object, for which label (None: the whole entry), and what."""

    where: str
    label: str | None
    problem: str


def list_entries(store: Store | ObjectStore) -> list[Listing]:
    """Return what the store and its shared layers hold; chunks are counted, not read.

    Raises
    ------
    StoreError
        An entry whose metadata cannot be read (`verify` names them all), or an object store that cannot be reached.
    """
    found = []
    for i, layer in enumerate(layers_of(store)):
        for name in layer.names():
            entry = layer.opened(name)
            sizes = [entry.kept_nbytes(label) for label in entry.names if entry.is_there(label)]
            shape = {axis: len(names) for axis, names in entry.labels.items()}
            found.append(Listing(entry.where, entry.key, shape, len(sizes), len(entry.names), sum(sizes), i > 0))
    return found


def size(store: Store | ObjectStore) -> dict[str, int]:
    """Return the bytes that each layer holds, everything counted."""
    return {layer.where: layer.nbytes() for layer in layers_of(store)}


def verify(store: Store | ObjectStore, mend: bool = False) -> list[Fault]:
    """Read every chunk and return what is damaged, in all layers.

    With `mend`, damaged chunks and entries of the own store are deleted, so that the next run computes them again;
    shared stores are never changed. An object store has no locks, so that a chunk which somebody mends meanwhile may be
    deleted: `jacprobe store missing` names it, and it is computed once more.

    Raises
    ------
    NewerStoreError
        An entry that a newer version wrote, which this one can neither check nor may delete.
    UnreachableStoreError
        An object store that stops answering: what cannot be read is not taken for damaged.
    """
    faults = []
    for i, layer in enumerate(layers_of(store)):
        mending = mend and i == 0
        for name in layer.names():
            try:
                faults.extend(_damaged_chunks(layer.opened(name), mending))
            except (NewerStoreError, UnreachableStoreError):
                raise
            except StoreError as error:
                faults.append(Fault(f"{layer.where}/{name}", None, error.given))
                if mending:
                    layer.remove(name)
    return faults


def _damaged_chunks(entry: LabelledChunks, mending: bool) -> Iterator[Fault]:
    for label in entry.names:
        problem = entry.damage(label)
        if problem is None:
            continue
        yield Fault(f"{entry.where}/{entry.chunk_key(label)}", str(label), problem)
        if mending:
            entry.drop(label)


def gc(
    store: Store | ObjectStore,
    current: Mapping[str, Scalar] | None = None,
    code: str | None = None,
    dry_run: bool = False,
) -> list[str]:
    """Delete from the own store what no run will read again, and return it.

    That is: what killed writers left behind, entries of a superseded version of their probe, and estimates that other
    code measured. An object store holds only the second of these: its objects are there whole or not at all, and
    estimates are kept in folders. It has no locks; deleting is safe all the same, since what goes has a key that this
    version neither reads nor writes, and its metadata go first, so that nobody finds a part of it.

    Parameters
    ----------
    store
        The store; shared layers are never changed.
    current
        Version of each probe now; an entry goes whose key names the probe (`probe`) with another `version`.
    code
        Digest of the code that measures now (`jacprobe.kept_estimates.code_digest`); None keeps all estimates.
    dry_run
        Whether only to say what would go.
    """
    own = layers_of(store)[0]
    gone = own.leavings()
    for name in own.names():
        entry = own.opened(name)
        probe = str(entry.key.get("probe"))
        if current is not None and probe in current and entry.key.get("version") != current[probe]:
            gone.append(name)
        else:
            gone.extend(f"{name}/{part}" for part in entry.left_behind())
    if code is not None and isinstance(store, Store) and (store.root / ESTIMATES).is_dir():
        kept = sorted(path.name for path in (store.root / ESTIMATES).iterdir())
        gone.extend(f"{ESTIMATES}/{name}" for name in kept if name != code)
    if not dry_run:
        for name in gone:
            own.remove(name)
    return [f"{own.where}/{name}" for name in gone]
