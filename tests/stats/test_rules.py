"""Rules D to G on data whose answer is known by hand, by closed form or by another library."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

import jacprobe.stats as rules
from fixtures.estimates import ci_of, p_of
from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats.nulls import from_all, from_draws, matched_subsets, random_subsets
from jacprobe.verdicts.criteria import Above
from jacprobe.verdicts.judge import Verdict, judge
from tests.stats.similarities import cosines, spearman

FEW = 199


# nulls


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_subsets_have_no_repeats_and_matched_ones_keep_their_strata(seed, k):
    rng = np.random.default_rng(seed)
    assert all(len(set(row)) == k for row in random_subsets(rng, 12, k, 50).tolist())
    strata, members = rng.integers(0, 3, 12), rng.choice(12, k, replace=False)
    for row in matched_subsets(rng, strata, members, 50):
        assert len(set(row.tolist())) == k
        assert sorted(strata[row]) == sorted(strata[members])


@pytest.mark.parametrize(("n", "k"), [(200, 5), (20, 12)])
def test_subsets_are_uniform(rng, n, k):
    counts = np.bincount(random_subsets(rng, n, k, 20000).ravel(), minlength=n)
    assert scipy_stats.chisquare(counts).pvalue > 1e-4


def test_p_counts_ties_against_the_claim_and_is_never_zero():
    samples = np.array([0.0, 1.0, 2.0, 2.0])
    assert from_draws("x", 2.0, samples, "greater").p == 3 / 5
    assert from_draws("x", 3.0, samples, "greater").p == 1 / 5
    assert from_draws("x", 3.0, samples, "two-sided").p == 2 / 5
    assert from_all("x", 2.0, samples, "greater").p == 0.5


# D: clusters


def test_cluster_contrast_is_the_difference_of_means(rng):
    S, labels = cosines(rng.normal(size=(40, 10))), rng.integers(0, 4, 40)
    estimate = rules.cluster_contrast(S, labels, rng, permutations=FEW)
    i, j = np.triu_indices(40, 1)
    same = labels[i] == labels[j]
    expected = S[i, j][same].mean() - S[i, j][~same].mean()
    assert estimate.effect == pytest.approx(expected, abs=1e-12)
    u = scipy_stats.mannwhitneyu(S[i, j][same], S[i, j][~same]).statistic
    assert estimate.diagnostics["cliffs_delta"] == pytest.approx(2 * u / (same.sum() * (~same).sum()) - 1)
    shuffled = rng.permutation(labels)
    moved = shuffled[i] == shuffled[j]
    assert abs(estimate.nulls[0].mean) < 0.01
    assert estimate.nulls[0].sd == pytest.approx(abs(S[i, j][moved].mean() - S[i, j][~moved].mean()), abs=0.05)


def test_ratio_has_an_interval_only_where_both_means_are_clear_of_zero(rng):
    labels = np.arange(40) % 4
    near_zero = rules.cluster_contrast(cosines(rng.normal(size=(40, 10))), labels, rng, permutations=FEW)
    assert near_zero.diagnostics["ratio_ci"] is None
    S = 0.5 + 0.2 * (labels[:, None] == labels) + 0.02 * cosines(rng.normal(size=(40, 10)))
    clear = rules.cluster_contrast(S, labels, rng, permutations=FEW)
    low, high = clear.diagnostics["ratio_ci"]
    assert low < 1.4 < high
    assert clear.p == 1 / (FEW + 1)


def test_cluster_contrast_difference_is_zero_of_equals(rng):
    S, labels = cosines(rng.normal(size=(40, 10))), rng.integers(0, 4, 40)
    assert rules.cluster_contrast_difference(S, labels, S, labels, rng).effect == 0


def test_labels_are_matched_by_name_and_one_cluster_is_refused(rng):
    names = [f"G{i}" for i in range(30)]
    S = xr.DataArray(cosines(rng.normal(size=(30, 8))), dims=("a", "b"), coords={"a": names, "b": names})
    labels = {name: i % 3 for i, name in enumerate(names[:25])}
    estimate = rules.cluster_contrast(S, dict(reversed(labels.items())), rng, permutations=FEW)
    assert (estimate.n, set(estimate.dropped)) == (25, set(names[25:]))
    with pytest.raises(InputError, match="1 cluster"):
        rules.cluster_contrast(S, dict.fromkeys(names, 1), rng)


# E: contrasts


def test_against_controls_all_labellings_are_taken(rng):
    values = xr.DataArray([4.0, 3, 2, 1, 0.5], dims="kd", coords={"kd": list("abcde")})
    estimate = rules.vector_contrast(values, ["a", "b"], rng, controls=["c", "d", "e"])
    assert p_of(estimate) == pytest.approx(1 / 10)
    assert estimate.least_p == pytest.approx(1 / 10)
    assert judge(Above(0, 0.1), estimate).verdict == Verdict.INCONCLUSIVE
    with pytest.raises(InputError, match="b as member and control"):
        rules.vector_contrast(values, ["a", "b"], rng, controls=["b", "c"])


def test_panel_drops_dead_targets_and_averages_over_pairs(rng):
    J = xr.DataArray(
        rng.normal(size=(30, 2, 3)),
        dims=("kd", "regulator", "target"),
        coords={"kd": [f"K{i}" for i in range(30)], "regulator": ["r", "s"], "target": ["x", "y", "dead"]},
    )
    J.loc[{"target": "dead"}] = 0
    pathway = ["K0", "K1", "K2", "K3", "absent"]
    estimate = rules.panel_contrast(J, pathway, rng, permutations=FEW)
    per_kd = np.abs(J.values[:, :, :2]).mean(axis=(1, 2))
    assert estimate.effect == pytest.approx((per_kd[:4].mean() - per_kd[4:].mean()) / per_kd.mean())
    assert estimate.dropped == ("absent", "target dead")
    with pytest.raises(InputError, match="0 under every KD"):
        rules.panel_contrast(J * 0, pathway, rng)


def test_large_set_beats_random_sets_but_not_matched_ones(rng):
    size = np.exp(rng.normal(size=200))
    values = np.log(size) + 0.1 * rng.normal(size=200)
    estimate = rules.vector_contrast(values, np.argsort(size)[-30:-10], rng, magnitudes=size, permutations=999)
    assert estimate.nulls[0].p <= 0.001
    assert estimate.nulls[1].p > 0.01


def test_paired_contrast_is_students(rng):
    x, y = rng.normal(size=(2, 12)) + np.array([[0.5], [0]])
    estimate = rules.paired_contrast(x, y, rng)
    low, high = scipy_stats.ttest_rel(x, y).confidence_interval(0.95)
    assert ci_of(estimate) == pytest.approx((low, high))
    assert rules.paired_contrast(x[:4], y[:4], rng).least_p == 1 / 16


# F: ranks


def test_rank_and_its_interval_over_draws(rng):
    values = np.arange(100.0)
    alone = rules.percentile_rank(values, "95")
    assert (alone.effect, ci_of(alone)) == (0.05, (0.05, 0.05))
    assert alone.flags == ("one control-cell draw: the rank has no interval",)
    assert rules.percentile_rank(values, "95", looked_at=7).p == pytest.approx(7 * 5 / 101)
    assert rules.percentile_rank(values, "95", descending=False).effect == 0.96
    draws = values + rng.normal(scale=3, size=(6, 100))
    low, high = ci_of(rules.percentile_rank(values, "95", draws))
    assert low < 0.06 < high
    with pytest.raises(EvidenceMissingError, match="FOXO1"):
        rules.percentile_rank(values, "FOXO1")


def test_outranking_takes_the_hardest_rival(rng):
    draws = xr.DataArray(
        np.array([[3, 2, 1], [3, 1, 4], [3, 2, 0], [3, 2, 0.0]]), dims=("draw", "kd"), coords={"kd": list("abc")}
    )
    estimate = rules.outranks(draws, "a", ["b", "c"])
    assert (estimate.effect, estimate.flags) == (0.75, ("decided by c",))
    expected = scipy_stats.binomtest(3, 4).proportion_ci(0.95, method="exact")
    assert ci_of(estimate) == pytest.approx((expected.low, expected.high))


# G: profiles


def test_profile_agreement_is_the_mean_of_spearman(rng):
    a, b = rng.normal(size=(12, 30)), rng.normal(size=(12, 30))
    estimate = rules.profile_agreement(a, b, rng, permutations=FEW)
    matched = [spearman(x, y) for x, y in zip(a, b, strict=True)]
    assert estimate.effect == pytest.approx(np.mean(matched))
    mismatched = [spearman(a[i], b[j]) for i in range(12) for j in range(12) if i != j]
    assert estimate.diagnostics["mismatched_mean"] == pytest.approx(np.mean(mismatched))
    beyond = rules.profile_agreement(a, b, rng, beyond_mismatched=True, permutations=FEW)
    assert beyond.effect == pytest.approx(np.mean(matched) - np.mean(mismatched))


def test_unknown_options_are_refused(rng):
    a, b = rng.normal(size=(2, 12, 6))
    with pytest.raises(InputError, match="method: 'kendall'; wanted one of pearson, spearman"):
        rules.profile_agreement(a, b, rng, method="kendall", permutations=FEW)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="method: 'kendall'"):
        rules.vector_correlation(a[:, 0], b[:, 0], rng, method="kendall")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="alternative: 'up'; wanted one of greater, less, two-sided"):
        rules.profile_agreement(a, b, rng, alternative="up", permutations=FEW)  # pyright: ignore[reportArgumentType]


def test_none_of_two_hundred_bounds_the_share(rng):
    a, b = rng.normal(size=(200, 100)), rng.normal(size=(200, 100))
    bound = rules.profile_agreement(a, b, rng, permutations=FEW).diagnostics["share_above_upper_bound"]
    assert bound == pytest.approx(1 - 0.05 ** (1 / 200))
    assert round(bound, 4) == 0.0149


def test_profiles_are_matched_on_both_axes(rng):
    a = xr.DataArray(
        rng.normal(size=(10, 20)),
        dims=("kd", "gene"),
        coords={"kd": [f"K{i}" for i in range(10)], "gene": [f"G{i}" for i in range(20)]},
    )
    turned = a.isel(kd=rng.permutation(10)[:8], gene=rng.permutation(20)[:15])
    estimate = rules.profile_agreement(a, turned, rng, permutations=FEW)
    assert (estimate.effect, estimate.n, estimate.diagnostics["genes"]) == (pytest.approx(1.0), 8, 15)


def test_anticorrelated_profiles_are_counted_after_adjusting(rng):
    a = rng.normal(size=(20, 300))
    b = rng.normal(size=(20, 300))
    b[:4] = -a[:4]
    estimate = rules.share_anticorrelated(a, b)
    assert estimate.effect == 0.2
    assert estimate.diagnostics["anticorrelated"] == ["0", "1", "2", "3"]
    assert p_of(estimate) < 0.01
    assert estimate.as_published["nb04_counts"]["negative"] > 4


def test_largest_agreement_and_share_below(rng):
    draws = np.array([0.1, 0.3, 0.2]) + 0.01 * rng.normal(size=(6, 3))
    estimate = rules.largest_agreement(draws)
    assert estimate.diagnostics["unit"] == "1"
    low, high = ci_of(estimate)
    assert low < 0.3 < high < 0.35
    assert rules.share_below([0.1, 0.2, 0.5], 0.4).effect == pytest.approx(2 / 3)


# H: clusterings
