"""Several trainings of one model: the unit is the training."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fixtures.estimates import ci_of, p_of
from jacprobe.errors import InputError
from jacprobe.estimate import Estimate
from jacprobe.stats.trainings import over_trainings


def estimate(effect: float, half: float = 0.1, **fields) -> Estimate:
    ci = (effect - half, effect + half)
    return Estimate(effect, 20, ci, ci, 0.001, least_n=5, least_n_null=5, **fields)


def test_one_training_stands_for_itself_and_says_so():
    alone = over_trainings({"a": estimate(0.3)})
    assert alone.effect == 0.3
    assert "this checkpoint" in alone.flags[-1]


def test_half_widths_add_in_squares():
    effects = [0.2, 0.3, 0.25, 0.35]
    joined = over_trainings({str(i): estimate(effect) for i, effect in enumerate(effects)})
    of_trainings = stats.t.interval(0.95, 3, np.mean(effects), stats.sem(effects))
    half = np.hypot(0.1, of_trainings[1] - np.mean(effects))
    assert joined.n == 4
    assert joined.ci == pytest.approx((np.mean(effects) - half, np.mean(effects) + half))
    assert joined.p == pytest.approx(np.asarray(stats.ttest_1samp(effects, 0, alternative="greater"))[1])
    assert "unit is the model" in joined.flags[-1]


def test_the_interval_holds_a_new_mean_as_often_as_it_says():
    rng, held, runs = np.random.default_rng(0), 0, 400
    for _ in range(runs):
        trained = {}
        for i in range(5):
            units = 0.3 + 0.1 * rng.standard_normal() + 0.2 * rng.standard_normal(20)
            ci = stats.t.interval(0.95, 19, units.mean(), stats.sem(units))
            trained[str(i)] = Estimate(float(units.mean()), 20, ci, ci, 0.5)
        low, high = ci_of(over_trainings(trained))
        held += low <= 0.3 <= high
    assert held / runs >= 0.93


def test_trainings_that_contradict_each_other_decide_nothing():
    joined = over_trainings({"a": estimate(-0.3), "b": estimate(0.4)})
    assert p_of(joined) > 0.4
    low, high = ci_of(joined)
    assert low < -0.3 < 0.4 < high


def test_too_few_units_in_one_training_are_too_few():
    short = Estimate(0.3, 3, (0.2, 0.4), (0.2, 0.4), 0.01, least_n=5, least_n_null=5)
    joined = over_trainings({"a": estimate(0.3), "b": short})
    assert joined.n == 3 < joined.least_n


def test_parts_are_joined_too():
    joined = over_trainings({name: estimate(x, parts={"b": estimate(x - 0.2)}) for name, x in (("a", 0.2), ("b", 0.4))})
    assert joined.parts["b"].effect == pytest.approx(0.1)


def test_nothing_and_two_alternatives_are_refused():
    with pytest.raises(InputError):
        over_trainings({})
    with pytest.raises(InputError):
        over_trainings({"a": estimate(0.1), "b": estimate(0.1, alternative="less")})
