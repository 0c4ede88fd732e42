"""Contrasts of units that come in clusters: variance components by hand, and the level where nothing is planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jacprobe.stats import vector_contrast

SIZES = [12] * 15
LABELS = {str(i): f"cluster {c}" for i, c in enumerate(np.repeat(np.arange(15), SIZES))}
PATHWAY = ["0", "3", "6", "9"]  # of one cluster


def clustered(rng: np.random.Generator, between: float) -> np.ndarray:
    return between * np.repeat(rng.standard_normal(15), SIZES) + rng.standard_normal(180)


def test_standard_error_and_p_are_those_of_the_components(rng):
    values = clustered(rng, 1.5)
    estimate = vector_contrast(values, PATHWAY, rng, clusters=LABELS, permutations=199)
    others = values[12:].reshape(14, 12)  # of the clusters that hold no member
    between = 12 * others.mean(axis=1).var(ddof=1)
    within = others.var(axis=1, ddof=1).mean()
    weights = np.full(180, -1 / 176)
    weights[[int(i) for i in PATHWAY]] = 1 / 4
    shared = np.square(weights.reshape(15, 12).sum(axis=1)).sum() / 12
    alone = np.square(weights).sum() - shared
    se = np.sqrt(shared * between + alone * within)
    df = se**4 / ((shared * between) ** 2 / 13 + (alone * within) ** 2 / (14 * 11))
    assert estimate.nulls[-1].p == pytest.approx(stats.t.sf(estimate.effect / se, df))
    assert estimate.ci90 is not None
    assert estimate.ci90[1] == pytest.approx(estimate.effect + stats.t.ppf(0.95, df) * se)
    assert estimate.diagnostics["clusters_of_members"] == 1


def test_without_differences_between_clusters_hardly_anything_changes():
    rng = np.random.default_rng(1)
    values = rng.standard_normal(180)
    plain, robust = (vector_contrast(values, PATHWAY, np.random.default_rng(2), clusters=c) for c in (None, LABELS))
    assert plain.ci is not None
    assert robust.ci is not None
    assert robust.ci[1] - robust.ci[0] < 1.6 * (plain.ci[1] - plain.ci[0])
    assert robust.effect == plain.effect


def test_four_of_one_cluster_are_no_four_units():
    """A pathway that is one cluster among others, with nothing planted: at the 5 % level, both ways."""
    rng = np.random.default_rng(3)
    false = {"sets": 0, "clusters": 0}
    covered = 0
    for _ in range(200):
        values = clustered(rng, 1.5)
        estimate = vector_contrast(values, PATHWAY, rng, clusters=LABELS, permutations=199)
        false["sets"] += estimate.nulls[0].p <= 0.05
        assert estimate.p is not None
        assert estimate.ci90 is not None
        false["clusters"] += estimate.p <= 0.05
        covered += estimate.ci90[0] < 0 < estimate.ci90[1]
    assert false["sets"] > stats.binom.ppf(0.999, 200, 0.05)  # random sets take their four from four clusters
    assert false["clusters"] <= stats.binom.ppf(0.999, 200, 0.05)
    assert covered >= stats.binom.ppf(0.001, 200, 0.90)


def test_a_knockdown_without_a_cluster_is_one_by_itself(rng):
    values = clustered(rng, 1.0)
    fewer = {name: label for name, label in LABELS.items() if int(name) < 170}
    assert np.isfinite(vector_contrast(values, PATHWAY, rng, clusters=fewer, permutations=99).nulls[-1].p)
