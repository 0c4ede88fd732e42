"""The judge against the rules of verdicts, stated as tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacprobe.errors import ClaimError
from jacprobe.estimate import Estimate, Null
from jacprobe.verdicts.criteria import (
    Above,
    AllOf,
    Below,
    Difference,
    Equivalent,
    Exactly,
    NotElevated,
    Reproduces,
    Within,
)
from jacprobe.verdicts.judge import Multiplicity, Verdict, judge, judge_parts


def made(effect: float = 0.3, se: float = 0.05, p: float | None = 0.001, n: int = 20, **fields: Any) -> Estimate:
    """An estimate with normal intervals around `effect`."""
    half, half90 = 1.96 * se, 1.645 * se
    return Estimate(effect, n, (effect - half, effect + half), (effect - half90, effect + half90), p, **fields)


def null(p: float, name: str = "random sets", mean: float = 0.0, sd: float = 0.1, least_p: float = 1e-4) -> Null:
    return Null(name, p, mean, sd, 9999, least_p)


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        pytest.param(made(0.3, p=0.001), "SUPPORTED", id="significant, beyond 0"),
        pytest.param(made(0.3, p=0.06), "INCONCLUSIVE", id="not significant, SESOI not excluded"),
        pytest.param(made(0.05, se=0.01, p=0.2), "REFUTED", id="SESOI excluded"),
        pytest.param(made(0.05, se=0.04, p=0.001), "INCONCLUSIVE", id="small p, interval holds 0"),
        pytest.param(made(-0.3, p=0.9), "REFUTED", id="wrong sign"),
        pytest.param(made(0.3, n=4, least_n=5), "INCONCLUSIVE", id="too few for any verdict"),
        pytest.param(
            made(0.01, se=0.01, p=0.4, n=7, least_n=5, least_n_null=10), "INCONCLUSIVE", id="too few for none"
        ),
        pytest.param(made(0.3, caution="one outlier"), "INCONCLUSIVE", id="an outlier carries it"),
        pytest.param(made(0.3, p=0.2, nulls=(null(0.2, least_p=0.1),)), "INCONCLUSIVE", id="test too coarse"),
        pytest.param(
            made(0.0, se=0.01, p=0.9, nulls=(null(0.9, least_p=0.1),)), "INCONCLUSIVE", id="coarse, no refuting"
        ),
    ],
)
def test_positive_claims(estimate, verdict):
    assert judge(Above(0, sesoi=0.1), estimate).verdict == verdict


def test_significant_below_sesoi_is_supported_and_flagged():
    judged = judge(Above(0, sesoi=0.1), made(0.05, se=0.01, p=0.001))
    assert (judged.verdict, judged.flags) == (Verdict.SUPPORTED, ("below SESOI",))


def test_only_the_confounded_null_beaten_is_inconclusive_and_says_which():
    nulls = (null(0.001, "random sets"), null(0.3, "sets matched on hubness"))
    judged = judge(Above(0, sesoi=0.1), made(0.3, p=0.3, nulls=nulls))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "random sets" in judged.reason
    assert "not that of sets matched on hubness" in judged.reason


def test_the_adjusted_p_decides():
    estimate = made(0.3, p=0.02)
    assert judge(Above(0, sesoi=0.1), estimate, Multiplicity(0.12, 0.001)).verdict is Verdict.INCONCLUSIVE
    assert judge(Above(0, sesoi=0.1), estimate, Multiplicity(0.04, 0.001)).verdict is Verdict.SUPPORTED


@pytest.mark.parametrize(
    ("criterion", "effect", "verdict"),
    [
        (Above(0.4), 0.6, "SUPPORTED"),
        (Above(0.4), 0.2, "REFUTED"),
        (Above(0.4), 0.42, "INCONCLUSIVE"),
        (Below(0.4), 0.2, "SUPPORTED"),
        (Below(0.4), 0.6, "REFUTED"),
        (Below(0.4), 0.38, "INCONCLUSIVE"),
        (Within(0.2, 0.5), 0.35, "SUPPORTED"),
        (Within(0.2, 0.5), 0.7, "REFUTED"),
        (Within(0.2, 0.5), 0.5, "INCONCLUSIVE"),
    ],
)
def test_threshold_claims(criterion, effect, verdict):
    assert judge(criterion, made(effect)).verdict == verdict


@pytest.mark.parametrize(("sd", "verdict"), [(0.05, "SUPPORTED"), (0.07, "INCONCLUSIVE"), (0.2, "REFUTED")])
def test_z_maps_the_interval_through_the_primary_null(sd, verdict):
    estimate = made(0.3, se=0.05, nulls=(null(0.001, mean=0.05, sd=sd),))
    low, high = (0.3 - 1.645 * 0.05 - 0.05) / sd, (0.3 + 1.645 * 0.05 - 0.05) / sd
    assert judge(Above(3, on="z"), estimate).verdict == verdict
    assert (low > 3, high < 3) == (verdict == "SUPPORTED", verdict == "REFUTED")


def test_z_beyond_the_bar_with_an_unbeaten_null_is_inconclusive():
    nulls = (null(0.001, sd=0.02), null(0.3, "matched sets", sd=0.02))
    assert judge(Above(3, on="z"), made(0.3, p=0.3, nulls=nulls)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("criterion", "effect", "se", "p", "verdict"),
    [
        (Equivalent(0.1), 0.01, 0.02, 0.6, "SUPPORTED"),
        (Equivalent(0.1), 0.3, 0.05, 0.001, "REFUTED"),
        (Equivalent(0.1), -0.3, 0.05, 0.001, "REFUTED"),
        (Equivalent(0.1), 0.05, 0.1, 0.6, "INCONCLUSIVE"),
        (NotElevated(0.1), -0.3, 0.05, 0.9, "SUPPORTED"),
        (NotElevated(0.1), 0.3, 0.05, 0.001, "REFUTED"),
        (NotElevated(0.1), 0.08, 0.05, 0.2, "INCONCLUSIVE"),
    ],
)
def test_null_claims(criterion, effect, se, p, verdict):
    assert judge(criterion, made(effect, se=se, p=p, alternative="two-sided")).verdict == verdict


def test_inside_the_band_and_significant_is_negligible():
    judged = judge(Equivalent(0.1), made(0.03, se=0.01, p=0.001, alternative="two-sided"))
    assert (judged.verdict, judged.flags) == (Verdict.SUPPORTED, ("non-zero but negligible",))


def test_a_null_claim_needs_units():
    few = made(0.0, se=0.01, p=0.5, n=6, least_n=5, least_n_null=10, alternative="two-sided")
    assert judge(Equivalent(0.1), few).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "criterion", [Within(0.2, 0.5), Within(0.6, 0.9), Reproduces(0.3, 0.02), Reproduces(0.9, 0.02)]
)
def test_ranges_and_numbers_need_units(criterion):
    judged = judge(criterion, made(0.3, p=None, n=4, least_n=3, least_n_null=5))
    assert (judged.verdict, judged.reason) == ("INCONCLUSIVE", "n = 4 is below the 5 units that this verdict needs")
    assert judge(criterion, made(0.3, p=None, n=5, least_n=3, least_n_null=5)).verdict != Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.115, "SUPPORTED"), (0.135, "INCONCLUSIVE"), (0.2, "REFUTED"), (0.05, "REFUTED")]
)
def test_reproduces(effect, verdict):
    assert judge(Reproduces(0.12, tolerance=0.02), made(effect, se=0.005, p=None)).verdict == verdict


def test_exact_quantities_are_their_own_bounds():
    assert judge(Exactly(0, 1e-5), Estimate(9e-6, 1)).verdict is Verdict.SUPPORTED
    assert judge(Exactly(0, 1e-5), Estimate(2e-5, 1)).verdict is Verdict.REFUTED
    assert judge(Above(0.01), Estimate(0.24, 1)).verdict is Verdict.SUPPORTED
    assert judge(Above(0.01), Estimate(0.001, 1)).verdict is Verdict.REFUTED


def test_difference_needs_both_the_interaction_and_the_absence():
    absent, there = made(0.0, se=0.02, p=0.6), made(0.3, se=0.02, p=0.001)
    criterion = Difference("fewshot", "zeroshot", sesoi=0.1)
    assert judge(criterion, made(0.3, parts={"b": absent})).verdict is Verdict.SUPPORTED
    assert judge(criterion, made(0.3, parts={"b": there})).verdict is Verdict.REFUTED
    assert judge(criterion, made(0.3, p=0.3, parts={"b": absent})).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        (("SUPPORTED", "SUPPORTED"), "SUPPORTED"),
        (("SUPPORTED", "INCONCLUSIVE"), "INCONCLUSIVE"),
        (("NOT EVALUATED", "INCONCLUSIVE"), "NOT EVALUATED"),
        (("NOT EVALUATED", "REFUTED"), "REFUTED"),
        (("ERROR", "REFUTED"), "ERROR"),
    ],
)
def test_composites(parts, verdict):
    assert judge_parts(AllOf(("a", "b")), dict(zip("ab", map(Verdict, parts), strict=True))).verdict == verdict


@pytest.mark.parametrize(
    ("criterion", "estimate", "message"),
    [
        (Above(0, sesoi=0.1), made(p=None), "without a p"),
        (Above(0, sesoi=0.1), made(alternative="less"), "alternative 'less'"),
        (Below(0, sesoi=0.1), made(alternative="greater"), "alternative 'greater'"),
        (Equivalent(0.1), made(alternative="greater"), "alternative 'greater'"),
        (Above(0.4), Estimate(0.3, 20, ci=(0.1, 0.5), p=0.1), "without ci90"),
        (AllOf(("a",)), made(), "criterion"),
        (Difference("a", "b", 0.1), made(), "without its part"),
    ],
)
def test_an_estimate_that_does_not_fit_is_an_error(criterion, estimate, message):
    with pytest.raises(ClaimError, match=message):
        judge(criterion, estimate)


@given(st.floats(-1, 1), st.floats(1e-3, 0.5), st.floats(1e-4, 1), st.integers(0, 40))
def test_above_and_below_mirror_each_other(effect, se, p, n):
    up = judge(Above(0, sesoi=0.1), made(effect, se=se, p=p, n=n, least_n=5, least_n_null=10))
    down = judge(Below(0, sesoi=0.1), made(-effect, se=se, p=p, n=n, least_n=5, least_n_null=10, alternative="less"))
    assert up.verdict == down.verdict


@given(st.floats(-1, 1), st.floats(1e-3, 0.5), st.floats(1e-4, 1))
def test_no_estimate_supports_an_effect_and_its_absence(effect, se, p):
    estimate = made(effect, se=se, p=p, alternative="two-sided")
    present, absent = judge(Above(0, sesoi=0.1), estimate), judge(NotElevated(0.1), estimate)
    both = present.verdict == absent.verdict == Verdict.SUPPORTED
    assert not both or (present.flags == ("below SESOI",) and absent.flags == ("non-zero but negligible",))


@pytest.mark.parametrize(
    "bad", [{"effect": math.nan, "n": 3}, {"effect": 0.1, "n": 3, "p": 0.0}, {"effect": 0.1, "n": 3, "ci": (1.0, 0.0)}]
)
def test_estimates_that_no_measure_may_return(bad):
    with pytest.raises(ClaimError, match="wanted"):
        Estimate(**bad)


def test_an_effect_that_something_else_explains_does_not_refute_a_null_claim():
    there = made(0.3, se=0.05, p=0.001, alternative="two-sided")
    explained = replace(there, caution="another training seed gives as much")
    assert judge(Equivalent(0.1), there).verdict is Verdict.REFUTED
    judged = judge(Equivalent(0.1), explained)
    assert (judged.verdict, judged.reason) == (Verdict.INCONCLUSIVE, "another training seed gives as much")
