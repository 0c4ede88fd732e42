"""Rule M: what counts as a flip between two models, and how often chance makes one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import jacprobe.stats as rules
from fixtures.estimates import ci_of
from jacprobe.errors import InputError
from jacprobe.estimate import Estimate
from jacprobe.stats.labels import Labelled
from jacprobe.verdicts.criteria import Above
from jacprobe.verdicts.judge import judge

UNITS = tuple(f"KD{i}" for i in range(40))


def measured(values: np.ndarray, names: tuple[str, ...] = UNITS) -> Estimate:
    zeros = Labelled(np.zeros(len(values)), names)
    return rules.paired_contrast(Labelled(values, names), zeros, np.random.default_rng(0), permutations=39)


def test_a_flip_needs_a_difference_beyond_the_margin():
    old, new = {"effect": 0.30, "verdict": "SUPPORTED"}, {"effect": 0.05, "verdict": "INCONCLUSIVE"}
    unpaired = rules.flip(old, new, 0.1)
    assert unpaired.diagnostics["flipped"]
    assert unpaired.flags == ("unpaired",)
    wide = Estimate(-0.25, 30, (-0.5, 0.0), (-0.45, -0.05))
    assert not rules.flip(old, new, 0.1, wide).diagnostics["flipped"]
    assert not rules.flip(old, old, 0.1).diagnostics["changed"]
    with pytest.raises(InputError, match="effect and verdict"):
        rules.flip({"effect": 1.0}, new, 0.1)


def test_the_paired_difference_of_means_is_that_of_students_paired_test(rng):
    old, new = rng.normal(size=40), rng.normal(size=40)
    shuffled = rng.permutation(40)
    other = measured(new[shuffled], tuple(UNITS[i] for i in shuffled))
    found = rules.paired_difference(measured(old), other)
    expected = stats.ttest_rel(new, old).confidence_interval(0.95)
    assert ci_of(found) == pytest.approx((expected.low, expected.high))
    assert found.n == 40


def test_what_an_interval_allows_for_beyond_its_units_is_added_whole(rng):
    one = measured(rng.normal(size=40))
    low, high = ci_of(one)
    half = (high - low) / 2
    wider = replace(one, ci=(one.effect - 2 * half, one.effect + 2 * half))
    # The same units in both: nothing of theirs is left, only the rest, sqrt(2^2 - 1) times the half-width, twice.
    low, high = ci_of(rules.paired_difference(wider, wider))
    assert (low, high) == pytest.approx((-half * np.sqrt(6), half * np.sqrt(6)))


def test_reproduced_values_are_paired_by_their_draws(rng):
    draws = rng.normal(0.5, 0.05, 8)
    found = rules.paired_difference(rules.reproduces(draws, "0.5"), rules.reproduces(draws + 0.3, "0.5"))
    assert (found.n, found.effect) == (8, pytest.approx(0.3))
    low, high = ci_of(found)
    # Each side's interval is for one further draw: beyond the draws that both share it is added whole.
    assert low < 0.3 - np.sqrt(2) * draws.std(ddof=1) < 0.3 + np.sqrt(2) * draws.std(ddof=1) < high


def test_models_without_the_same_units_are_not_paired(rng):
    one = measured(rng.normal(size=40))
    with pytest.raises(InputError, match="2 units in one model only, such as KD0"):
        rules.paired_difference(one, measured(rng.normal(size=40), (*UNITS[1:], "KD99")))
    with pytest.raises(InputError, match="no jackknife"):
        rules.paired_difference(one, replace(one, replicates={}))
    narrow = replace(one, ci=(one.effect - 1e-3, one.effect + 1e-3))
    with pytest.raises(InputError, match="replicates that vary"):
        rules.paired_difference(narrow, one)


@pytest.mark.parametrize("shared", [0.0, 0.8], ids=["units of their own", "units shared"])
@pytest.mark.parametrize("margin", [0.0, 0.2], ids=["no margin", "a margin"])
def test_a_fresh_training_of_the_same_truth_flips_no_more_than_one_time_in_twenty(shared, margin):
    """The true effect lies on the bar itself, where verdicts change most often."""
    rng, runs, flipped, changed, covered = np.random.default_rng(1), 1500, 0, 0, 0
    for _ in range(runs):
        units = rng.normal(size=40)
        old, new = (
            measured(0.3 + np.sqrt(shared) * units + np.sqrt(1 - shared) * rng.normal(size=40)) for _ in range(2)
        )
        before, after = ({"effect": one.effect, "verdict": judge(Above(0.3), one).verdict} for one in (old, new))
        difference = rules.paired_difference(old, new)
        found = rules.flip(before, after, margin, difference).diagnostics
        flipped, changed = flipped + found["flipped"], changed + found["changed"]
        low, high = ci_of(difference)
        covered += low <= 0 <= high
    assert flipped <= stats.binom.ppf(0.99, runs, 0.05)
    assert changed > 0.02 * runs
    assert stats.binom.ppf(0.005, runs, 0.95) <= covered <= stats.binom.ppf(0.995, runs, 0.95)


def test_a_training_that_lost_the_effect_is_found(rng):
    runs, found = 200, 0
    for _ in range(runs):
        units = rng.normal(size=40)
        old, new = measured(1.0 + units), measured(0.2 + units + 0.3 * rng.normal(size=40))
        before, after = ({"effect": one.effect, "verdict": judge(Above(0.6), one).verdict} for one in (old, new))
        found += rules.flip(before, after, 0.1, rules.paired_difference(old, new)).diagnostics["flipped"]
    assert found >= 0.8 * runs
