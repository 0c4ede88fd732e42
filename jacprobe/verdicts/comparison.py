"""Two ledgers of one study compared claim by claim: what flipped, what changed without a flip, what says nothing.

A flip is a verdict that changed *and* a difference that leaves the margin (rule M): by the interval of the paired
difference where both models' evidence is at hand, else by the difference of the effects alone, marked unpaired.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from jacprobe.errors import StudyError, inert
from jacprobe.verdicts.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.estimate import Estimate
    from jacprobe.verdicts.ledger import Entry


class Outcome(StrEnum):
    """What became of a claim from one ledger to another."""

    FLIP = "flip"
    MOVED = "changed, no flip"
    NO_VERDICT = "no verdict on one side"
    CRITERION = "criterion changed"
    NEW = "new"
    GONE = "gone"
    SAME = "same"


class Basis(StrEnum):
    """What a change was judged by."""

    PAIRED = "paired"
    UNPAIRED = "unpaired"
    EXACT = "exact"
    PARTS = "parts"


@dataclass(frozen=True)
class Change:
    """One claim in two ledgers.

    Attributes
    ----------
    id
        The claim.
    outcome
        What became of it.
    old, new
        Its ledger lines; None where it is in one ledger only.
    basis
        What a changed verdict was judged by; None where it did not change, or could not be judged.
    difference
        new - old of the effect, and its 95 % interval where it is paired.
    ci
        That interval.
    margin
        What counts as no change, in the unit of the effect.
    why
        The reason in words, and why a comparison is unpaired.
    """

    id: str
    outcome: Outcome
    old: Entry | None = None
    new: Entry | None = None
    basis: Basis | None = None
    difference: float | None = None
    ci: tuple[float, float] | None = None
    margin: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """All claims of two ledgers, in the new one's order, then those that are gone."""

    changes: tuple[Change, ...]

    def of(self, outcome: Outcome) -> tuple[Change, ...]:
        """Return the claims with one outcome."""
        return tuple(change for change in self.changes if change.outcome is outcome)

    @property
    def flips(self) -> tuple[Change, ...]:
        """The claims that flipped."""
        return self.of(Outcome.FLIP)

    @property
    def counts(self) -> dict[Outcome, int]:
        """Number of claims by outcome, in the order of `Outcome`."""
        found = Counter(change.outcome for change in self.changes)
        return {outcome: found[outcome] for outcome in Outcome if found[outcome]}


def compare(
    old: Sequence[Entry], new: Sequence[Entry], differences: Mapping[str, Estimate | str] | None = None
) -> Comparison:
    """Return what became of every claim from one ledger to another.

    Parameters
    ----------
    old, new
        Ledger lines.
    differences
        For claims of `to_pair` the paired difference new - old, or in words why there is none.

    Raises
    ------
    StudyError
        Where the ledgers are of different studies, of a quick look, or one has a claim twice.
    """
    require_comparable(old, new)
    earlier, later = _by_id(old), _by_id(new)
    found: dict[str, Change] = {}
    for claim_id, line in later.items():
        if "parts" not in line["diagnostics"]:
            found[claim_id] = judge_change(earlier.get(claim_id), line, (differences or {}).get(claim_id))
    for claim_id, line in later.items():
        if claim_id not in found:
            found[claim_id] = _composite(earlier.get(claim_id), line, found, later)
    gone = [Change(claim_id, Outcome.GONE, old=line) for claim_id, line in earlier.items() if claim_id not in later]
    return Comparison((*(found[claim_id] for claim_id in later), *gone))


def to_pair(old: Sequence[Entry], new: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Return the lines of the claims whose verdicts changed and which a paired difference can decide."""
    earlier = _by_id(old)
    pairs = [(earlier[line["id"]], line) for line in new if line["id"] in earlier]
    return [(one, other) for one, other in pairs if _settled(one, other) is None and not _exact(one, other)]


def judge_change(old: Entry | None, new: Entry, difference: Estimate | str | None = None) -> Change:
    """Return what became of one claim that is no composite; `difference` as in `compare`."""
    from jacprobe.stats import flip

    claim_id: str = new["id"]
    if old is None:
        return Change(claim_id, Outcome.NEW, new=new)
    settled = _settled(old, new)
    if settled is not None:
        return settled
    margin = _margin(new)
    paired = None if isinstance(difference, str) else difference
    judged = flip(old, new, margin, paired)
    if paired is not None and paired.ci is not None:
        basis, why = Basis.PAIRED, _of_interval(paired.ci, margin)
    else:
        basis = Basis.EXACT if _exact(old, new) else Basis.UNPAIRED
        beyond = judged.diagnostics["flipped"]
        why = f"the effects differ by {abs(judged.effect):.3g}, {'more' if beyond else 'no more'} than {margin:g}"
        if basis is Basis.UNPAIRED:
            why += f"; unpaired: {difference or 'from the ledgers alone'}"
    outcome = Outcome.FLIP if judged.diagnostics["flipped"] else Outcome.MOVED
    return Change(claim_id, outcome, old, new, basis, judged.effect, judged.ci, margin, why)


def require_comparable(*ledgers: Sequence[Entry]) -> None:
    """Refuse ledgers that say nothing about each other.

    Raises
    ------
    StudyError
        Where they are empty, of different studies, of a quick look, or have a claim twice.
    """
    if any(not lines for lines in ledgers):
        raise StudyError("a ledger without lines", "one of a finished run", where="compare")
    studies = sorted({str(line["study"]) for lines in ledgers for line in lines})
    if len(studies) > 1:
        raise StudyError(f"ledgers of the studies {', '.join(studies)}", "of one study", where="compare")
    if any(line["provenance"].get("quick") for lines in ledgers for line in lines):
        raise StudyError("a ledger of a quick look", "of full runs", "Run pytest claims/ without --quick.", "compare")
    for lines in ledgers:
        _by_id(lines)


def _by_id(lines: Sequence[Entry]) -> dict[str, Entry]:
    twice = [claim_id for claim_id, n in Counter(line["id"] for line in lines).items() if n > 1]
    if twice:
        raise StudyError(f"claim {inert(twice[0])} twice in one ledger", "each claim once", where="compare")
    return {line["id"]: line for line in lines}


def _settled(old: Entry, new: Entry) -> Change | None:
    """Return what became of a claim where no difference is asked for; None where its verdict changed."""
    claim_id = new["id"]
    if old["criterion_hash"] != new["criterion_hash"]:
        why = f"{old['criterion']} ({old['criterion_hash']}), now {new['criterion']} ({new['criterion_hash']})"
        return Change(claim_id, Outcome.CRITERION, old, new, why=why)
    if old["verdict"] == new["verdict"]:
        return Change(claim_id, Outcome.SAME, old, new)
    without = [side for side in (old, new) if side["verdict"] in (Verdict.NOT_EVALUATED, Verdict.ERROR)]
    if without:
        return Change(claim_id, Outcome.NO_VERDICT, old, new, why=str(without[0]["reason"]))
    return None


def _composite(old: Entry | None, new: Entry, found: Mapping[str, Change], later: Mapping[str, Entry]) -> Change:
    """Return what became of a composite: it flips where one of its parts did, its parts' parts included."""
    if old is None:
        return Change(new["id"], Outcome.NEW, new=new)
    settled = _settled(old, new)
    if settled is not None:
        return settled
    parts = _leaves(new, later)
    flipped = [part for part in parts if part in found and found[part].outcome is Outcome.FLIP]
    if flipped:
        return Change(new["id"], Outcome.FLIP, old, new, Basis.PARTS, why=f"by {', '.join(flipped)}")
    absent = [part for part in parts if part not in found or found[part].old is None]
    why = f"not in both ledgers: {', '.join(absent)}" if absent else "none of its parts flipped"
    return Change(new["id"], Outcome.MOVED, old, new, Basis.PARTS, why=why)


def _leaves(line: Entry, lines: Mapping[str, Entry]) -> list[str]:
    found: dict[str, None] = {}
    for part in line["diagnostics"]["parts"]:
        inner = lines.get(part)
        nested = inner is not None and "parts" in inner["diagnostics"]
        found.update(dict.fromkeys(_leaves(inner, lines) if inner is not None and nested else [part]))
    return list(found)


def _exact(old: Entry, new: Entry) -> bool:
    """Whether nothing in either effect is random (rule O): there is then nothing to pair."""
    return all(side["ci"] is None and side["p"] is None for side in (old, new))


def _margin(line: Entry) -> float:
    """Return the margin of a ledger line.

    Raises
    ------
    StudyError
        Where it has none.
    """
    margin = line["diagnostics"].get("margin")
    if not isinstance(margin, int | float) or not margin >= 0:
        raise StudyError(
            f"a line without a margin ({inert(line['id'])})",
            "a ledger as this version writes it",
            "Judge the study again, or give jacprobe compare the claims that it was judged by.",
            "compare",
        )
    return float(margin)


def _of_interval(ci: tuple[float, float], margin: float) -> str:
    shown = f"the paired difference [{ci[0]:.3g}, {ci[1]:.3g}]"
    if ci[0] > margin or ci[1] < -margin:
        return f"{shown} lies beyond the margin of {margin:g}"
    if -margin <= ci[0] and ci[1] <= margin:
        return f"{shown} lies within the margin of {margin:g}"
    return f"{shown} does not leave the margin of {margin:g}: not decided"
