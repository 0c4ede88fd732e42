import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats import moments, set_coherence, set_coherence_difference


def similarity(rng, n, d=30, shared=0.0, members=()):
    X = rng.normal(size=(n, d))
    X[list(members)] += shared * rng.normal(size=d)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X @ X.T


def labelled(S, names):
    return xr.DataArray(S, dims=("kd", "kd_other"), coords={"kd": names, "kd_other": names})


def names_of(n):
    return [f"G{i:03d}" for i in range(n)]


def brute_force_mean(S, members):
    pairs = [S[i, j] for i in members for j in members if i < j]
    return sum(pairs) / len(pairs)


@given(st.integers(0, 2**32 - 1), st.integers(3, 9))
@settings(max_examples=25, deadline=None)
def test_coherence_is_that_of_a_loop_over_pairs(seed, k):
    rng = np.random.default_rng(seed)
    S = similarity(rng, 20)
    members = rng.choice(20, k, replace=False)
    estimate = set_coherence(S, members, rng, permutations=99)
    expected = brute_force_mean(S, members) - brute_force_mean(S, range(20))
    assert estimate.effect == pytest.approx(expected, abs=1e-12)
    assert estimate.n == k


def test_null_draws_are_those_of_a_loop(rng):
    S = similarity(rng, 40)
    sets = np.array([rng.choice(40, 6, replace=False) for _ in range(50)])
    slow = [brute_force_mean(S, members) for members in sets]
    np.testing.assert_allclose(moments.mean_within(S, sets), slow, atol=1e-13)


@pytest.mark.parametrize("k", [3, 5, 20, 37])
def test_closed_form_null_moments_equal_monte_carlo(rng, k):
    S = similarity(rng, 60)
    S += np.add.outer(h := rng.normal(size=60), h)
    estimate = set_coherence(S, range(k), rng, permutations=20000)
    null = estimate.nulls[0]
    assert estimate.diagnostics["closed_form_null_mean"] == pytest.approx(null.mean, abs=4 * null.sd / 20000**0.5)
    # The sd of a sample sd is about sd / sqrt(2B), here for a null with somewhat heavy tails.
    assert estimate.diagnostics["closed_form_null_sd"] == pytest.approx(null.sd, rel=0.03)


def test_closed_form_moments_equal_all_sets_of_a_small_matrix(rng):
    from itertools import combinations

    S = similarity(rng, 9)
    every = moments.mean_within(S, np.array(list(combinations(range(9), 4))))
    mean, sd = moments.random_set_moments(S, 4)
    assert mean == pytest.approx(every.mean(), abs=1e-13)
    assert sd == pytest.approx(every.std(), rel=1e-10)


def test_planted_set_is_found_by_both_nulls(rng):
    members = range(12)
    S = similarity(rng, 200, shared=1.0, members=members)
    estimate = set_coherence(labelled(S, names_of(200)), names_of(200)[:12], rng)
    assert estimate.p == 1e-4
    assert estimate.ci is not None
    assert estimate.ci[0] > 0
    assert estimate.nulls[0].draws == 9999


def test_hub_members_beat_the_random_sets_only(rng):
    n, k = 200, 15
    hub = np.zeros(n)
    hub[:60] = 2.0
    X = rng.normal(size=(n, 40)) + hub[:, None] * rng.normal(size=40)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    estimate = set_coherence(X @ X.T, rng.choice(60, k, replace=False), rng)
    random_sets, matched = estimate.nulls
    assert random_sets.p <= 0.001
    assert matched.p > 0.05
    assert estimate.p == matched.p


def test_jackknife_is_that_of_deleting_members_one_by_one(rng):
    S, members = similarity(rng, 50), list(range(8))
    estimate = set_coherence(S, members, rng, permutations=99)
    without = np.array([brute_force_mean(S, [m for m in members if m != i]) for i in members])
    se = np.sqrt(7 / 8 * ((without - without.mean()) ** 2).sum())
    assert estimate.diagnostics["jackknife_se"] == pytest.approx(se, rel=1e-10)


def test_members_of_one_complex_count_once(rng):
    S = similarity(rng, 60, shared=1.0, members=range(3))
    names = names_of(60)
    groups = dict.fromkeys(names[:3], "complex")
    alone = set_coherence(labelled(S, names), names[:9], rng, permutations=99)
    grouped = set_coherence(labelled(S, names), names[:9], rng, permutations=99, groups=groups)
    assert (alone.n, grouped.n) == (9, 7)
    assert grouped.effect == alone.effect


def test_unknown_and_repeated_members_are_named(rng):
    names = names_of(40)
    estimate = set_coherence(
        labelled(similarity(rng, 40), names), [*names[:6], names[2], "SRPRB"], rng, permutations=99
    )
    assert estimate.n == 6
    assert estimate.dropped == ("SRPRB",)
    assert estimate.flags == ("named more than once, counted once: G002",)


def test_a_set_object_is_taken_by_its_members(rng):
    class GeneSet:
        members = tuple(names_of(6))

    S = labelled(similarity(rng, 40), names_of(40))
    assert set_coherence(S, GeneSet(), rng, permutations=99).n == 6


def test_too_few_members_are_refused_with_the_missing_named(rng):
    S = labelled(similarity(rng, 40), names_of(40))
    with pytest.raises(EvidenceMissingError, match=r"2 of 3 members.*not there: FOXO1"):
        set_coherence(S, ["G000", "G001", "FOXO1"], rng)


def test_four_members_fall_short_of_the_least_for_a_verdict(rng):
    estimate = set_coherence(similarity(rng, 40), range(4), rng, permutations=99)
    assert estimate.n < estimate.least_n


def test_the_axes_may_stand_in_different_orders(rng):
    names, order = names_of(30), rng.permutation(30)
    S = similarity(rng, 30)
    turned = xr.DataArray(
        S[:, order], dims=("kd", "kd_other"), coords={"kd": names, "kd_other": [names[i] for i in order]}
    )
    seeds = [np.random.default_rng(1) for _ in range(2)]
    first, second = (
        set_coherence(m, names[:6], r, permutations=99)
        for m, r in zip((labelled(S, names), turned), seeds, strict=True)
    )
    assert first == second


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda S: S[:, :-1], r"shape \(20, 19\).*square"),
        (lambda S: S + np.triu(np.full_like(S, 0.1), 1), "asymmetric matrix"),
        (lambda S: np.where(np.eye(20) > 0, np.nan, S), "not finite, in 0, 1"),
        (lambda S: np.full_like(S, 0.5) + 0.5 * np.eye(20), "constant matrix"),
        (lambda S: S[0], "1 dimensions; wanted 2"),
        (lambda S: np.full_like(S, "a", dtype=object), "no numbers"),
    ],
)
def test_what_is_no_similarity_matrix_is_refused(rng, spoil, message):
    with pytest.raises(InputError, match=message):
        set_coherence(spoil(similarity(rng, 20)), range(5), rng)


def test_norms_must_cover_the_knockdowns(rng):
    S = labelled(similarity(rng, 20), names_of(20))
    with pytest.raises(InputError, match="no norm for G019"):
        set_coherence(S, names_of(5), rng, norms=xr.DataArray(np.ones(19), dims="kd", coords={"kd": names_of(19)}))
    with pytest.raises(InputError, match="norms that are not positive"):
        set_coherence(S, names_of(5), rng, norms=xr.DataArray(np.zeros(20), dims="kd", coords={"kd": names_of(20)}))


def test_too_few_draws_are_refused(rng):
    with pytest.raises(InputError, match="19 null draws"):
        set_coherence(similarity(rng, 20), range(5), rng, permutations=19)


def test_one_stream_gives_one_result(rng):
    S = similarity(rng, 30)
    assert set_coherence(S, range(6), np.random.default_rng(3)) == set_coherence(S, range(6), np.random.default_rng(3))


def test_difference_is_matched_by_name(rng):
    names = names_of(50)
    A = labelled(similarity(rng, 50, shared=1.5, members=range(10)), names)
    B = labelled(similarity(rng, 50), names)
    order = rng.permutation(50)[:45]
    order = np.union1d(order, np.arange(10))[::-1]
    shuffled = B.isel(kd=order, kd_other=order)
    estimate = set_coherence_difference(A, shuffled, names[:10], rng)
    kept = np.sort(order)
    expected = [
        brute_force_mean(M, range(10)) - brute_force_mean(M[np.ix_(kept, kept)], range(len(kept)))
        for M in (A.values, B.values)
    ]
    assert estimate.effect == pytest.approx(expected[0] - expected[1], abs=1e-12)
    assert [estimate.parts[side].effect for side in "ab"] == pytest.approx(expected, abs=1e-12)
    assert estimate.p is not None
    assert estimate.p <= 0.001
    assert estimate.flags == (f"{50 - len(order)} KDs are in one matrix only",)


def test_equal_models_do_not_differ(rng):
    S = similarity(rng, 50, shared=1.5, members=range(10))
    noisy = S + 0.01 * np.eye(50)
    noise = rng.normal(scale=0.05, size=(50, 50))
    estimate = set_coherence_difference(S, noisy + noise + noise.T, range(10), rng)
    assert estimate.p is not None
    assert estimate.p > 0.01
    assert estimate.ci is not None
    assert estimate.ci[0] < 0 < estimate.ci[1]


def test_published_tests_stand_beside_it(rng):
    estimate = set_coherence(similarity(rng, 60, shared=0.8, members=range(8)), range(8), rng)
    assert set(estimate.as_published) == {"nb01_set_draw_without_plus_one", "nb02_rank_sum_over_pairs"}
    assert estimate.as_published["nb02_rank_sum_over_pairs"]["pairs"] == 4998
