"""Filling the store: which entries a study needs, one after the other, with progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe.errors import InputError, unknown_names
from jacprobe.kept import KEPT, kept
from jacprobe.requests import Delta, Jacobian, Knockout, OverCells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jacprobe.store.fill import Progress
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
    def title(self) -> str:
        """The request in words: probe, role, draw."""
        return f"{KEPT[type(self.request)].probe} {self.request.role} draw {self.request.draw}"


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


def collect(study: Study, todo: Sequence[Task], progress: Callable[[Task, Progress], None] | None = None) -> None:
    """Fill the study's store; what is there is not computed again, and what came about before a stop stays.

    Raises
    ------
    InputError
        Where the study has no store.
    """
    if study.store is None:
        raise InputError(f"the study {study.name} without a store", "a folder for the evidence", "Give --store DIR.")
    for task in todo:
        told = None if progress is None else lambda now, task=task: progress(task, now)
        kept(task.request, study, only=task.names, progress=told)
