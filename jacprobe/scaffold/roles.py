"""Which run stands for which role: by what its split and its training seed say, by its name where they say nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jacprobe.errors import InputError, unknown_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jacprobe.models.found import FoundRun

# What the roles that claims speak of are: kind of model, its line.
ROLES = {
    "fewshot/hepg2": ("fewshot", "hepg2"),
    "fewshot/jurkat": ("fewshot", "jurkat"),
    "zeroshot/hepg2": ("zeroshot", "hepg2"),
    "seed-replicate": ("fewshot", "hepg2"),
    "shared-seed/jurkat": ("fewshot", "jurkat"),
}
_SECONDARY = re.compile(r"replicate|repeat|copy|seed|rerun|shared", re.IGNORECASE)


@dataclass
class Cast:
    """Runs by role; what was taken for granted; runs that have no role."""

    runs: dict[str, FoundRun] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)
    left: list[FoundRun] = field(default_factory=list)


def plain(text: str) -> str:
    """Return a name without case and punctuation: "Hep-G2" is "hepg2"."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def cast(runs: Sequence[FoundRun], asked: Mapping[str, FoundRun], lines: Iterable[str] = ()) -> Cast:
    """Return which run takes which role.

    Parameters
    ----------
    runs
        All runs found.
    asked
        Roles that the user gave to some; others are guessed.
    lines
        Cell lines of the data, looked for in the names of runs whose split says nothing.

    Raises
    ------
    UnknownNameError
        Where a role is asked for that no claim speaks of.
    InputError
        Where no run has a role.
    """
    unknown = [role for role in asked if role.partition("@")[0] not in ROLES]
    if unknown:
        raise unknown_names("role", unknown, list(ROLES), where="--role")
    done = Cast(dict(asked))
    taken = {run.folder for run in asked.values()}
    groups: dict[tuple[str, str], list[FoundRun]] = {}
    for run in sorted(runs, key=lambda run: (bool(_SECONDARY.search(run.folder.name)), str(run.folder))):
        if run.folder not in taken:
            groups.setdefault((run.kind or _in_name(run, ("fewshot", "zeroshot")), line_of(run, lines)), []).append(run)
    for kind_and_line in dict.fromkeys([*ROLES.values(), *groups]):
        _fill(done, groups.pop(kind_and_line, []), kind_and_line)
    if not done.runs:
        names = ", ".join(
            f"{run.folder.name} ({run.kind or 'unknown kind'}, {run.line or 'unknown line'})" for run in runs
        )
        raise InputError(
            f"no run with a role: {names}",
            f"one of {', '.join(ROLES)}",
            f"Say which stands for what: --role fewshot/hepg2={runs[0].folder}",
            "--models",
        )
    return done


def line_of(run: FoundRun, lines: Iterable[str] = ()) -> str:
    """Return the plain name of a run's line: of its split, or the line that its name holds."""
    return plain(run.line) or _in_name(run, [*(plain(line) for line in lines), "hepg2", "jurkat"])


def _in_name(run: FoundRun, words: Iterable[str]) -> str:
    name = plain(f"{run.folder.parent.name} {run.folder.name}")
    return next((word for word in words if word and word in name), "")


def _fill(done: Cast, runs: list[FoundRun], kind_and_line: tuple[str, str]) -> None:
    """Give the roles of one kind and line to runs of it, the first role first."""
    free = [role for role, of in ROLES.items() if of == kind_and_line and role not in done.runs]
    first = done.runs.get("fewshot/hepg2")
    if "shared-seed/jurkat" in free and first is not None and first.seed is not None:
        same = [run for run in runs if run.seed == first.seed]
        if same and len(same) < len(runs):
            done.runs["shared-seed/jurkat"] = same[0]
            done.guesses.append(f"shared-seed/jurkat: {same[0].folder.name}, trained from seed {first.seed} as well")
            free.remove("shared-seed/jurkat")
            runs = [run for run in runs if run is not same[0]]
        else:
            free.remove("shared-seed/jurkat")
    for role, run in zip(free, runs, strict=False):
        done.runs[role] = run
        kind, line = kind_and_line
        why = f"a {kind} model of {line}" + (f", training seed {run.seed}" if run.seed is not None else "")
        done.guesses.append(f"{role}: {run.folder.name}, {why}")
    done.left += runs[len(free) :]
