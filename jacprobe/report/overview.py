"""The overall answer of a ledger: counts, conclusions, surprises, what could not be evaluated, and on which models."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe.errors import StudyError
from jacprobe.report.rows import Row, identity, rows
from jacprobe.verdicts.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.report.rows import Facts
    from jacprobe.verdicts.ledger import Entry

GROUPS = {
    "nb01": "Features: which knockdowns layers and autoencoders represent alike",
    "nb02": "The space of perturbation vectors",
    "nb03": "Targeted Jacobians: regulators and their targets",
    "nb04": "In-silico knockouts in two lines",
    "nb05": "Response clusters and routing coherence",
    "nb06": "The zeroshot model: backbone against fine-tuning",
    "nb07": "Is routing coherence graded, or carried by a few knockdowns?",
    "nb08": "Routing coherence by the one-hot input",
    "nb09": "Stability over the choice of knockdowns",
    "nb10": "Stability over the draw of control cells",
    "conclusion": "What the publication concludes from all of it",
    "instrument": "Is what all others presuppose sound?",
}
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NUMBER = (int, float, type(None))
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "kind", "group", "study", "finding", "statistic", "criterion", "verdict", "reason"), str),
    **dict.fromkeys(("models", "published", "expected", "flags"), list),
    **dict.fromkeys(("as_published", "diagnostics", "provenance"), dict),
    **dict.fromkeys(("effect", "p", "p_adjusted", "n", "mde", "seconds"), _NUMBER),
    "family": (str, type(None)),
    "ci": (list, type(None)),
}
_INTERVALS = ([float, float], [int, int], [int, float], [float, int])
# Conclusions first: they are what a reader came for; the instrument last, which all others stand on.
_ORDER = ["conclusion", *(group for group in GROUPS if group.startswith("nb")), "instrument"]


@dataclass(frozen=True)
class Group:
    """The claims of one notebook or chapter."""

    key: str
    title: str
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """The short name, as readers of the publication know it."""
        if self.key.startswith("nb"):
            return self.key.upper()
        return "Conclusions" if self.key == "conclusion" else self.key.capitalize()

    @property
    def counts(self) -> dict[str, int]:
        """Number of claims by verdict."""
        return counts(self.rows)


@dataclass(frozen=True)
class Overview:
    """What a ledger says as a whole.

    Attributes
    ----------
    title
        The study in words, where its files are at hand.
    planted
        Whether the study's truth is known because it was planted: its verdicts are of the measures, not of a finding.
    """

    study: str
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    title: str = ""
    planted: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """Number of claims by verdict, in the order of the verdicts."""
        return counts(self.rows)

    @property
    def conclusions(self) -> list[Row]:
        """The composites among the overall conclusions; without any, those of other groups."""
        composites = [row for row in self.rows if row.line["kind"] == "composite"]
        return [row for row in composites if row.line["group"] == "conclusion"] or composites

    @property
    def unexpected(self) -> list[Row]:
        """The claims whose verdict was not an expected one."""
        return [row for row in self.rows if row.expected == "unexpected"]

    @property
    def open(self) -> int:
        """Number of claims of which nothing in particular was expected."""
        return sum(row.expected == "open" for row in self.rows)

    @property
    def missing(self) -> dict[str, list[Row]]:
        """The claims that were not evaluated, by reason."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.line["verdict"] == Verdict.NOT_EVALUATED:
                found.setdefault(row.line["reason"], []).append(row)
        return found

    @property
    def models(self) -> list[tuple[str, Facts]]:
        """Every model that a claim was judged on, with what identifies it."""
        found: dict[str, Mapping[str, object]] = {}
        for row in self.rows:
            for role in row.line["models"]:
                known = (row.line["provenance"].get("models") or {}).get(role) or {}
                found[role] = known or found.get(role, {})
        return [(role, identity(known)) for role, known in found.items()]

    @property
    def families(self) -> list[str]:
        """The multiplicity families."""
        return sorted({row.line["family"] for row in self.rows if row.line["family"]})

    @property
    def quick(self) -> int | None:
        """At most how many knockdowns a quick look took; None for a full run."""
        return next((found for row in self.rows if (found := row.line["provenance"].get("quick"))), None)

    @property
    def settings(self) -> Facts:
        """What all claims of the run share, by the first that says so."""
        for row in self.rows:
            shared = [(name, words) for name, words in row.provenance if name not in ("seconds", "schema", "quick")]
            if shared:
                return shared
        return []


def overview(lines: Sequence[Entry], title: str = "", *, planted: bool = False) -> Overview:
    """Return the overview of a ledger; `title` and `planted` are its study's.

    Raises
    ------
    StudyError
        If there is no line, lines of several studies, a claim twice, or a field that is not what a ledger has.
    """
    if not lines:
        raise StudyError("a ledger without a line", "at least one claim", "Judge some with: pytest claims/", "report")
    studies = list(dict.fromkeys(line["study"] for line in lines))
    if len(studies) > 1:
        raise StudyError(
            f"lines of the studies {' and '.join(map(str, studies))}", "one study a ledger", "Report each.", "report"
        )
    for number, line in enumerate(lines, 1):
        _check(number, line)
    ids = Counter(line["id"] for line in lines)
    twice = [name for name, times in ids.items() if times > 1]
    if twice:
        raise StudyError(f"claims that stand there twice: {', '.join(twice[:5])}", "each claim once", where="report")
    made = rows(lines)
    return Overview(str(studies[0]), tuple(made), tuple(_groups(made)), title, planted)


def _check(number: int, line: Entry) -> None:
    """Refuse a line whose fields are not what a ledger's are, before anything is shown of it."""
    wrong = [name for name, kinds in _KINDS.items() if not isinstance(line[name], kinds)]
    if not wrong and line["verdict"] not in set(Verdict):
        wrong = ["verdict"]
    if not wrong and not _ID.fullmatch(line["id"]):
        wrong = ["id"]
    if not wrong and line["ci"] is not None and [type(bound) for bound in line["ci"]] not in _INTERVALS:
        wrong = ["ci"]
    if wrong:
        given = f"line {number} has {wrong[0]} {line[wrong[0]]!r}"
        raise StudyError(given, "what a ledger has there", "Judge the study again with: pytest claims/", "report")


def counts(shown: Sequence[Row]) -> dict[str, int]:
    """Return the number of claims by verdict, in the order of the verdicts, without those that none has."""
    found = {str(word): sum(row.line["verdict"] == word for row in shown) for word in Verdict}
    return {word: number for word, number in found.items() if number}


def _groups(made: Sequence[Row]) -> list[Group]:
    members: dict[str, list[Row]] = {}
    for row in made:
        members.setdefault(row.line["group"], []).append(row)
    place = {key: position for position, key in enumerate(_ORDER)}
    keys = sorted(members, key=lambda key: (place.get(key, len(place)), key))
    return [Group(key, GROUPS.get(key, ""), tuple(members[key])) for key in keys]
