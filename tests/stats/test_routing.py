"""Measures of routing against loops, closed forms and planted relations."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jacprobe.estimate import Estimate
from jacprobe.stats import leading_share, matrix_correlation
from jacprobe.stats.coherence import beside, coherence, draw_ceiling
from jacprobe.stats.routing import (
    coherence_advantage,
    coherence_beyond,
    coherence_everywhere,
    coherence_learned,
    coherence_moved,
    coherence_of_rivals,
    routing_coherence,
)
from jacprobe.stats.routing_draws import cluster_ratio_reproduces, coherence_reproduces, leading_share_reproduces
from jacprobe.stats.routing_shape import (
    coherence_over_deciles,
    leading_component,
    pearson_beyond_spearman,
    same_cluster_contrast,
)
from jacprobe.verdicts.criteria import Above, Equivalent
from jacprobe.verdicts.judge import judge
from tests.stats.similarities import cosines, sides

FEW = 199


def named(values, names=None) -> xr.DataArray:
    names = [f"KD{i}" for i in range(len(values))] if names is None else names
    return xr.DataArray(values, dims=("kd", "kd_other"), coords={"kd": names, "kd_other": names})


def vector(values) -> xr.DataArray:
    return xr.DataArray(values, dims=("kd",), coords={"kd": [f"KD{i}" for i in range(len(values))]})


def similarity(X) -> xr.DataArray:
    return named(cosines(X))


def related(rng, share: float, n: int = 60, width: int = 12) -> tuple[xr.DataArray, xr.DataArray]:
    """Cosines of two kinds of vectors that have `share` of their variance in common."""
    common = rng.standard_normal((n, width))
    first, second = np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal((2, n, width))
    return similarity(first), similarity(second)


def one(copy) -> tuple[list[xr.DataArray], list[xr.DataArray]]:
    return sides([copy])


def pairs(matrix) -> np.ndarray:
    values = np.asarray(matrix)
    return values[np.triu_indices(len(values), 1)]


def pearson(a, b) -> float:
    return float(np.corrcoef(pairs(a), pairs(b))[0, 1])


def spearman(a, b) -> float:
    return float(np.asarray(stats.spearmanr(pairs(a), pairs(b)))[0])


def verdict(estimate: Estimate, criterion) -> str:
    return judge(criterion, estimate).verdict


def test_coherence_is_the_correlation_over_pairs_by_name():
    rng = np.random.default_rng(0)
    a, b = related(rng, 0.5)
    shuffled = b.isel(kd=(order := rng.permutation(60)), kd_other=order)
    assert coherence(a, shuffled) == pytest.approx(pearson(a, b))
    assert coherence(a, shuffled, method="spearman") == pytest.approx(spearman(a, b))
    given = similarity(rng.standard_normal((60, 12)))
    x, y, z = (pairs(matrix) for matrix in (a, b, given))
    left = np.array([v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)])
    assert coherence(a, b, [given]) == pytest.approx(np.corrcoef(left[0], left[1])[0, 1])
    assert coherence(named(np.ones((60, 60))), b) == 0.0


def test_the_ceiling_is_the_geometric_mean_of_two_reliabilities():
    rng = np.random.default_rng(1)
    (a1, a2), (b1, b2) = related(rng, 0.9), related(rng, 0.6)
    assert draw_ceiling((a1, a2), (b1, b2)) == pytest.approx((pearson(a1, a2) * pearson(b1, b2)) ** 0.5)
    assert draw_ceiling((a1, named(-np.asarray(a1))), (b1, b2)) is None


def test_controls_stand_beside_and_are_named_where_they_show_as_much():
    rng = np.random.default_rng(2)
    trained = related(rng, 0.6)
    few = [f"KD{i}" for i in range(0, 60, 2)]
    copies = [[m.sel(kd=few, kd_other=few) for m in related(rng, share)] for share in (0.9, 0.95)]
    pair = sides(copies)
    estimate = routing_coherence(*trained, rng, permutations=FEW, random_body=pair, untrained=None)
    assert estimate.effect == pytest.approx(pearson(*trained))
    shown = estimate.diagnostics["controls"]["random-body"]
    assert shown["copies"] == pytest.approx([pearson(*copy) for copy in copies])
    assert shown["trained"] == pytest.approx(pearson(*(m.sel(kd=few, kd_other=few) for m in trained)))
    assert (shown["kds"], set(estimate.diagnostics["controls"])) == (30, {"random-body"})
    assert len(estimate.flags) == 1
    assert estimate.flags[0].startswith("random-body copies show as much")
    assert beside(trained, {"untrained": one(related(rng, 0.0))}, coherence)[1] == ()


@pytest.mark.parametrize(("share", "wanted"), [(0.2, "SUPPORTED"), (0.9, "REFUTED")])
@pytest.mark.parametrize(("copies", "normal"), [(20, False), (5, True)])
def test_what_untrained_copies_show_too_is_not_learned(share, wanted, copies, normal):
    rng = np.random.default_rng(3)
    trained = related(rng, 0.8)
    untrained = sides([related(rng, share) for _ in range(copies)])
    estimate = coherence_learned(*trained, untrained, rng, normal=normal)
    means = np.mean([pearson(a, b) for a, b in zip(*untrained, strict=True)])
    assert estimate.effect == pytest.approx(pearson(*trained) - means)
    assert verdict(estimate, Above(0, 0.10)) == wanted


def test_few_copies_keep_their_level_when_their_effects_are_normal():
    rng = np.random.default_rng(4)
    from jacprobe.stats import learned_contrast

    p = [learned_contrast(float(x[0]), x[1:].tolist(), normal=True).p for x in rng.standard_normal((1500, 6))]
    # Student's t(4) of the prediction of a sixth normal number is exact.
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.017)  # three standard errors


def test_a_model_like_its_copies_is_hardly_ever_found_to_have_learned():
    rng = np.random.default_rng(14)
    runs, found = 60, 0
    for _ in range(runs):
        # Knockdowns of unlike magnitude, seen by each model through maps of its own.
        codes = rng.standard_normal((40, 8)) * (1 + np.abs(rng.standard_normal((40, 1))))
        models = []
        for _ in range(21):
            seen = 0.4 * codes @ rng.standard_normal((8, 10))
            first, second = seen + rng.standard_normal((2, 40, 10))
            models.append((similarity(first), similarity(second)))
        estimate = coherence_learned(models[0][0], models[0][1], sides(models[1:]), rng)
        found += verdict(estimate, Above(0, 0.10)) == "SUPPORTED"
    assert found <= 9  # the .999 quantile of 60 runs at a level of .05


def test_partial_coherence_vanishes_where_a_third_similarity_carries_both():
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((80, 12))
    a, b = (similarity(vectors + 0.5 * rng.standard_normal((80, 12))) for _ in range(2))
    estimate = coherence_beyond(a, b, similarity(vectors), rng, permutations=FEW)
    assert estimate.diagnostics["r_not_partial"] == pytest.approx(pearson(a, b))
    assert estimate.diagnostics["r_not_partial"] > 0.4
    assert abs(estimate.effect) < 0.15


def test_a_rival_is_judged_by_the_paired_difference():
    rng = np.random.default_rng(6)
    model, rival = related(rng, 0.8, n=150), related(rng, 0.8, n=150)
    estimate = coherence_of_rivals(*model, one(rival), rng)
    assert estimate.effect == pytest.approx(pearson(*model) - pearson(*rival))
    assert estimate.alternative == "two-sided"
    same = coherence_of_rivals(*model, one(model), rng)
    assert verdict(same, Equivalent(0.10)) == "SUPPORTED"
    alike = coherence_of_rivals(*model, ([named(np.ones((150, 150)))], [model[1]]), rng)
    assert alike.effect == pytest.approx(pearson(*model))
    assert alike.ci == pytest.approx(matrix_correlation(*model, rng, permutations=FEW).ci)
    assert verdict(alike, Equivalent(0.10)) == "REFUTED"


def test_an_advantage_is_a_difference_of_two_coherences():
    rng = np.random.default_rng(7)
    jacobians, responses = related(rng, 0.8)
    others = similarity(rng.standard_normal((60, 12)))
    copies = related(rng, 0.9)
    untrained = (one(copies), [similarity(rng.standard_normal((60, 12)))])
    estimate = coherence_advantage(jacobians, others, responses, rng, untrained)
    assert estimate.effect == pytest.approx(pearson(jacobians, responses) - pearson(others, responses))
    wanted = pearson(*copies) - pearson(untrained[1][0], copies[1])
    assert estimate.diagnostics["controls"]["untrained"]["copies"] == pytest.approx([wanted])


def test_over_several_models_the_weakest_decides():
    rng = np.random.default_rng(8)
    models = {"strong": related(rng, 0.9), "weak": related(rng, 0.3)}
    norms = {role: vector(rng.uniform(1, 2, 60)) for role in models}
    jacobians, responses = ({role: pair[i] for role, pair in models.items()} for i in (0, 1))
    estimate = coherence_everywhere(jacobians, responses, (norms, norms), rng, permutations=FEW)
    assert estimate.effect == pytest.approx(pearson(*models["weak"]))
    others = {role: similarity(rng.standard_normal((60, 12))) for role in models}
    moved = coherence_moved(jacobians, others, responses, rng)
    assert moved.effect == pytest.approx(
        min(abs(pearson(others[role], responses[role]) - pearson(*models[role])) for role in models)
    )
    assert moved.ci is not None
    assert coherence_moved(jacobians, jacobians, responses, rng).effect == 0.0


def test_printed_figures_are_measured_over_draws():
    rng = np.random.default_rng(9)
    draws = [related(rng, 0.5, n=40) for _ in range(5)]
    jacobians, responses = zip(*draws, strict=True)
    estimate = coherence_reproduces(jacobians, responses, rng, jacobians[0], published="0.119")
    assert estimate.effect == pytest.approx(np.mean([pearson(a, b) for a, b in draws]))
    assert estimate.diagnostics["published_forward"] == pytest.approx(pearson(*draws[0]))
    assert estimate.as_published["naive_correlation_over_pairs"]["pairs"] == 780

    labels = [dict(zip(jacobians[0]["kd"].values, np.arange(40) % 4, strict=True))] * 5
    ratio = cluster_ratio_reproduces(jacobians, labels, rng, published="1.92")
    same = (np.arange(40)[:, None] - np.arange(40)) % 4 == 0
    wanted = [pairs(a)[pairs(same)].mean() / pairs(a)[~pairs(same)].mean() for a in jacobians]
    assert ratio.effect == pytest.approx(np.mean(wanted))
    assert ratio.as_published["nb05_signed_rank_of_unpaired"]["ratio"] == pytest.approx(wanted[0])


def test_the_leading_share_needs_cosines_and_norms_alone():
    rng = np.random.default_rng(10)
    J = rng.standard_normal((30, 8, 5)) * rng.uniform(0.5, 3, (30, 1, 1))
    flat = J.reshape(30, -1)
    S, sizes = similarity(flat), vector(np.linalg.norm(flat, axis=1))
    whole, parts = leading_share(J), leading_component(S, sizes, rng, (S, sizes), [S, named(np.ones((30, 30)))])
    assert parts.effect == pytest.approx(whole.effect)
    assert parts.diagnostics["raw"]["share"] == pytest.approx(whole.diagnostics["raw"]["share"])
    assert parts.diagnostics["share_over_other_kds"] == pytest.approx(whole.diagnostics["raw"]["share"])
    (control,) = parts.diagnostics["controls"].values()
    assert control == {"copies": [pytest.approx(whole.diagnostics["normalised"]["share"])], "all_alike": 1}
    estimate = leading_share_reproduces([S] * 5, [sizes] * 5, rng, published="0.628")
    assert estimate.effect == pytest.approx(whole.as_published["nb05_explained_variance_ratio"])


def test_the_slope_over_deciles_is_a_coarse_spearman():
    rng = np.random.default_rng(11)
    a, b = related(rng, 0.6)
    untrained = one(related(rng, 0.95))
    estimate = coherence_over_deciles(a, b, rng, everyone=(a, b), untrained=untrained, permutations=FEW)
    decile = np.ceil(stats.rankdata(pairs(b)) * 10 / len(pairs(b)))
    ranks = stats.rankdata(pairs(a))
    assert estimate.effect == pytest.approx(np.corrcoef(ranks, decile)[0, 1])
    assert estimate.effect == pytest.approx(spearman(a, b), abs=0.02)
    means = estimate.diagnostics["mean_rank_by_decile"]
    assert means == pytest.approx([ranks[decile == d].mean() / len(ranks) for d in range(1, 11)])
    # The slope of the means over equal deciles is the correlation times sd(rank) / sd(decile).
    slope = np.polyfit(range(1, 11), means, 1)[0]
    assert slope == pytest.approx(estimate.effect * (ranks / len(ranks)).std() / decile.std(), rel=1e-3)
    assert "untrained" in estimate.flags[-1]
    nothing = coherence_over_deciles(a, similarity(rng.standard_normal((60, 12))), rng, permutations=FEW)
    assert any("steps between deciles" in flag for flag in nothing.flags)


def test_one_pair_of_outliers_is_named():
    rng = np.random.default_rng(12)
    X, Y = rng.standard_normal((2, 60, 12))
    X[7], Y[7] = 9 * X[3], 9 * Y[3]
    for Z in (X, Y):
        Z[7] += 0.1 * rng.standard_normal(12)
    a, b = similarity(X), similarity(Y)
    estimate = pearson_beyond_spearman(a, b, rng, (a, b))
    assert estimate.effect == pytest.approx(pearson(a, b) - spearman(a, b))
    assert estimate.diagnostics["over_other_kds"] == pytest.approx(estimate.effect)
    keep = {i: np.delete(np.arange(60), i) for i in range(60)}
    without = [pearson(a.values[np.ix_(k, k)], b.values[np.ix_(k, k)]) for k in keep.values()]
    change = np.abs(np.array(without) / pearson(a, b) - 1)
    assert estimate.diagnostics["largest_relative_change"] == pytest.approx(change.max())
    assert estimate.diagnostics["without"] == f"KD{change.argmax()}"


def test_same_cluster_jacobians_stand_beside_those_of_copies():
    rng = np.random.default_rng(13)
    labels = np.arange(60) % 5
    clusters = dict(zip([f"KD{i}" for i in range(60)], labels, strict=True))
    S = similarity(np.eye(12)[labels] + 0.3 * rng.standard_normal((60, 12)))
    copy = similarity(rng.standard_normal((60, 12)))
    estimate = same_cluster_contrast(
        S, clusters, rng, untrained=([copy, named(np.ones((60, 60)))], [clusters] * 2), permutations=FEW
    )
    same = pairs(labels[:, None] == labels)
    assert estimate.effect == pytest.approx(pairs(S)[same].mean() - pairs(S)[~same].mean())
    wanted = pairs(copy)[same].mean() - pairs(copy)[~same].mean()
    assert estimate.diagnostics["controls"]["untrained"]["copies"] == pytest.approx([wanted, 0.0])
