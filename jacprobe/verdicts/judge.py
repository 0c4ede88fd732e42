"""The judge: a pure function from an estimate and a criterion to a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import singledispatch
from typing import TYPE_CHECKING

from jacprobe.errors import ClaimError
from jacprobe.verdicts.criteria import (
    Above,
    AllOf,
    Below,
    Criterion,
    Difference,
    Equivalent,
    Exactly,
    NotElevated,
    Reproduces,
    Within,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.estimate import Estimate, Interval

LEVEL = 0.05


class Verdict(StrEnum):
    """The five words a claim can end with; ERROR is the absence of a verdict."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_EVALUATED = "NOT EVALUATED"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Judgement:
    """A verdict, why it is that one, and the remarks that judging added."""

    verdict: Verdict
    reason: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Multiplicity:
    """What the family of a claim makes of its p: adjusted, and the least that adjusting could leave of it."""

    p: float
    least_p: float


def judge(criterion: Criterion, estimate: Estimate, multiplicity: Multiplicity | None = None) -> Judgement:
    """Return the verdict on `estimate` by `criterion`.

    Parameters
    ----------
    criterion
        Any criterion but `AllOf`, which `judge_parts` judges.
    estimate
        The measured effect.
    multiplicity
        The p adjusted within the claim's family; by default the family is the claim alone.

    Raises
    ------
    ClaimError
        Where the estimate lacks what the criterion judges by, or its p is of the other side.
    """
    if multiplicity is None and estimate.p is not None:
        multiplicity = Multiplicity(estimate.p, estimate.least_p)
    return _judge(criterion, estimate, multiplicity)


def judge_parts(criterion: AllOf, parts: Mapping[str, Verdict]) -> Judgement:
    """Return the verdict on a composite: any REFUTED part refutes; else NOT EVALUATED, then INCONCLUSIVE decides."""
    for word in (Verdict.ERROR, Verdict.REFUTED, Verdict.NOT_EVALUATED, Verdict.INCONCLUSIVE):
        there = [claim_id for claim_id in criterion.ids if parts[claim_id] == word]
        if there:
            return Judgement(word, f"{word}: {', '.join(there)}")
    return Judgement(Verdict.SUPPORTED, f"all {len(criterion.ids)} parts are SUPPORTED")


@singledispatch
def _judge(criterion: Criterion, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:  # noqa: ARG001 - one signature for all criteria
    raise ClaimError(f"criterion {criterion!r}", "one that a single estimate can meet", where="judge")


@_judge.register(Above)
@_judge.register(Below)
def _one_sided(criterion: Above | Below, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:
    if criterion.kind == "positive":
        return _positive(criterion, estimate, _needed_p(criterion, estimate, multiplicity))
    return _threshold(criterion, estimate, multiplicity)


def _positive(criterion: Above | Below, estimate: Estimate, family: Multiplicity) -> Judgement:
    sign, sesoi = criterion.sign, criterion.sesoi or 0.0
    inner = min(sign * bound for bound in _interval(estimate, "ci"))
    outer = max(sign * bound for bound in _interval(estimate, "ci90"))
    if (mute := _too_small(estimate, family, estimate.least_n)) is not None:
        return mute
    if family.p <= LEVEL and sign * estimate.effect > 0 and inner > 0:
        if estimate.caution:
            return Judgement(Verdict.INCONCLUSIVE, estimate.caution)
        flags = ("below SESOI",) if sign * estimate.effect < sesoi else ()
        return Judgement(Verdict.SUPPORTED, f"adjusted p = {family.p:.2g} and the 95 % interval excludes 0", flags)
    if outer < sesoi:
        if estimate.n < estimate.least_n_null:
            return _few(estimate, estimate.least_n_null)
        return Judgement(Verdict.REFUTED, f"the one-sided 95 % bound {sign * outer:.3g} falls short of SESOI {sesoi:g}")
    return Judgement(Verdict.INCONCLUSIVE, _why_not(estimate, family, inner))


def _threshold(criterion: Above | Below, estimate: Estimate, family: Multiplicity | None) -> Judgement:
    sign, bar = criterion.sign, criterion.value
    low, high = _interval(estimate, "ci90")
    if criterion.on == "z":
        family = _needed_p(criterion, estimate, family)
        null = estimate.nulls[0]
        low, high = (low - null.mean) / null.sd, (high - null.mean) / null.sd
    inner, outer = (low, high) if sign > 0 else (-high, -low)
    far = criterion.value >= 0 if sign > 0 else criterion.value < 0
    if inner > sign * bar:
        least = estimate.least_n if far else estimate.least_n_null
        if estimate.n < least:
            return _few(estimate, least)
        if estimate.caution:
            return Judgement(Verdict.INCONCLUSIVE, estimate.caution)
        if family is not None and criterion.on == "z" and family.p > LEVEL:
            return Judgement(Verdict.INCONCLUSIVE, _why_not(estimate, family, inner))
        return Judgement(Verdict.SUPPORTED, f"the one-sided 95 % bound {sign * inner:.3g} lies beyond {bar:g}")
    if outer < sign * bar:
        least = estimate.least_n_null if far else estimate.least_n
        if estimate.n < least:
            return _few(estimate, least)
        return Judgement(Verdict.REFUTED, f"the one-sided 95 % bound {sign * outer:.3g} lies short of {bar:g}")
    return Judgement(Verdict.INCONCLUSIVE, f"the 90 % interval [{low:.3g}, {high:.3g}] straddles {bar:g}")


@_judge.register(Within)
def _within(criterion: Within, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:  # noqa: ARG001 - one signature for all criteria
    low, high = _interval(estimate, "ci")
    if (few := _few_for_any(estimate)) is not None:
        return few
    if criterion.low <= low and high <= criterion.high:
        return Judgement(Verdict.SUPPORTED, f"the interval lies {criterion}")
    if high < criterion.low or criterion.high < low:
        return Judgement(Verdict.REFUTED, f"the interval lies outside [{criterion.low:g}, {criterion.high:g}]")
    return Judgement(
        Verdict.INCONCLUSIVE, f"the interval straddles a border of [{criterion.low:g}, {criterion.high:g}]"
    )


@_judge.register(Equivalent)
@_judge.register(NotElevated)
def _null(criterion: Equivalent | NotElevated, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:
    family = _needed_p(criterion, estimate, multiplicity)
    low90, high90 = _interval(estimate, "ci90")
    low, high = _interval(estimate, "ci")
    band, two_sided = criterion.sesoi, isinstance(criterion, Equivalent)
    if (mute := _too_small(estimate, family, 0)) is not None:
        return mute
    if high90 < band and (not two_sided or -band < low90):
        if estimate.n < estimate.least_n_null:
            return _few(estimate, estimate.least_n_null)
        flags = ("non-zero but negligible",) if family.p <= LEVEL else ()
        return Judgement(Verdict.SUPPORTED, f"the 90 % interval lies inside the band of ±{band:g}", flags)
    beyond = low > band or (two_sided and high < -band)
    if family.p <= LEVEL or beyond:
        if estimate.n < estimate.least_n:
            return _few(estimate, estimate.least_n)
        if estimate.caution:
            return Judgement(Verdict.INCONCLUSIVE, estimate.caution)
        why = "the interval lies outside the band" if beyond else f"adjusted p = {family.p:.2g}"
        return Judgement(Verdict.REFUTED, f"there is an effect: {why}")
    return Judgement(
        Verdict.INCONCLUSIVE, f"the 90 % interval [{low90:.3g}, {high90:.3g}] leaves the band of ±{band:g}"
    )


@_judge.register(Difference)
def _difference(criterion: Difference, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:
    absent = estimate.parts.get("b")
    if absent is None:
        raise ClaimError("an estimate without its part 'b'", "the paired difference with both parts", where="judge")
    here = _positive(Above(0, criterion.sesoi), estimate, _needed_p(criterion, estimate, multiplicity))
    there = judge(NotElevated(criterion.sesoi), absent)
    words = f"difference {here.verdict} ({here.reason}); absence in {criterion.absent} {there.verdict} ({there.reason})"
    for word in (Verdict.REFUTED, Verdict.INCONCLUSIVE):
        if word in (here.verdict, there.verdict):
            return Judgement(word, words)
    return Judgement(Verdict.SUPPORTED, words, here.flags + there.flags)


@_judge.register(Reproduces)
def _reproduces(criterion: Reproduces, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:  # noqa: ARG001 - one signature for all criteria
    low, high = _interval(estimate, "ci")
    if (few := _few_for_any(estimate)) is not None:
        return few
    away = abs(estimate.effect - criterion.value)
    if low <= criterion.value <= high:
        return Judgement(Verdict.SUPPORTED, f"REPRODUCED: {criterion.value:g} lies in [{low:.3g}, {high:.3g}]")
    if away > criterion.margin:
        return Judgement(Verdict.REFUTED, f"DIFFERENT: {away:.3g} away from {criterion.value:g}")
    return Judgement(Verdict.INCONCLUSIVE, f"CLOSE: {away:.3g} away from {criterion.value:g}, outside the interval")


@_judge.register(Exactly)
def _exactly(criterion: Exactly, estimate: Estimate, multiplicity: Multiplicity | None) -> Judgement:  # noqa: ARG001 - one signature for all criteria
    away = abs(estimate.effect - criterion.value)
    if away <= criterion.tol:
        return Judgement(Verdict.SUPPORTED, f"{away:.2g} away, within {criterion.tol:g}")
    return Judgement(Verdict.REFUTED, f"{away:.2g} away, beyond {criterion.tol:g}")


def _needed_p(criterion: Criterion, estimate: Estimate, multiplicity: Multiplicity | None) -> Multiplicity:
    """Return the adjusted p after checking that it is there and of the side that the criterion asks for."""
    if multiplicity is None or estimate.p is None:
        raise ClaimError("an estimate without a p", f"a p for the criterion {criterion}", where="judge")
    fitting = {"two-sided"}
    if isinstance(criterion, Below):
        fitting.add("less")
    elif not isinstance(criterion, Equivalent):
        fitting.add("greater")
    if estimate.alternative not in fitting:
        raise ClaimError(
            f"a p of the alternative {estimate.alternative!r}",
            f"{' or '.join(sorted(fitting))} for the criterion {criterion}",
            "Give the measure its `alternative` in the claim row.",
            where="judge",
        )
    return multiplicity


def _interval(estimate: Estimate, name: str) -> Interval:
    """Return an interval of the estimate; where nothing is random (rule O) the quantity is its own bound."""
    interval = getattr(estimate, name)
    if interval is None and estimate.p is None and estimate.ci is None and estimate.ci90 is None:
        return estimate.effect, estimate.effect
    if interval is None:
        raise ClaimError(f"an estimate without {name}", "both intervals beside a p", where="judge")
    return interval


def _too_small(estimate: Estimate, family: Multiplicity, least: int) -> Judgement | None:
    """Return INCONCLUSIVE where n or the granularity of the test could not have given any other outcome."""
    if estimate.n < least:
        return _few(estimate, least)
    if family.least_p > LEVEL:
        return Judgement(
            Verdict.INCONCLUSIVE, f"the least attainable p is {family.least_p:.2g}: no effect could be shown"
        )
    return None


def _few_for_any(estimate: Estimate) -> Judgement | None:
    """Return INCONCLUSIVE where n is too small for either verdict."""
    least = max(estimate.least_n, estimate.least_n_null)
    return _few(estimate, least) if estimate.n < least else None


def _few(estimate: Estimate, least: int) -> Judgement:
    return Judgement(Verdict.INCONCLUSIVE, f"n = {estimate.n} is below the {least} units that this verdict needs")


def _why_not(estimate: Estimate, family: Multiplicity, inner: float) -> str:
    """Return the reason of an INCONCLUSIVE: confounded, not significant, or an interval that holds 0."""
    beaten = [null.name for null in estimate.nulls if null.p <= LEVEL]
    unbeaten = [null.name for null in estimate.nulls if null.p > LEVEL]
    if beaten and unbeaten:
        return f"beats the null of {' and '.join(beaten)} but not that of {' and '.join(unbeaten)}: confounded"
    if family.p > LEVEL:
        return f"adjusted p = {family.p:.2g}, and an effect of interest is not excluded"
    if inner <= 0:
        return "the 95 % interval holds 0 although the p is small"
    return "not decided"
