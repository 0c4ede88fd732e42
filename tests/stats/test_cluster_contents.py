"""Measures on what clusters hold against hand counts, and against worlds in which nothing is marked."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats as scipy_stats

import jacprobe.stats as rules
from jacprobe.stats.cluster_contents import (
    clusters_lost,
    common_clusters,
    common_clusters_and_leading_outputs,
    marked_by_outputs,
    marked_cluster_holds,
)
from jacprobe.verdicts.criteria import Above
from jacprobe.verdicts.judge import Multiplicity, Verdict, judge

GENES = [f"G{i}" for i in range(300)]
TERM = GENES[:20]
SIZES = [40, 25, 15, 10, 6, 4]
KDS = [f"KD{i}" for i in range(sum(SIZES))]
LABELS = xr.DataArray(np.repeat(np.arange(1, 7), SIZES), dims="kd", coords={"kd": KDS})
THIRD = KDS[65:80]  # the members of cluster 3


def responses(rng: np.random.Generator, marked: float, hubs: float = 0.0) -> xr.DataArray:
    """Responses in which cluster 3 raises the term, and everything raises it for the sake of hubs."""
    values = rng.normal(size=(len(KDS), len(GENES)))
    values[:, :20] += hubs + marked * (LABELS.values == 3)[:, None]
    return xr.DataArray(values, dims=("kd", "gene"), coords={"kd": KDS, "gene": GENES})


def means_of(delta: xr.DataArray) -> xr.DataArray:
    values = np.stack([delta.values[LABELS.values == c].mean(axis=0) for c in range(1, 7)])
    return xr.DataArray(values, dims=("cluster", "gene"), coords={"cluster": range(1, 7), "gene": GENES})


def verdict(estimate) -> Verdict:
    return judge(Above(0, 5), estimate, Multiplicity(estimate.p, estimate.least_p)).verdict


def test_the_marked_cluster_is_found_and_counted(rng):
    delta = responses(rng, 1.0)
    estimate = marked_by_outputs(delta, LABELS, TERM, rng)
    raised = np.argsort(-delta.values[LABELS.values == 3].mean(axis=0))[:50]
    hits = np.count_nonzero(raised < 20)
    assert estimate.diagnostics["cluster"] == "3"
    assert estimate.effect == pytest.approx(hits - 50 * 20 / 300)
    assert estimate.diagnostics["sizes"] == {str(i + 1): size for i, size in enumerate(SIZES)}
    assert verdict(estimate) == Verdict.SUPPORTED
    assert estimate.as_published["p"] == pytest.approx(scipy_stats.hypergeom.sf(hits - 1, 20_000, 20, 50))


def test_small_clusters_do_not_hide_a_marked_one(rng):
    """A few strong knockdowns fill the list of a small cluster at random, and lead the largest counts over clusters."""
    delta = responses(rng, 5.0, hubs=-1.5)
    estimate = marked_by_outputs(delta, LABELS, TERM, rng)
    largest = max(estimate.diagnostics["counts"].values())
    shuffled = []
    for _ in range(999):
        codes = rng.permutation(LABELS.values)
        means = np.stack([delta.values[codes == c].mean(axis=0) for c in range(1, 7)])
        shuffled.append(max(np.count_nonzero(np.argsort(-row)[:50] < 20) for row in means))
    of_the_largest = (1 + np.count_nonzero(np.array(shuffled) >= largest)) / 1000
    assert estimate.p is not None
    assert 2 * estimate.p <= of_the_largest


@pytest.mark.parametrize("hubs", [0.0, 0.7])
def test_where_no_cluster_is_marked_none_is_found(hubs):
    """Type I error with clusters of very different sizes: at most the upper binomial bound of .05 in 100 runs."""
    found = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        estimate = rules.output_enrichment(responses(rng, 0.0, hubs), LABELS, TERM, rng, permutations=99)
        assert estimate.p is not None
        found += estimate.p <= 0.05
    assert found <= 10


def test_controls_stand_beside_the_count_and_missing_ones_are_said(rng):
    delta = responses(rng, 1.0)
    copies = [means_of(responses(rng, 0.0)) for _ in range(3)]
    full = marked_by_outputs(delta, LABELS, TERM, rng, copies, means_of(delta))
    controls = full.diagnostics["controls"]
    assert controls["seed replicate"] == pytest.approx(controls["this model"])
    assert max(controls["untrained"]) < controls["this model"]
    assert not full.flags
    bare = marked_by_outputs(delta, LABELS, TERM, rng)
    assert bare.flags == ("control missing: untrained", "control missing: seed replicate")


def test_the_marked_cluster_holds_its_knockdowns_or_not(rng):
    delta = responses(rng, 1.0)
    holds = marked_cluster_holds(delta, LABELS, TERM, THIRD, rng)
    assert holds.effect == pytest.approx(1 - 15 / 100)
    assert holds.p == pytest.approx(scipy_stats.hypergeom.sf(14, 100, 15, 15))
    elsewhere = marked_cluster_holds(delta, LABELS, TERM, KDS[:15], rng)
    assert elsewhere.effect == pytest.approx(-15 / 100)
    assert elsewhere.diagnostics["cluster_with_most_members"] == "1"
    unmarked = marked_cluster_holds(responses(rng, 0.0), LABELS, TERM, THIRD, rng)
    assert unmarked.caution is not None


def test_common_clusters_count_pairs_with_and_without_norms(rng):
    norms = xr.DataArray(rng.uniform(1, 2, len(KDS)), dims="kd", coords={"kd": KDS})
    members = [*THIRD[:8], *KDS[:2]]
    estimate = common_clusters(LABELS, members, rng, norms, [LABELS], LABELS)
    same = [LABELS.values[KDS.index(a)] == LABELS.values[KDS.index(b)] for a in members for b in members if a != b]
    everyone = [a == b for i, a in enumerate(LABELS.values) for j, b in enumerate(LABELS.values) if i != j]
    assert estimate.effect == pytest.approx(np.mean(same) - np.mean(everyone))
    assert [null.name.split(" (")[0] for null in estimate.nulls] == [
        "random sets of 10 KDs",
        "random sets of 10 KDs matched on log norm",
    ]
    assert estimate.diagnostics["controls"]["untrained"] == pytest.approx([estimate.effect])
    alone = common_clusters(LABELS, members, rng)
    assert len(alone.nulls) == 1
    assert alone.flags[0] == "not matched on the size of responses, which is not there"


def test_what_weak_responses_share_is_not_the_sets(rng):
    """All weak knockdowns stand in one cluster; a set of weak ones does so for that alone."""
    norms = xr.DataArray(np.where(LABELS.values == 1, 0.1, 1.0), dims="kd", coords={"kd": KDS})
    norms = norms * rng.uniform(0.9, 1.1, len(KDS))
    estimate = common_clusters(LABELS, KDS[:12], rng, norms)
    assert estimate.nulls[0].p <= 0.001
    assert estimate.nulls[1].p > 0.05


def test_leading_sets_are_counted_as_published(rng):
    means = means_of(responses(rng, 0.0))
    means[1, 20:25] = -9
    sets = {"term": TERM, "other": GENES[20:25], "rest": GENES[25:]}
    estimate = common_clusters_and_leading_outputs(LABELS, THIRD, sets, "other", rng, means=means)
    size = {name: np.abs(means.sel(gene=list(genes)).values).mean(axis=1) for name, genes in sets.items()}
    wanted = [max(sets, key=lambda name, i=i: size[name][i]) for i in range(6)]
    assert list(estimate.as_published["leading_sets"].values()) == wanted
    assert estimate.as_published["clusters_led_by_other"] == wanted.count("other") >= 1
    alone = common_clusters_and_leading_outputs(LABELS, THIRD, {}, "other", rng)
    assert list(alone.as_published) == ["membership"]


def test_what_is_lost_is_the_paired_difference(rng):
    other = LABELS.copy(data=rng.permutation(LABELS.values))
    estimate = clusters_lost(LABELS, other, THIRD, rng, LABELS)
    assert estimate.effect == pytest.approx(estimate.parts["a"].effect - estimate.parts["b"].effect)
    assert estimate.diagnostics["shares"]["a"] == pytest.approx(1.0)
    assert estimate.diagnostics["controls"]["seed replicate"] == pytest.approx(estimate.parts["a"].effect)
    assert clusters_lost(LABELS, other, THIRD, rng).flags == ("control missing: seed replicate",)
