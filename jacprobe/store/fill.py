"""Compute what a store does not hold yet, chunk by chunk, beside other processes that do the same."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr

    from jacprobe.store.chunks import LabelledChunks, Labels, Scalar
    from jacprobe.store.entry import Entry
    from jacprobe.store.objects import ObjectStore
    from jacprobe.store.store import Store

_WAIT_SECONDS = 0.2  # between looks at a chunk that another process computes

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far an entry is.

    Attributes
    ----------
    done, total
        Chunks there, of those asked for.
    computed
        Chunks that this process computed.
    rate
        Chunks per second that have come about since the start, by all processes; 0 at first.
    seconds_left
        What is left at that rate; infinite while there is no rate.
    nbytes
        Size of the chunks there.
    """

    done: int
    total: int
    computed: int
    rate: float
    seconds_left: float
    nbytes: int


def fill(
    entry: LabelledChunks,
    compute: Callable[[Any], np.ndarray],
    labels: Sequence[str] | Sequence[int] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Compute the chunks that are not there or are damaged, and return how many were computed here.

    Each chunk is claimed while it is computed, so that several processes share the work and no chunk is computed twice;
    a chunk that another process holds is waited for, and taken over if that process dies.

    Parameters
    ----------
    entry
        What to fill.
    compute
        From a label of the first axis to its values.
    labels
        Which ones; all where None.
    progress
        Called at the start and after every chunk.

    Raises
    ------
    StoreError
        A value cannot be stored; the disk is full. What was computed before stays.
    """
    wanted = list(entry.names) if labels is None else list(labels)
    left = [label for label in wanted if not _sound(entry, label)]
    report = _Reporter(progress, len(wanted), len(wanted) - len(left), entry.chunk_nbytes)
    computed = 0
    while left:
        held = []
        for label in left:
            with entry.claim(label) as mine:
                if not mine:
                    held.append(label)
                    continue
                if not entry.has(label):
                    entry.sweep(label)
                    entry.write(label, compute(label))
                    computed += 1
            report(computed)
        if len(held) == len(left):
            time.sleep(_WAIT_SECONDS)
        left = held
    return computed


def evidence(
    store: Store | ObjectStore,
    key: Mapping[str, Scalar],
    labels: Labels,
    compute: Callable[[str], np.ndarray],
    *,
    dtype: str = "float32",
    attrs: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> xr.DataArray:
    """Return evidence from the store, computing what no layer of it holds.

    Parameters
    ----------
    store
        Where to look and to write.
    key
        What determines the values: fields of the request, hashes, draw, batch, dtype, engine, version of the probe.
    labels
        Names along each axis, the first one chunked; the model's whole list, so that chunk i always means the same.
    compute
        From a label of the first axis to its values, for this key; called only for what is missing.
    dtype, attrs
        Of a new entry.
    only
        Labels of the first axis that are wanted; all where None.
    progress
        As in `fill`; called once where nothing is missing.

    Returns
    -------
    DataArray
        Lazily read, the labels asked for in their order.
    """
    axis, names = next(iter(labels.items()))
    wanted = [str(name) for name in names] if only is None else list(only)

    def chosen(entry: LabelledChunks) -> xr.DataArray:
        return entry.open() if only is None else entry.open().sel({axis: wanted})

    for found in store.find(key):
        found.require_labels(labels)
        if all(found.has(label) for label in wanted):
            _Reporter(progress, len(wanted), len(wanted), found.chunk_nbytes)
            return chosen(found)
    entry = store.entry(key, labels, dtype, attrs or {})
    fill(entry, compute, wanted, progress)
    return chosen(entry)


def put(store: Store, key: Mapping[str, Scalar], array: xr.DataArray, source: str) -> Entry:
    """Keep evidence that was computed elsewhere, whole; `source` says where, in its attributes.

    Raises
    ------
    StoreError
        An axis without names, or values that are not finite.
    """
    unnamed = [str(axis) for axis in array.dims if axis not in array.coords]
    if unnamed:
        raise StoreError(f"no names along {', '.join(unnamed)}", "names on every axis", where=source)
    labels = {str(axis): array[axis].to_numpy().tolist() for axis in array.dims}
    attrs = {name: str(value) for name, value in array.attrs.items()} | {"source": source}
    entry = store.entry(key, labels, str(array.dtype), attrs)
    place = {name: i for i, name in enumerate(next(iter(labels.values())))}
    fill(entry, lambda label: array[place[label]].to_numpy())
    return entry


def _sound(entry: LabelledChunks, label: str | int) -> bool:
    """Tell whether a chunk is there and whole; a damaged one is named and deleted."""
    fault = entry.fault(label)
    if fault is not None:
        with entry.claim(label) as mine:
            if mine:
                _log.warning("%s: %s; it is computed again", entry.where, fault)
                entry.drop(label)
        return False
    return entry.is_there(label)


class _Reporter:
    """Turns counts into progress."""

    def __init__(self, tell: Callable[[Progress], None] | None, total: int, done: int, chunk_nbytes: int) -> None:
        self._tell, self._total, self._before, self._chunk_nbytes = tell, total, done, chunk_nbytes
        self._start = time.monotonic()
        self._done = done
        self._say(0)

    def __call__(self, computed: int) -> None:
        self._done += 1
        self._say(computed)

    def _say(self, computed: int) -> None:
        if self._tell is None:
            return
        seconds = time.monotonic() - self._start
        rate = (self._done - self._before) / seconds if seconds and self._done > self._before else 0.0
        missing = self._total - self._done
        left = missing / rate if rate else float("inf") if missing else 0.0
        self._tell(Progress(self._done, self._total, computed, rate, left, self._done * self._chunk_nbytes))
