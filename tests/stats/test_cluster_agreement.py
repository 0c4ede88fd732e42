"""Measures on whole clusterings against scikit-learn, scipy and hand counts."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.metrics import adjusted_rand_score

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats.cluster_agreement import (
    agreement_below_replicate,
    agreement_reproduces,
    clusterings_unrelated,
    largest_cluster,
    reproducible_clusters,
)
from jacprobe.stats.clusterings import Linkage, adjusted_rand_index, cuts
from jacprobe.verdicts.criteria import Above, NotElevated, Reproduces
from jacprobe.verdicts.judge import Multiplicity, Verdict, judge

N, K = 120, 6


def named(values: np.ndarray) -> xr.DataArray:
    dims = ("kd", "gene")[: values.ndim]
    return xr.DataArray(values, dims=dims, coords={"kd": [f"KD{i}" for i in range(len(values))]})


def shaken(labels: np.ndarray, share: float, rng: np.random.Generator) -> xr.DataArray:
    """Labels of which a share is dealt out anew."""
    return named(np.where(rng.random(len(labels)) < share, rng.integers(1, K + 1, len(labels)), labels))


@pytest.fixture
def truth(rng):
    return rng.integers(1, K + 1, N)


def test_cuts_are_those_of_scipy_on_unit_rows(rng):
    X = rng.normal(size=(60, 20)) * rng.uniform(1, 9, (60, 1))
    cosine = pdist(X, "cosine")
    trees: dict[Linkage, np.ndarray] = {
        "ward": linkage(X / np.linalg.norm(X, axis=1, keepdims=True), "ward"),
        "average": linkage(cosine, "average"),
        "ward-on-cosine": linkage(cosine, "ward"),
    }
    for method, tree in trees.items():
        for k, found in cuts(X, (4, 9), method).items():
            assert adjusted_rand_index(found, fcluster(tree, k, "maxclust")) == 1


def test_reproducibility_is_the_mean_over_pairs_of_draws(rng, truth):
    draws = [shaken(truth, 0.2, rng) for _ in range(5)]
    estimate = reproducible_clusters(draws, rng)
    pairs = [adjusted_rand_score(a.values, b.values) for a, b in combinations(draws, 2)]
    assert estimate.effect == pytest.approx(np.mean(pairs))
    assert estimate.diagnostics["pairs"] == pytest.approx(pairs)
    assert estimate.ci is not None
    assert estimate.ci[0] < np.mean(pairs) < estimate.ci[1]
    assert estimate.diagnostics["other_cuts"] is None
    with pytest.raises(EvidenceMissingError, match="1 draw"):
        reproducible_clusters(draws[:1], rng)


def test_reproducibility_is_judged_both_ways_and_few_draws_are_said(rng, truth):
    stable = reproducible_clusters([shaken(truth, 0.05, rng) for _ in range(5)], rng)
    unstable = reproducible_clusters([shaken(truth, 0.9, rng) for _ in range(2)], rng)
    assert judge(Above(0.5), stable).verdict == Verdict.SUPPORTED
    assert judge(Above(0.5), unstable).verdict == Verdict.REFUTED
    assert unstable.flags == ("2 control-cell draws, 5 wanted",)


def test_one_odd_draw_widens_the_interval_beyond_that_of_the_knockdowns(rng, truth):
    even = [shaken(truth, 0.1, rng) for _ in range(5)]
    odd = [*even[:4], shaken(truth, 0.8, rng)]
    widths = [np.ptp(reproducible_clusters(draws, rng).ci or (0, 0)) for draws in (even, odd)]
    assert widths[1] > 2 * widths[0]


def test_other_cuts_are_shown_up_to_a_quarter_of_the_knockdowns(rng):
    responses = [named(rng.normal(size=(80, 30))) for _ in range(2)]
    draws = [named(cuts(one.values, (15,))[15]) for one in responses]
    table = reproducible_clusters(draws, rng, responses).diagnostics["other_cuts"]
    assert set(table) == {"ward", "average"}
    assert [int(k) for k in table["ward"]] == list(range(8, 21))
    assert table["ward"]["15"] == pytest.approx(adjusted_rand_score(*(one.values for one in draws)))


def test_largest_share_is_counted_and_all_sizes_are_shown(rng):
    labels = [named(np.repeat([1, 2, 3], sizes)) for sizes in ([50, 30, 20], [20, 52, 28])]
    estimate = largest_cluster(labels, "0.51", rng)
    assert estimate.effect == pytest.approx(0.51)
    assert estimate.diagnostics["sizes"] == [[50, 30, 20], [52, 28, 20]]
    assert estimate.as_published == {"largest": 50, "of": 100, "share": 0.5}
    alone = largest_cluster(labels[:1], "0.253", rng)
    assert judge(Reproduces(0.253, 0.02), alone).verdict == Verdict.REFUTED
    assert alone.flags


def test_agreement_pairs_draw_with_draw(rng, truth):
    a, b = ([shaken(truth, 0.3, rng) for _ in range(5)] for _ in range(2))
    found = [adjusted_rand_score(x.values, y.values) for x, y in zip(a, b, strict=True)]
    estimate = agreement_reproduces(a, b, "0.112", rng)
    assert estimate.effect == pytest.approx(np.mean(found))
    assert estimate.as_published["adjusted_rand_index"] == pytest.approx(found[0])
    with pytest.raises(InputError, match="5, 4 draws"):
        agreement_reproduces(a, b[:4], "0.112", rng)


def test_unrelated_clusterings_stand_beside_their_ceilings(rng, truth):
    a, replicate, other = shaken(truth, 0.0, rng), shaken(truth, 0.2, rng), shaken(truth, 1.0, rng)
    draws = [shaken(truth, 0.1, rng) for _ in range(3)]
    responses = [named(rng.normal(size=(N, 30))) for _ in range(2)]
    estimate = clusterings_unrelated(a, other, rng, responses, replicate, draws)
    ceilings = estimate.diagnostics["ceilings"]
    assert estimate.effect == pytest.approx(adjusted_rand_score(a.values, other.values))
    assert ceilings["training seed"] == pytest.approx(adjusted_rand_score(a.values, replicate.values))
    assert ceilings["control-cell draw"] > 0.5
    published = [fcluster(linkage(pdist(one.values, "cosine"), "ward"), 15, "maxclust") for one in responses]
    assert estimate.as_published["adjusted_rand_index"] == pytest.approx(adjusted_rand_score(*published))
    assert not estimate.flags


def test_what_is_not_there_is_a_flag_and_no_gag(rng, truth):
    a, related = shaken(truth, 0.0, rng), shaken(truth, 0.4, rng)
    estimate = clusterings_unrelated(a, related, rng)
    assert estimate.flags == ("no ceiling from another training seed", "no ceiling from another control-cell draw")
    assert estimate.p is not None
    verdict = judge(NotElevated(0.05), estimate, Multiplicity(estimate.p, estimate.least_p)).verdict
    assert verdict == Verdict.REFUTED


def test_agreement_below_the_replicates_is_the_mean_difference(rng, truth):
    a, replicate, other = ([shaken(truth, share, rng) for _ in range(5)] for share in (0.0, 0.2, 0.6))
    estimate = agreement_below_replicate(a, replicate, other, rng)
    found = [
        adjusted_rand_score(x.values, y.values) - adjusted_rand_score(x.values, z.values)
        for x, y, z in zip(a, replicate, other, strict=True)
    ]
    assert estimate.effect == pytest.approx(np.mean(found))
    assert estimate.p is not None
    assert judge(Above(0, 0.05), estimate, Multiplicity(estimate.p, 0.0)).verdict == Verdict.SUPPORTED
    same = agreement_below_replicate(a, other, other, rng)
    assert (same.effect, same.p) == (0.0, pytest.approx(0.5))


def test_two_trainings_alike_are_rarely_found_to_agree_more(rng):
    """Type I error of the difference: at most the upper binomial bound of .05 in 60 runs."""
    found = 0
    for _ in range(60):
        truth = rng.integers(1, K + 1, 60)
        a, replicate, other = ([shaken(truth, 0.4, rng)] for _ in range(3))
        estimate = agreement_below_replicate(a, replicate, other, rng)
        assert estimate.p is not None
        found += judge(Above(0, 0.05), estimate, Multiplicity(estimate.p, 0.0)).verdict == Verdict.SUPPORTED
    assert found <= 7
