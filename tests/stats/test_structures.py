"""Rules H to P on data whose answer is known by hand, by closed form or by another library."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn import metrics

import jacprobe.stats as rules
from fixtures.estimates import ci_of, p_of
from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Estimate
from jacprobe.stats.clusterings import adjusted_rand_index
from jacprobe.stats.ranks import clopper_pearson
from jacprobe.stats.reproduction import half_unit
from jacprobe.verdicts.criteria import Above, Reproduces, Within
from jacprobe.verdicts.judge import Verdict, judge
from tests.stats.similarities import cosines, spearman

FEW = 199


# H: clusterings


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_rand_index_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, rng.integers(2, 6), 30), rng.integers(0, rng.integers(2, 6), 30)
    assert adjusted_rand_index(a, b) == pytest.approx(metrics.adjusted_rand_score(a, b), abs=1e-12)


def test_clustering_agreement_and_its_difference(rng):
    a = rng.integers(0, 5, 100)
    b = np.where(rng.random(100) < 0.6, a, rng.integers(0, 5, 100))
    estimate = rules.clustering_agreement(a, b, rng, permutations=FEW)
    assert p_of(estimate) == 1 / (FEW + 1)
    assert estimate.diagnostics["adjusted_mutual_information"] == pytest.approx(
        metrics.adjusted_mutual_info_score(a, b)
    )
    difference = rules.clustering_agreement_difference(a, b, rng.permutation(a), rng)
    assert ci_of(difference)[0] > 0


def test_ward_labels_find_planted_directions(rng):
    truth = np.arange(60) % 3
    X = np.eye(3)[truth] @ rng.normal(size=(3, 20)) * rng.uniform(1, 20, (60, 1))
    assert adjusted_rand_index(truth, rules.ward_labels(X + 0.01 * rng.normal(size=X.shape), 3)) == 1
    with pytest.raises(InputError, match="1 rows of zeros"):
        rules.ward_labels(np.vstack([np.zeros(20), X]), 3)


# I: overlap


def test_enrichment_is_hypergeometric(rng):
    labels = np.repeat(["x", "y", "z"], [10, 20, 30])
    members = [0, 1, 2, 3, 30]
    estimate = rules.enrichment(labels, members)
    assert estimate.diagnostics["cluster"] == "x"
    one = scipy_stats.hypergeom.sf(3, 60, 5, 10)
    assert p_of(estimate) == pytest.approx(3 * one)
    assert p_of(rules.enrichment(labels, members, cluster="x")) == pytest.approx(one)
    assert rules.enrichment(labels, members).effect == pytest.approx(4 / 5 - 10 / 60)
    with pytest.raises(InputError, match="cluster 'q'"):
        rules.enrichment(labels, members, cluster="q")


def test_several_sets_are_adjusted_over_all_pairs_of_cluster_and_set():
    labels = np.repeat(["x", "y", "z"], [10, 20, 30])
    sets = {"s": [0, 1, 2, 3, 30], "t": [31, 32], "u": [99]}
    estimate = rules.enrichment(labels, sets)
    hits, sizes, k = [4, 0, 1, 0, 0, 2], [10, 20, 30] * 2, [5] * 3 + [2] * 3
    raw = np.asarray(scipy_stats.hypergeom.sf(np.array(hits) - 1, 60, k, sizes)).tolist()
    assert estimate.diagnostics["set"] == "s"
    assert list(estimate.diagnostics["p_adjusted"].values()) == pytest.approx(rules.holm(raw))
    assert list(estimate.diagnostics["p_adjusted"])[:4] == ["x, s", "y, s", "z, s", "x, t"]
    assert p_of(estimate) == pytest.approx(6 * raw[0])
    assert estimate.dropped == ("set u",)
    of_z = rules.enrichment(labels, sets, cluster="z")
    assert (of_z.diagnostics["set"], p_of(of_z)) == ("t", pytest.approx(2 * raw[5]))
    with pytest.raises(EvidenceMissingError, match="1 sets without a known member"):
        rules.enrichment(labels, {"u": [99]})


def test_the_interval_of_the_best_of_many_clusters_is_wide_enough_for_all_of_them():
    labels = np.repeat(["x", "y", "z"], [10, 20, 30])
    alone, best = (rules.enrichment(labels, [0, 1, 2, 3, 30], cluster=one) for one in ("x", None))
    assert ci_of(best)[0] < ci_of(alone)[0]
    low, high = clopper_pearson(4, 5, 1 - 0.05 / 3)
    assert ci_of(best) == pytest.approx((low - 10 / 60, high - 10 / 60))


def test_coclustering_counts_pairs(rng):
    labels = np.repeat([0, 1], 20)
    estimate = rules.coclustering(labels, [0, 1, 2, 3, 4, 20], rng, permutations=FEW)
    assert estimate.diagnostics["share"] == pytest.approx(10 / 15)
    assert estimate.effect == pytest.approx(10 / 15 - 19 / 39)
    lost = rules.coclustering_difference(labels, rng.permutation(labels), [0, 1, 2, 3, 4, 5], rng, permutations=FEW)
    assert lost.effect == pytest.approx(lost.parts["a"].effect - lost.parts["b"].effect)


def test_output_enrichment_finds_a_planted_cluster(rng):
    genes = [f"G{i}" for i in range(200)]
    values, labels = rng.normal(size=(60, 200)), np.repeat([0, 1, 2], 20)
    values[:, :10] += np.where(labels == 1, 1, -0.5)[:, None]
    delta = xr.DataArray(values, dims=("kd", "gene"), coords={"gene": genes})
    estimate = rules.output_enrichment(delta, labels, genes[:10], rng, top=20, permutations=FEW)
    raised = np.argsort(-values[20:40].mean(axis=0))[:20]
    assert estimate.diagnostics["cluster"] == "1"
    assert estimate.effect == np.count_nonzero(raised < 10) - 1.0
    assert p_of(estimate) <= 0.05
    nothing = rules.output_enrichment(delta, labels, genes[100:110], rng, top=20, permutations=FEW)
    assert p_of(nothing) > 0.05


# J: neighbours


def test_neighbour_rank_and_counts_by_hand(rng):
    S = cosines(rng.normal(size=(50, 10)))
    order = [i for i in np.argsort(-S[7]) if i != 7]
    estimate = rules.neighbour_rank(S, "7", str(order[2]), rng)
    assert estimate.effect == 3
    assert estimate.nulls[0].p == pytest.approx(3 / 49)
    assert judge(Within(1, 1), estimate).verdict == Verdict.REFUTED
    assert judge(Within(1, 1), rules.neighbour_rank(S, "7", str(order[0]), rng)).verdict == Verdict.SUPPORTED
    family = [*order[:4], *order[20:26]]
    count = rules.neighbours(S, "7", family, rng, top=10, excess=False, permutations=FEW)
    assert count.effect == 4
    assert count.diagnostics["in_family"] == [str(i) for i in order[:4]]


def test_island_is_seen_by_purity_and_recall(rng):
    X = rng.normal(size=(100, 20))
    X[:16] += 2 * rng.normal(size=20)
    S = cosines(X)
    estimate = rules.neighbourhood_purity(S, range(16), rng, permutations=FEW)
    listed = [set(np.argsort(-np.where(np.arange(100) == i, -9, S[i]))[:15]) for i in range(16)]
    assert estimate.diagnostics["purity"] == pytest.approx(
        np.mean([len(near & set(range(16))) / 15 for near in listed])
    )
    assert p_of(estimate) <= 0.02
    recall = rules.neighbourhood_recall(S, {"0": ["1", "2"], "3": "4", "5": "6"}, rng, permutations=FEW)
    assert recall.effect > 0.4
    assert recall.n == 3


def test_unknown_query_is_named(rng):
    with pytest.raises(EvidenceMissingError, match="TRAPPC3"):
        rules.neighbours(cosines(rng.normal(size=(40, 5))), "TRAPPC3", ["1"], rng)


# K: spectra


def test_leading_share_is_carried_by_one_knockdown(rng):
    J = rng.normal(size=(30, 8, 5))
    J[3] *= 100
    estimate = rules.leading_share(J)
    raw = estimate.diagnostics["raw"]
    flat = J.reshape(30, -1)
    u, s, _ = np.linalg.svd(flat, full_matrices=False)
    assert raw["share"] == pytest.approx((u[:, 0] * s[0]).var() / flat.var(axis=0).sum())
    assert raw["share"] > 0.95
    assert raw["carried_by"] == "3"
    rest = np.delete(flat, 3, 0)
    u, s, _ = np.linalg.svd(rest, full_matrices=False)
    assert raw["leave_one_out"][0] == pytest.approx((u[:, 0] * s[0]).var() / rest.var(axis=0).sum())
    assert estimate.effect < 0.3
    assert judge(Above(0.5), estimate).verdict == Verdict.REFUTED


# L, M, N


def test_learned_contrast_counts_copies():
    copies = np.linspace(-0.1, 0.1, 20).tolist()
    trained = Estimate(0.5, 50, (0.4, 0.6), (0.42, 0.58))
    estimate = rules.learned_contrast(trained, copies)
    assert (estimate.effect, estimate.p, estimate.n) == (pytest.approx(0.5), 1 / 21, 20)
    assert judge(Above(0, 0.1), estimate).verdict == Verdict.SUPPORTED
    assert rules.learned_contrast(0.05, copies).p == pytest.approx(7 / 21, abs=1 / 20)
    with pytest.raises(EvidenceMissingError, match="1 randomised copies"):
        rules.learned_contrast(trained, [0.1])


@pytest.mark.parametrize(
    ("published", "half"), [("0.119", 5e-4), ("2.0e-80", 5e-82), (0.13, 5e-3), ("15", 0.5), ("−0.41", 5e-3)]
)
def test_half_a_unit_of_the_last_digit(published, half):
    assert half_unit(published) == pytest.approx(half)


def test_reproduction_covers_one_more_draw():
    draws = np.array([0.10, 0.11, 0.12, 0.13, 0.14])
    estimate = rules.reproduces(draws, "0.119")
    width = scipy_stats.t.ppf(0.975, 4) * draws.std(ddof=1) * np.sqrt(6 / 5) + 0.0005
    assert ci_of(estimate) == pytest.approx((0.12 - width, 0.12 + width))
    assert judge(Reproduces(0.119, 0.02), estimate).verdict == Verdict.SUPPORTED
    assert judge(Reproduces(0.3, 0.02), estimate).verdict == Verdict.REFUTED
    single = rules.reproduces(0.1194, "0.119")
    assert ci_of(single) == pytest.approx((0.1189, 0.1199))
    with pytest.raises(InputError, match="published value 'none'"):
        rules.reproduces(draws, "none")


def test_spread_over_draws_is_chi_squared():
    draws = np.array([1.0, 2, 3, 4, 5])
    low, high = ci_of(rules.draw_spread(draws))
    s = draws.std(ddof=1)
    assert low == pytest.approx(s * np.sqrt(4 / scipy_stats.chi2.ppf(0.975, 4)))
    assert high == pytest.approx(s * np.sqrt(4 / scipy_stats.chi2.ppf(0.025, 4)))


# P: vectors


def test_vector_correlation_is_scipys_with_exact_replicates(rng):
    x = rng.normal(size=30)
    y = 0.5 * x + rng.normal(size=30)
    assert rules.vector_correlation(x, y, rng, permutations=FEW).effect == pytest.approx(spearman(x, y))
    pearson = rules.vector_correlation(x, y, rng, method="pearson", permutations=FEW)
    assert pearson.effect == pytest.approx(np.corrcoef(x, y)[0, 1])
    without = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(30)]
    assert pearson.diagnostics["leave_one_out"] == pytest.approx([min(without), max(without)])


def test_shared_features_are_permuted(rng):
    beaten, F, w = np.zeros(2), np.empty(0), np.empty(0)
    for _ in range(20):
        F = rng.normal(size=(40, 20)) + 2 * rng.normal(size=(40, 1))
        w = rng.uniform(0, 1, 20)
        estimate = rules.vector_correlation(F.sum(axis=1), F @ w, rng, shared=(F, w), permutations=99)
        beaten += [null.p <= 0.05 for null in estimate.nulls]
    assert beaten[0] == 20
    assert beaten[1] <= 4  # 99.7 % binomial bound at .05
    with pytest.raises(InputError, match="not the weighted sum"):
        rules.vector_correlation(F.sum(axis=1), F @ w + 1, rng, shared=(F, w))
    with pytest.raises(InputError, match="a constant vector"):
        rules.vector_correlation(np.ones(40), F @ w, rng)


def test_importing_the_package_is_light():
    code = "import sys, jacprobe.stats; print([m for m in ('scipy', 'numba', 'sklearn', 'xarray') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
    assert all(callable(getattr(rules, name)) or name == "published" for name in rules.__all__)
