import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.stats import matrix_correlation, matrix_correlation_difference, noise_ceiling
from jacprobe.stats.correlations import with_and_without_nodes
from jacprobe.stats.hubs import design, without_diagonal
from jacprobe.stats.matrices import rank_matrix
from jacprobe.stats.relabelling import permuted_products
from jacprobe.stats.semipartial import double_semipartial

mantel = pytest.importorskip("skbio.stats.distance", reason="scikit-bio is an extra").mantel


def cosines(rng, n, d=12):
    X = rng.normal(size=(n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X @ X.T


def related(rng, n, weight, d=12):
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    Y = weight * X + Y
    return np.corrcoef(X), np.corrcoef(Y)


def upper(S):
    return S[np.triu_indices(len(S), 1)]


def labelled(S, names):
    return xr.DataArray(S, dims=("kd", "kd_other"), coords={"kd": names, "kd_other": names})


class Recorded:
    """A generator stand-in that hands out the relabellings that scikit-bio drew."""

    def __init__(self, relabellings):
        self.relabellings = relabellings

    def permuted(self, array, axis):
        assert (array.shape, axis) == (self.relabellings.shape, 1)
        return self.relabellings


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_statistic_and_p_are_those_of_scikit_bio_on_the_same_permutations(rng, method, alternative):
    a, b = related(rng, 30, 0.5)
    distances = [np.where(np.eye(30) > 0, 0.0, 1 - (S + S.T) / 2) for S in (a, b)]
    r, p, _ = mantel(
        *distances, method=method, permutations=199, alternative=alternative, seed=np.random.default_rng(7)
    )
    drawing = np.random.default_rng(7)
    relabellings = np.array([drawing.permutation(30) for _ in range(199)])
    x, y = (without_diagonal(S) for S in (a, b))
    if method == "spearman":
        x, y = rank_matrix(x), rank_matrix(y)
    drawn: Any = Recorded(relabellings)
    test = double_semipartial(x, y, design([], (), 30), drawn, 199, "independent")
    sign = 1 if alternative == "greater" else -1
    assert test.r == pytest.approx(r, abs=1e-12)
    assert (1 + np.count_nonzero(sign * test.samples >= sign * test.r - 1e-12)) / 200 == pytest.approx(p)


@pytest.mark.parametrize("n", [11, 12])
@pytest.mark.parametrize("scheme", ["independent", "cyclic"])
def test_products_are_those_of_relabelled_matrices(rng, n, scheme):
    F, E = without_diagonal(cosines(rng, n)), without_diagonal(cosines(rng, n))
    z = rng.normal(size=(2, n))
    products = permuted_products([F], z, E, np.random.default_rng(1), 3 * n, scheme)
    drawing = np.random.default_rng(1)
    if scheme == "independent":
        relabellings = drawing.permuted(np.broadcast_to(np.arange(n), (3 * n, n)), axis=1)
    else:
        relabellings = [np.roll(s, -t) for s in (drawing.permutation(n) for _ in range(3)) for t in range(n)]
    for b, p in enumerate(relabellings):
        moved = E[np.ix_(p, p)]
        assert products.fixed[0, b] == pytest.approx(upper(F * moved).sum(), abs=1e-12)
        for q in range(2):
            assert products.sums[q, b] == pytest.approx(upper(np.add.outer(z[q], z[q]) * moved).sum(), abs=1e-12)
            assert products.quadratic[q, b] == pytest.approx(upper(np.outer(z[q], z[q]) * moved).sum(), abs=1e-12)


def test_a_draw_is_the_partial_correlation_of_least_squares(rng):
    n = 14
    x, y, extra = (without_diagonal(cosines(rng, n)) for _ in range(3))
    nodes = rng.normal(size=(2, n))
    test = double_semipartial(x, y, design(list(nodes), [extra], n), np.random.default_rng(5), 40, "independent")
    z = (nodes - nodes.mean(axis=1, keepdims=True)) / nodes.std(axis=1, keepdims=True)
    Z = np.column_stack(
        [np.ones(n * (n - 1) // 2)]
        + [upper(np.add.outer(v, v)) for v in z]
        + [upper(np.outer(v, v)) for v in z]
        + [upper(extra)]
    )

    def left(v):
        return v - Z @ np.linalg.lstsq(Z, v, rcond=None)[0]

    e_x = np.zeros((n, n))
    e_x[np.triu_indices(n, 1)] = left(upper(x))
    e_x += e_x.T
    assert test.r == pytest.approx(np.corrcoef(left(upper(x)), left(upper(y)))[0, 1], abs=1e-12)
    relabellings = np.random.default_rng(5).permuted(np.broadcast_to(np.arange(n), (40, n)), axis=1)
    slow = [np.corrcoef(left(upper(e_x[np.ix_(p, p)])), left(upper(y)))[0, 1] for p in relabellings]
    np.testing.assert_allclose(test.samples, slow, atol=1e-10)


def test_replicates_are_correlations_without_each_node(rng):
    a, b = related(rng, 15, 0.5)
    r, without = with_and_without_nodes(a, b, ())
    assert r == pytest.approx(np.corrcoef(upper(a), upper(b))[0, 1], abs=1e-12)
    for i in range(15):
        x, y = (np.delete(np.delete(S, i, 0), i, 1) for S in (a, b))
        assert without[i] == pytest.approx(np.corrcoef(upper(x), upper(y))[0, 1], abs=1e-12)


def test_partial_replicates_are_those_of_least_squares(rng):
    a, b = related(rng, 15, 0.5)
    c = cosines(rng, 15)
    r, _ = with_and_without_nodes(a, b, (c,))
    Z = np.column_stack([np.ones(105), upper(c)])
    e = [upper(S) - Z @ np.linalg.lstsq(Z, upper(S), rcond=None)[0] for S in (a, b)]
    assert r == pytest.approx(np.corrcoef(*e)[0, 1], abs=1e-12)


def test_the_joint_p_is_the_largest_of_the_four(rng):
    a, b = related(rng, 40, 0.5)
    estimate = matrix_correlation(a, b, rng, (rng.uniform(1, 2, 40), rng.uniform(1, 2, 40)), permutations=199)
    assert set(estimate.diagnostics["p"]) == {
        "relabelled, raw", "magnitude, raw", "relabelled, ranks", "magnitude, ranks",
    }  # fmt: skip
    assert estimate.p == max(estimate.diagnostics["p"].values())
    assert len(estimate.nulls) == 4


def test_method_picks_the_effect_only(rng):
    a, b = related(rng, 40, 0.8)
    by_method = {
        m: matrix_correlation(a, b, np.random.default_rng(2), method=m, permutations=199)
        for m in ("pearson", "spearman")
    }
    assert by_method["spearman"].effect == pytest.approx(stats.spearmanr(upper(a), upper(b))[0], abs=1e-12)
    assert by_method["pearson"].effect == pytest.approx(stats.pearsonr(upper(a), upper(b))[0], abs=1e-12)
    assert by_method["pearson"].diagnostics["r"] == by_method["spearman"].diagnostics["r"]


def test_knockdowns_are_matched_by_name(rng):
    names = [f"G{i}" for i in range(40)]
    a, b = related(rng, 40, 0.8)
    order = rng.permutation(40)[:35]
    whole = matrix_correlation(
        a[np.ix_(s := np.sort(order), s)], b[np.ix_(s, s)], np.random.default_rng(2), permutations=99
    )
    turned = labelled(b, names).isel(kd=order, kd_other=order)
    matched = matrix_correlation(labelled(a, names), turned, np.random.default_rng(2), permutations=99)
    assert matched.effect == pytest.approx(whole.effect, abs=1e-12)
    assert matched.n == 35
    assert set(matched.dropped) == {names[i] for i in range(40) if i not in order}


def test_shared_outlier_is_named_and_bars_support(rng):
    a, b = cosines(rng, 60, 200), cosines(rng, 60, 200)
    for S in (a, b):
        S[0, 1:30] = S[1:30, 0] = 0.9
    estimate = matrix_correlation(a, b, rng, permutations=199, scales=("raw",))
    assert estimate.p is not None
    assert estimate.p <= 0.05
    assert estimate.caution is not None
    assert estimate.caution.startswith("hangs on one KD")
    assert estimate.diagnostics["most_influential"] == "0"


def test_shared_magnitude_beats_relabelling_only(rng):
    beaten = {"relabelled, raw": 0, "magnitude, raw": 0}
    for _ in range(20):
        magnitude = rng.normal(size=40)
        a, b = (cosines(rng, 40, 40) + 0.3 * np.add.outer(magnitude, magnitude) for _ in range(2))
        estimate = matrix_correlation(a, b, rng, permutations=99, scales=("raw",))
        for null in beaten:
            beaten[null] += estimate.diagnostics["p"][null] <= 0.05
    assert beaten["relabelled, raw"] >= 19
    assert beaten["magnitude, raw"] <= 4  # 99.7 % binomial bound at .05


def test_partialling_out_a_common_cause_leaves_nothing(rng):
    cause = cosines(rng, 60, 10)
    a, b = cause + 0.3 * cosines(rng, 60, 10), cause + 0.3 * cosines(rng, 60, 10)
    assert matrix_correlation(a, b, rng, permutations=99).effect > 0.8
    left = matrix_correlation(a, b, rng, permutations=99, given=[cause])
    assert abs(left.effect) < 0.1
    assert left.p is not None
    assert left.p > 0.05


def test_few_knockdowns_say_the_least_p_they_can_give(rng):
    a, b = related(rng, 4, 2.0)
    estimate = matrix_correlation(a, b, rng, permutations=999)
    assert estimate.least_p == pytest.approx(1 / math.factorial(4))
    assert estimate.n < estimate.least_n


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "kendall"}, "method: 'kendall'; wanted one of pearson, spearman"),
        ({"alternative": "larger"}, "alternative: 'larger'; wanted one of greater, less, two-sided"),
        ({"scheme": "fft"}, "scheme: 'fft'; wanted one of independent, cyclic"),
    ],
)
def test_unknown_options_are_refused(rng, options, message):
    A, B = cosines(rng, 12), cosines(rng, 12)
    with pytest.raises(InputError, match=message):
        matrix_correlation(A, B, rng, permutations=99, **options)
    if "scheme" not in options:
        with pytest.raises(InputError, match=message):
            matrix_correlation_difference(A, B, B, A, **options)


def test_wrong_scales_and_disjoint_names_are_refused(rng):
    a, b = related(rng, 20, 0.5)
    with pytest.raises(InputError, match="method 'spearman' without 'ranks'"):
        matrix_correlation(a, b, rng, method="spearman", scales=("raw",))
    with pytest.raises(InputError, match="0 names in common"):
        matrix_correlation(labelled(a, [f"A{i}" for i in range(20)]), labelled(b, [f"B{i}" for i in range(20)]), rng)
    with pytest.raises(InputError, match="explain all of the first matrix"):
        matrix_correlation(a, b, rng, permutations=99, given=[a])


def test_difference_is_paired_and_zero_for_one_pair_twice(rng):
    a, b = related(rng, 40, 0.8)
    same = matrix_correlation_difference(a, b, a, b, rng)
    assert same.effect == 0
    assert same.ci == (0, 0)
    other = matrix_correlation_difference(a, b, a, cosines(rng, 40), rng)
    assert other.effect == pytest.approx(other.diagnostics["r1"] - other.diagnostics["r2"])
    assert other.p is not None
    assert other.p < 1e-3


def test_pearson_minus_spearman_of_one_pair(rng):
    a, b = related(rng, 40, 0.8)
    estimate = matrix_correlation_difference(a, b, a, b, rng, method="pearson", second_method="spearman")
    expected = np.corrcoef(upper(a), upper(b))[0, 1] - np.corrcoef(upper(rank_matrix(a)), upper(rank_matrix(b)))[0, 1]
    assert estimate.effect == pytest.approx(expected, abs=1e-12)


def test_noise_ceiling_of_halves(rng):
    truth = cosines(rng, 60, 5)
    halves = [truth + 0.1 * cosines(rng, 60, 60) for _ in range(4)]
    ceiling = noise_ceiling((halves[0], halves[1]), (halves[2], halves[3]))
    half = [np.corrcoef(upper(halves[i]), upper(halves[i + 1]))[0, 1] for i in (0, 2)]
    assert ceiling == pytest.approx(np.sqrt(np.prod([2 * r / (1 + r) for r in half])), abs=1e-12)
    with pytest.raises(InputError, match="a reliability above 0"):
        noise_ceiling((truth, -truth), (halves[0], halves[1]))
