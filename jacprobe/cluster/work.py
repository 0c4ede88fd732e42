"""What runs in a worker process: it opens the study, keeps its weights, and writes the chunks of blocks.

A worker answers with a few numbers; arrays go from it to the store and nowhere else.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jacprobe.errors import ClusterError
from jacprobe.kept_chunks import KEPT, filled, key
from jacprobe.opening import open_study
from jacprobe.store.objects import is_address
from jacprobe.store.store import store_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.collect import Task
    from jacprobe.requests import OverCells
    from jacprobe.store.chunks import Scalar
    from jacprobe.store.fill import Progress
    from jacprobe.store.objects import ObjectStore
    from jacprobe.store.store import Store
    from jacprobe.studies import Study

Key = tuple[tuple[str, "Scalar"], ...]


@dataclass(frozen=True)
class Work:
    """What a worker must know to open the study as the command did.

    Attributes
    ----------
    study, seed, device, models, data
        As of `jacprobe.open_study`; paths are the same on all machines.
    store
        A folder that all workers see, or an address.
    shared
        Stores that are only read.
    """

    study: str
    store: str
    seed: int = 0
    device: str = "auto"
    models: str | None = None
    data: str | None = None
    shared: tuple[str, ...] = ()

    def open(self) -> Study:
        """Return the study, without a store of its own where its evidence goes to an object store."""
        store, shared = (None, ()) if is_address(self.store) else (self.store, self.shared)
        return open_study(
            self.study, self.seed, self.device, store=store, shared=shared, models=self.models, data=self.data
        )

    def target(self) -> Store | ObjectStore:
        """Return where evidence goes."""
        return store_at(self.store, self.shared)


@dataclass(frozen=True)
class Done:
    """What a worker did: chunks that it computed, of how many bytes in all that are there now, in which process."""

    computed: int
    nbytes: int
    seconds: float
    pid: int


@lru_cache(maxsize=1)
def opened(work: Work) -> Study:
    """Return the study, opened once in a process: it holds the models, whose weights are read once."""
    import torch

    torch.set_num_threads(1)
    return work.open()


@lru_cache(maxsize=1)
def prepared(work: Work, request: OverCells) -> Any:
    """Return what computes a request's values; blocks of one entry follow each other, so the last one is held."""
    return KEPT[type(request)].compute(opened(work), request)


def keys(work: Work, requests: Sequence[OverCells]) -> list[Key]:
    """Return the keys under which this process would keep requests: what it was given, and how it computes."""
    study = opened(work)
    return [tuple(sorted(key(request, study).items())) for request in requests]


def compute_block(work: Work, block: Task, wanted: Key) -> Done:
    """Compute and keep a block.

    Raises
    ------
    ClusterError
        Where this process would keep it under another key: it has other weights, cells, versions or products.
    """
    begun = time.perf_counter()
    (own,) = keys(work, [block.request])
    require_same(own, wanted, f"worker {os.uname().nodename}, process {os.getpid()}")
    seen: list[Progress] = []
    study = opened(work)
    filled(block.request, study, work.target(), block.names, seen.append, lambda: prepared(work, block.request))
    return Done(seen[-1].computed, seen[-1].nbytes, time.perf_counter() - begun, os.getpid())


def require_same(own: Key, wanted: Key, where: str) -> None:
    """Raise `ClusterError`, naming what differs, unless two keys are the same."""
    mine, theirs = dict(own), dict(wanted)
    if differing := [name for name in {**theirs, **mine} if mine.get(name) != theirs.get(name)]:
        given = ", ".join(f"{name} {mine.get(name)}" for name in differing)
        other = ", ".join(f"{name} {theirs.get(name)}" for name in differing)
        raise ClusterError(
            f"evidence with {given}", f"{other}, as the others have it", "Make the workers alike.", where
        )
