"""Where evidence is kept: a folder of entries, with read-only shared stores under it, folders or object stores."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.errors import InputError, NewerStoreError, StoreError
from jacprobe.store.chunks import FORMAT, key_hash
from jacprobe.store.entry import Entry, create, require_no_link
from jacprobe.store.objects import ObjectStore, is_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.store.chunks import LabelledChunks, Labels, Scalar

ESTIMATES = "estimates"
MARK, _TAG = "jacprobe-store.json", "CACHEDIR.TAG"


def default_root() -> Path:
    """Return the user's store: under `XDG_CACHE_HOME` where it is set, else where the platform keeps caches."""
    import platformdirs

    given = os.environ.get("XDG_CACHE_HOME")
    base = Path(given) / "jacprobe" if given else Path(platformdirs.user_cache_path("jacprobe"))
    return base / "store"


@dataclass(frozen=True)
class Store:
    """A folder of entries, each named by the hash of its key.

    Attributes
    ----------
    root
        Where entries are written; made when the first one is.
    shared
        Stores that are only read. What they hold is not computed again.
    objects
        Object stores that are only read. What they hold of an entry is copied when it is first asked for.
    """

    root: Path
    shared: tuple[Path, ...] = ()
    objects: tuple[ObjectStore, ...] = ()

    @classmethod
    def at(cls, root: str | Path | None = None, shared: Sequence[str | Path] = ()) -> Store:
        """Return the store in `root` (the user's where None), with shared ones under it.

        Raises
        ------
        StoreError
            A store of a newer version; a path that is no folder; a shared store that is not there; an object store as
            the own one, since on it nobody could hold what he is computing against others.
        """
        if root is not None and is_address(root):
            raise StoreError(
                "an object store for the evidence of a run",
                "a folder, for its locks",
                f"Give --shared-store {root}.",
                root,
            )
        own = default_root() if root is None else Path(root)
        layers = tuple(Path(path) for path in shared if not is_address(path))
        objects = tuple(ObjectStore.at(str(path)) for path in shared if is_address(path))
        for layer in layers:
            if not layer.is_dir():
                raise StoreError("no shared store here", "a folder of evidence", where=layer)
        for path in (own, *layers):
            require_no_link(*(path / name for name in (MARK, _TAG, ESTIMATES, "locks", "create.lock")))
            _check_version(path)
        return cls(own, layers, objects)

    @property
    def layers(self) -> tuple[Path, ...]:
        """All folders, the own one first."""
        return (self.root, *self.shared)

    def find(self, key: Mapping[str, Scalar]) -> list[Entry]:
        """Return the entries of a key, one of each layer that has it, the own one first."""
        paths = [layer / key_hash(key) for layer in self.layers]
        return [Entry(path) for path in paths if path.is_dir()]

    def entry(self, key: Mapping[str, Scalar], labels: Labels, dtype: str, attrs: Mapping[str, str]) -> Entry:
        """Return the own entry of a key, made now if it is not there; one process makes it, others wait.

        Chunks that a shared store holds are copied, so that they are not computed again.

        Raises
        ------
        StoreError
            The store cannot be written, or the entry has other labels.
        """
        from filelock import FileLock

        path = self.root / key_hash(key)
        if not path.is_dir():
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                with FileLock(self.root / "create.lock"):
                    _write_mark(self.root)
                    if not path.is_dir():
                        create(path, key, labels, dtype, attrs)
            except OSError as error:
                raise StoreError(
                    f"the store cannot be written ({error})", "a writable folder", "Give --store DIR.", self.root
                ) from error
        entry = Entry(path)
        entry.require_labels(labels)
        others: list[LabelledChunks] = [other for other in self.find(key) if other.path != path]
        others += [found for store in self.objects for found in store.find(key)]
        for other in others:
            _copy_chunks(other, entry)
        return entry


def store_at(place: str | Path | None = None, shared: Sequence[str | Path] = ()) -> Store | ObjectStore:
    """Return the store at a folder (the user's where None) or at an address, for what needs no locks or brings its own.

    Raises
    ------
    InputError
        Shared stores under an object store, or an address of a kind that nothing reads.
    StoreError
        As of `Store.at`.
    """
    if place is None or not is_address(place):
        return Store.at(place, shared)
    if shared:
        raise InputError(
            f"--shared-store beside --store {place}", "one of them", "Give a folder as --store.", "an object store"
        )
    return ObjectStore.at(str(place))


def _copy_chunks(source: LabelledChunks, target: Entry) -> None:
    """Copy the chunks that only `source` has, each whole or not at all; what is damaged is found when it is read."""
    for label in target.names:
        chunk = target.chunk_path(label)
        if chunk.is_file() or source.labels != target.labels or not source.has(label):
            continue
        with target.claim(label) as mine:
            if mine:
                chunk.parent.mkdir(parents=True, exist_ok=True)
                beside = chunk.with_name(f"{chunk.name}.copy.partial")
                beside.write_bytes(source.chunk_bytes(label))
                beside.replace(chunk)


def _check_version(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise StoreError("a file", "a folder of evidence", where=root)
    mark = root / MARK
    if not mark.exists():
        return
    try:
        found = int(json.loads(mark.read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"unreadable ({error})", "the mark of a jacprobe store", "Delete this file.", mark) from error
    if found > FORMAT:
        raise NewerStoreError(
            given=f"a store of format {found}",
            wanted=f"format {FORMAT}, the newest that this version knows",
            mend="Update jacprobe, or give another store.",
            where=root,
        )


def _write_mark(root: Path) -> None:
    """Write the store's format and the mark by which backup programs leave caches out."""
    if not (root / MARK).exists():
        beside = root / f"{MARK}.{os.getpid()}"
        beside.write_text(json.dumps({"format": FORMAT}) + "\n", encoding="utf-8")
        beside.replace(root / MARK)
        (root / _TAG).write_text("Signature: 8a477f597d28d172789f06886806bc55\n", encoding="utf-8")
