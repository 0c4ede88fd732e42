"""Filling a store: which entries a study needs, in tasks, in blocks for others to compute, and in shards.

A *task* is one entry, a probe of one model over one draw of control cells. A *block* is what is computed in one go of
it, a number of names along its first axis. A *shard* is every n-th block of each probe: the part of one of n machines
that know nothing of each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jacprobe.errors import InputError, inert, unknown_names
from jacprobe.kept_chunks import KEPT, filled, key
from jacprobe.requests import Delta, Jacobian, Knockout, OverCells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jacprobe.store.chunks import Scalar
    from jacprobe.store.fill import Progress
    from jacprobe.store.objects import ObjectStore
    from jacprobe.store.store import Store
    from jacprobe.studies import Study

PROBES: dict[str, type[Delta] | type[Jacobian] | type[Knockout]] = {
    "delta": Delta,
    "jacobian": Jacobian,
    "knockout": Knockout,
}


@dataclass(frozen=True)
class Task:
    """An entry to fill: a request, and which names of its first axis."""

    request: OverCells
    names: tuple[str, ...]

    @property
    def probe(self) -> str:
        """Name of the probe."""
        return KEPT[type(self.request)].probe

    @property
    def title(self) -> str:
        """The request in words: probe, role, draw."""
        return inert(f"{self.probe} {self.request.role} draw {self.request.draw}")

    @property
    def blocks(self) -> Iterator[Task]:
        """The same task in blocks of names that are computed together."""
        size = KEPT[type(self.request)].block
        for start in range(0, len(self.names), size):
            yield replace(self, names=self.names[start : start + size])


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that "3/16" means.

        Raises
        ------
        InputError
            Anything but i/n with 1 <= i <= n.
        """
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise InputError(f"--shard {text}", "i/n with i from 1 to n, such as 3/16", where="collect")
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def tasks(study: Study, probes: Sequence[str] = (), kds: int | None = None, draws: int = 1) -> list[Task]:
    """Return what `collect` fills, in order.

    Parameters
    ----------
    study
        All of its models are covered.
    probes
        Names of `PROBES`; all where empty.
    kds
        How many names of the first axis, spread evenly over the model's list; all where None.
    draws
        Disjoint draws of control cells.

    Raises
    ------
    UnknownNameError
        Unknown probes.
    InputError
        Numbers below 1, or fewer control cells than so many draws need.
    """
    unknown = [name for name in probes if name not in PROBES]
    if unknown:
        raise unknown_names("probe", unknown, list(PROBES), where="--probe")
    if draws < 1 or (kds is not None and kds < 1):
        raise InputError(f"--kds {kds}, --draws {draws}", "at least 1 of each", where="collect")
    found = []
    for role in study.models:
        identity = study.identity(role)
        study.control_cells(role, draws - 1)  # fails before anything is computed where there are too few cells
        for probe in probes or PROBES:
            for draw in range(draws):
                request = PROBES[probe](role, draw=draw)
                names = [str(name) for name in next(iter(KEPT[type(request)].labels(identity).values()))]
                step = max(1, len(names) // kds) if kds else 1
                found.append(Task(request, tuple(names[::step][:kds])))
    return found


def of_shard(todo: Sequence[Task], shard: Shard) -> list[Task]:
    """Return what one shard does of the tasks: every n-th block of each probe, so that shards cost alike."""
    dealt: Counter[str] = Counter()
    found = []
    for task in todo:
        names: list[str] = []
        for block in task.blocks:
            if dealt[task.probe] % shard.of == shard.number - 1:
                names.extend(block.names)
            dealt[task.probe] += 1
        if names:
            found.append(replace(task, names=tuple(names)))
    return found


def require_whole(todo: Sequence[Task], shards: Sequence[Shard]) -> None:
    """Raise `InputError`, naming what is at fault, unless the shards do every name of the tasks once."""
    by: dict[tuple[OverCells, str], list[Shard]] = {(task.request, name): [] for task in todo for name in task.names}
    for shard in shards:
        for task in of_shard(todo, shard):
            for name in task.names:
                by[task.request, name].append(shard)
    titles = {task.request: task.title for task in todo}
    missed = [f"{titles[request]} {name}" for (request, name), own in by.items() if not own]
    twice = {at: own for at, own in by.items() if len(own) > 1}
    said = []
    if missed:
        said.append(f"nobody does {some(missed)}")
    for both in dict.fromkeys(tuple(own) for own in twice.values()):
        names = [f"{titles[request]} {name}" for (request, name), own in twice.items() if tuple(own) == both]
        said.append(f"{' and '.join(map(str, both))} both do {some(names)}")
    if said:
        raise InputError("; ".join(said), "shards 1/n to n/n of one n, each once", where="--shard")


def some(names: Sequence[str], most: int = 6) -> str:
    """Return names for people: the first ones, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def missing(task: Task, store: Store | ObjectStore, entry_key: Mapping[str, Scalar], *, sound: bool = False) -> Task:
    """Return the task without the names whose chunk a store has; with `sound`, one whose checksum holds."""
    entries = store.find(entry_key)
    left = [name for name in task.names if not any((e.has if sound else e.is_there)(name) for e in entries)]
    return replace(task, names=tuple(left))


def missing_of(study: Study, todo: Sequence[Task], store: Store | ObjectStore) -> list[Task]:
    """Return what of the tasks a store lacks; chunks are looked for, not read."""
    left = (missing(task, store, key(task.request, study)) for task in todo)
    return [task for task in left if task.names]


def collect(
    study: Study,
    todo: Sequence[Task],
    progress: Callable[[Task, Progress], None] | None = None,
    store: Store | ObjectStore | None = None,
) -> None:
    """Fill a store, the study's own or another; what is there is not computed again, and a stop loses nothing of it.

    Raises
    ------
    InputError
        Where there is no store.
    """
    target = store or study.store
    if target is None:
        raise InputError(f"the study {study.name} without a store", "a folder for the evidence", "Give --store DIR.")
    for task in todo:
        told = None if progress is None else lambda now, task=task: progress(task, now)
        filled(task.request, study, target, task.names, told)
