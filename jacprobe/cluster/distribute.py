"""Handing blocks to workers: a few at a time, so that what the scheduler holds does not grow with the knockdowns.

A worker that dies loses the chunk it was computing; its blocks go to another one, which finds there what was written.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jacprobe.cluster.work import compute_block, keys, require_same
from jacprobe.cluster.workers import Patience, require_fit
from jacprobe.collect import missing
from jacprobe.errors import ClusterError
from jacprobe.store.fill import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client, Future

    from jacprobe.cluster.work import Done, Key, Work
    from jacprobe.collect import Task

AHEAD = 2  # blocks for each worker: one that it computes, and the next
_LOOK_SECONDS = 0.5
# What these say of a connection that breaks, at length, is told by an error of ours.
_TOLD_ANYWAY = ("distributed.batched", "distributed.client", "distributed.comm", "distributed.core")


@dataclass
class Entry:
    """How far one task is."""

    task: Task
    total: int
    done: int
    nbytes: int = 0
    computed: int = 0
    begun: float = field(default_factory=time.monotonic)

    def add(self, names: int, done: Done) -> None:
        """Count a block that has come about."""
        self.done, self.computed = self.done + names, self.computed + done.computed
        self.nbytes += done.nbytes

    @property
    def progress(self) -> Progress:
        """The same as a folder's own progress."""
        rate = self.computed / (time.monotonic() - self.begun) if self.computed else 0.0
        left = self.total - self.done
        seconds = left / rate if rate else float("inf") if left else 0.0
        return Progress(self.done, self.total, self.computed, rate, seconds, self.nbytes)


Queue = deque[tuple[Entry, "Task", "Key"]]


def distribute(
    client: Client,
    work: Work,
    todo: Sequence[Task],
    progress: Callable[[Task, Progress], None] | None = None,
    patience: Patience | None = None,
) -> None:
    """Fill the store of `work` by the workers of a client; what is there is not computed again.

    An interrupt hands out nothing more and waits for what is being computed; a second one ends at once.

    Parameters
    ----------
    client
        Of a scheduler, connected.
    work
        How workers open the study, and where they write.
    todo
        What to fill.
    progress
        Called for a task as its blocks come about, and once where nothing is missing.
    patience
        How long to go on without any worker; a minute where None.

    Raises
    ------
    ClusterError
        The scheduler goes away; no workers; workers that would compute other numbers, named; a block that one worker
        after the other died of.
    KeyboardInterrupt
        After an interrupt, when what was being computed is written.
    """
    patience = patience or Patience()
    with _while_there_is_a_scheduler(client):
        await_workers(client, patience)
        require_fit(client)
        agreed = agreed_keys(client, work, todo)
        entries, queue = _left(work, todo, agreed)
        tell = progress or (lambda _task, _now: None)
        for entry in entries:
            tell(entry.task, entry.progress)
        with stopping() as stop:
            _run(client, work, queue, tell, stop, patience)
    if stop.is_set():
        raise KeyboardInterrupt


@contextmanager
def _while_there_is_a_scheduler(client: Client) -> Iterator[None]:
    """Raise `ClusterError` where the scheduler goes away, whatever Dask makes of it."""
    from distributed import CancelledError
    from distributed.comm.core import CommClosedError

    address = client.scheduler.address if client.scheduler is not None else ""
    for name in _TOLD_ANYWAY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    except (CommClosedError, CancelledError) as error:
        raise ClusterError(
            "the scheduler is gone",
            "one until the work is done",
            "What is written stays, and the same command goes on from there with another one, or without.",
            address,
        ) from error


def await_workers(client: Client, patience: Patience) -> None:
    """Wait for the first worker, or raise `ClusterError`."""
    begun = time.monotonic()
    while not client.nthreads():
        _require_hope(client, patience, begun)
        time.sleep(_LOOK_SECONDS)


def agreed_keys(client: Client, work: Work, todo: Sequence[Task]) -> list[Key]:
    """Return the keys under which all workers keep the tasks; raise `ClusterError` where one would differ."""
    found: Any = client.run(keys, work, [task.request for task in todo])
    first: list[Key]
    (_, first), *others = found.items()
    for address, own in others:
        for mine, theirs in zip(own, first, strict=True):
            require_same(mine, theirs, f"worker {address}")
    return first


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that the first interrupt sets; the second is an interrupt as ever."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals are the main thread's affair
        return
    before = signal.getsignal(signal.SIGINT)

    def first(_number: int, _frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _left(work: Work, todo: Sequence[Task], agreed: Sequence[Key]) -> tuple[list[Entry], Queue]:
    """Return how far each task is, and the blocks of what is missing."""
    target = work.target()
    entries: list[Entry] = []
    queue: Queue = deque()
    for task, key in zip(todo, agreed, strict=True):
        left = missing(task, target, dict(key), sound=True)
        found = target.find(dict(key))
        done = len(task.names) - len(left.names)
        entry = Entry(task, len(task.names), done, done * found[0].chunk_nbytes if found else 0)
        entries.append(entry)
        queue.extend((entry, block, key) for block in left.blocks)
    return entries, queue


def _run(
    client: Client,
    work: Work,
    queue: Queue,
    tell: Callable[[Task, Progress], None],
    stop: threading.Event,
    patience: Patience,
) -> None:
    from distributed import wait

    running: dict[Future[Any], tuple[Entry, Task]] = {}
    seen = time.monotonic()
    while running or (queue and not stop.is_set()):
        workers: Any = client.nthreads()
        seen = time.monotonic() if workers else seen
        if not workers:
            _require_hope(client, patience, seen)
        while queue and not stop.is_set() and len(running) < AHEAD * len(workers):
            entry, block, key = queue.popleft()
            running[client.submit(compute_block, work, block, key, pure=False)] = (entry, block)
        if stop.is_set():
            _cancel_waiting(client, running)
        if not running:
            time.sleep(_LOOK_SECONDS)
            continue
        try:
            with client.as_current():
                wait(list(running), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED")
        except TimeoutError:
            continue
        for future in [future for future in running if future.done()]:
            entry, block = running.pop(future)
            entry.add(len(block.names), _result(future, block))
            tell(entry.task, entry.progress)


def _cancel_waiting(client: Client, running: dict[Future[Any], tuple[Entry, Task]]) -> None:
    """Take back the blocks that no worker computes yet."""
    stacks: Any = client.call_stack()
    computed = {key for calls in stacks.values() for key in calls}
    waiting = [future for future in running if future.key not in computed and not future.done()]
    client.cancel(waiting, force=True)
    for future in waiting:
        del running[future]


def _result(future: Future[Any], block: Task) -> Done:
    from distributed.scheduler import KilledWorker

    try:
        done: Done = future.result()
    except KilledWorker as error:
        raise ClusterError(
            f"{block.title}, {block.names[0]} and on: one worker after the other died of it ({error})",
            "workers that stay alive",
            "They may lack memory: fewer workers on a machine.",
        ) from error
    return done


def _require_hope(client: Client, patience: Patience, since: float) -> None:
    """Raise `ClusterError` where there has been no worker for too long, or none can come any more."""
    if why := patience.ended():
        raise ClusterError(
            f"{why}, and no worker is left",
            "one until the work is done",
            "What is written stays, and the same command goes on from there. A job ends at its walltime, or because its"
            " workers cannot start: its output says which (log_directory, or where the command was typed).",
            "--slurm",
        )
    if time.monotonic() > since + patience.seconds:
        address = client.scheduler.address if client.scheduler is not None else ""
        start = f"Start some with: dask worker {address} --nworkers N --nthreads 1"
        raise ClusterError(f"no worker in {patience.seconds:.0f} seconds", "at least one", start, address)
