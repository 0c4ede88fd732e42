import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import bh, by, holm, intersection_union

p_values = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=12)


def holm_by_hand(p):
    order, worst, out = np.argsort(p), 0.0, np.empty(len(p))
    for step, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - step) * p[i]))
        out[i] = worst
    return out


@given(p_values, st.integers(0, 5))
def test_adjusting_counts_the_members_that_were_not_evaluated(p, absent):
    np.testing.assert_allclose(holm(p, size=len(p) + absent), holm_by_hand(p + [1.0] * absent)[: len(p)], rtol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [(holm, "holm"), (bh, "fdr_bh"), (by, "fdr_by")])
def test_adjusted_p_equal_statsmodels(rng, ours, theirs):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for p in (rng.uniform(size=7), rng.uniform(size=20) ** 6, np.repeat(rng.uniform(size=3), 2)):
        np.testing.assert_allclose(ours(p), multitest.multipletests(p, method=theirs)[1], rtol=1e-12)


def test_a_p_of_zero_is_refused():
    with pytest.raises(InputError, match="0 < p <= 1"):
        holm([0.0, 0.5])
    with pytest.raises(InputError, match="a family of 1; wanted at least the 2 p given"):
        holm([0.1, 0.5], size=1)


def estimate(effect, p, half=0.2, n=20, alternative: Alternative = "greater"):
    return Estimate(effect, n, (effect - half, effect + half), (effect - half, effect + half), p, alternative)


def test_everywhere_takes_the_weakest_model():
    joined = intersection_union({"a": estimate(0.5, 0.001), "b": estimate(0.1, 0.2, n=12)})
    assert (joined.effect, joined.p, joined.n) == (0.1, 0.2, 12)
    assert joined.ci is not None
    assert joined.ci[0] == pytest.approx(-0.1)
    assert joined.ci[1] > 0.3
    assert joined.diagnostics["models"]["a"]["effect"] == 0.5


def test_everywhere_below_takes_the_least_negative_model():
    joined = intersection_union(
        {"a": estimate(-0.5, 0.001, alternative="less"), "b": estimate(-0.3, 0.01, alternative="less")}
    )
    assert (joined.effect, joined.p) == (-0.3, 0.01)
    assert joined.ci is not None
    assert joined.ci[1] == pytest.approx(-0.1)


def test_nowhere_takes_the_strongest_model_and_counts_the_looks():
    joined = intersection_union({"a": estimate(0.5, 0.02), "b": estimate(0.1, 0.2)}, claim="nowhere")
    assert (joined.effect, joined.p) == (0.5, 0.04)
    assert joined.ci90 is not None
    assert joined.ci90[1] == pytest.approx(0.7)


def test_mixed_sides_are_refused():
    with pytest.raises(InputError, match="one side, shared by all models"):
        intersection_union({"a": estimate(0.5, 0.02), "b": estimate(0.1, 0.2, alternative="less")})
    with pytest.raises(InputError, match="no estimate"):
        intersection_union({})


def test_joint_bounds_hold_their_level():
    rng, models, runs = np.random.default_rng(5), 3, 1500
    missed_low = missed_high = 0
    half = stats.norm.ppf(0.95)
    for _ in range(runs):
        effects = rng.normal(size=models)
        joined = intersection_union(
            {str(i): Estimate(e, 10, (e - 2, e + 2), (e - half, e + half), 0.5) for i, e in enumerate(effects)}
        )
        assert joined.ci90 is not None
        missed_low += joined.ci90[0] > 0
        missed_high += joined.ci90[1] < 0
    bound = stats.binom.ppf(0.999, runs, 0.05)
    assert missed_low <= bound
    assert missed_high <= bound
