"""A claim row: what is said, on which evidence, by which measure, against which criterion."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from jacprobe.errors import ClaimError
from jacprobe.requests import Request
from jacprobe.verdicts.criteria import AllOf, Criterion, criterion_hash

_ID = re.compile(r"(nb\d\d|conclusion|instrument|[a-z][a-z0-9]*)(-[a-z0-9]+)+")


@dataclass(frozen=True)
class Measure:
    """A function from evidence to `Estimate`, by its dotted name, with fixed options; imported when it is called."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, **evidence: Any) -> Any:
        """Call the function on resolved evidence (and `rng`)."""
        module, _, function = self.name.rpartition(".")
        return getattr(import_module(module), function)(**evidence, **self.options)


@dataclass(frozen=True)
class Published:
    """A number that the finding states, as printed, and where it stands."""

    value: float | str
    source: str
    id: str = ""
    what: str = ""


class Figures:
    """The published figures that claims are attached to: a CSV file of id, value, what it is of and where it stands.

    `FIGURES = Figures.beside(__file__)` in a claim module, and `published=FIGURES("NB01-016", "NB01-018")` in a row.
    """

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            self._rows = {row["id"]: row for row in csv.DictReader(file)}
        self._path = path

    @classmethod
    def beside(cls, module: str) -> Figures:
        """Return the figures in `figures.csv` beside a module."""
        return cls(Path(module).with_name("figures.csv"))

    def __call__(self, *ids: str) -> tuple[Published, ...]:
        """Return figures by their ids.

        Raises
        ------
        ClaimError
            Where the file has no such id.
        """
        missing = [name for name in ids if name not in self._rows]
        if missing:
            raise ClaimError(f"no published figure {', '.join(missing)}", "an id of the file", where=self._path.name)
        rows = [self._rows[name] for name in ids]
        return tuple(Published(_number(row["value"]), row["stated_in"], row["id"], row["what"]) for row in rows)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Claim:
    """One finding, made checkable. The row is the whole truth: test, notebook and report read nothing else.

    Attributes
    ----------
    id
        Kebab-case, prefixed by its group (`nb01-` .. `nb10-`, `conclusion-`, `instrument-`); never reused.
    finding
        The statement in words; SUPPORTED means that this sentence holds.
    statistic
        What is measured, in words.
    evidence
        Requests by the name of the measure's argument.
    measure
        The function from evidence and `rng` to `Estimate`, or its dotted name. None for `AllOf`.
    criterion
        What the estimate must satisfy.
    unit
        What n counts: the unit that was resampled or permuted.
    options
        Further keyword arguments of a measure given by its name; part of the criterion's hash.
    family
        The multiplicity family, or None where the claim stands alone.
    published
        Every number that the finding states.
    published_effect
        What they make of the statistic measured here, in its unit, where they do.
    flags
        What a reader must know of the publication beside the verdict.
    """

    id: str
    finding: str
    statistic: str
    evidence: Mapping[str, Request]
    criterion: Criterion
    measure: Any = None
    unit: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    family: str | None = None
    published: tuple[Published, ...] = ()
    published_effect: float | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse rows that cannot be judged."""
        if not _ID.fullmatch(self.id):
            raise ClaimError(f"claim id {self.id!r}", "kebab-case with the group first, such as nb02-splicing-coherent")
        if (self.measure is None) != isinstance(self.criterion, AllOf):
            raise ClaimError("a claim with no measure", "a measure, or the criterion AllOf", where=self.id)
        if isinstance(self.measure, str):
            object.__setattr__(self, "measure", Measure(self.measure, self.options))
        elif self.options and self.options != getattr(self.measure, "options", None):
            raise ClaimError("options beside a function", "options of a measure given by its name", where=self.id)
        if self.family is not None and not self.criterion.uses_p:
            raise ClaimError(f"family {self.family!r}", "none for a criterion without a p", where=self.id)
        for name, request in self.evidence.items():
            if not isinstance(request, Request):
                raise ClaimError(f"evidence {name} = {request!r}", "a request of jacprobe.requests", where=self.id)

    def __repr__(self) -> str:
        """Return id, finding and criterion."""
        return f"<Claim {self.id}: {self.finding} Claimed: {self.statistic or 'all parts'} {self.criterion}>"

    @property
    def group(self) -> str:
        """The notebook or chapter, from the id."""
        return self.id.split("-", 1)[0]

    @property
    def kind(self) -> str:
        """Positive, null, threshold, numeric, deterministic, difference or composite."""
        return self.criterion.kind

    @property
    def criterion_hash(self) -> str:
        """Hash over all that is fixed before data are loaded: criterion, family, evidence and options."""
        evidence = {name: str(request) for name, request in self.evidence.items()}
        return criterion_hash(self.criterion, self.family, evidence, self.measure_name, dict(self.options))

    @property
    def measure_name(self) -> str:
        """Dotted name of the measure."""
        if self.measure is None:
            return ""
        if isinstance(self.measure, Measure):
            return self.measure.name
        return f"{self.measure.__module__}.{self.measure.__qualname__}"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of all models that the evidence reads."""
        return tuple(dict.fromkeys(role for request in self.evidence.values() for role in request.roles))
