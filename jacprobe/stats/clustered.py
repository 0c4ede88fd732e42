"""Rule E where knockdowns come in response clusters: those of one share a state, and are no independent units.

    value_i = mean + cluster_c(i) + rest_i

Random sets of knockdowns (KDs) take their four from four clusters, a pathway takes them from one. The variance of a
contrast sum_i w_i value_i is therefore

    s_between^2 * sum_c (sum_{i in c} w_i)^2  +  s_within^2 * sum_i w_i^2
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.estimate import Estimate, Null
from jacprobe.stats import intervals
from jacprobe.stats.labels import categories

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray, IntArray, Labelled

# With fewer clusters left than this their variance says too little: the members' own are then not left out.
LEAST_CLUSTERS = 5


def beyond_clusters(
    estimate: Estimate, values: Labelled, inside: IntArray, others: IntArray, clusters: Any
) -> Estimate:
    """Return a contrast whose p and interval also allow for clusters that differ at random.

    The variance components are the analysis of variance's, by the method of moments, over the clusters that hold no
    member (over all where fewer than five would be left), the degrees of freedom Satterthwaite's (1946). p is the
    larger of the two, the interval the wider.

    Parameters
    ----------
    estimate
        Mean of `inside` minus mean of `others`, as a contrast of independent KDs.
    values
        One number per KD, shape (n,).
    inside, others
        Where the two groups stand.
    clusters
        Cluster of each KD, by name; one that has none is a cluster by itself.
    """
    codes = _codes(clusters, values.names)
    weights = np.zeros(len(codes))
    weights[inside], weights[others] = 1 / len(inside), -1 / len(others)
    outside = ~np.isin(codes, codes[inside])
    if len(np.unique(codes[outside])) < LEAST_CLUSTERS:
        outside[:] = True
    between, within, size, df_between, df_within = _components(values.values[outside], codes[outside])
    shared = float(np.square(np.bincount(codes, weights)).sum()) / size
    alone = float(np.square(weights).sum()) - shared
    if between <= within:
        variance, df = within * float(np.square(weights).sum()), df_within
    else:
        variance = shared * between + alone * within
        df = variance**2 / ((shared * between) ** 2 / df_between + (alone * within) ** 2 / df_within)
    se = math.sqrt(variance)
    p = intervals.student_p(estimate.effect, se, df, estimate.alternative)
    null = Null(f"clusters of KDs differ at random (Student's t, {df:.0f} df)", p, 0.0, se, 0, 0.0)
    mde = intervals.minimum_detectable(se, df, estimate.alternative)
    return replace(
        estimate,
        ci=_wider(estimate, "ci", 0.975, se, df),
        ci90=_wider(estimate, "ci90", 0.95, se, df),
        p=max(p, estimate.p or 0.0),
        nulls=(*estimate.nulls, null),
        mde=max(mde, estimate.mde or 0.0),
        diagnostics={
            **estimate.diagnostics,
            "sd_between_clusters": math.sqrt(max(0.0, (between - within) / size)),
            "sd_within_clusters": math.sqrt(within),
            "clusters_of_members": len(np.unique(codes[inside])),
        },
    )


def _components(values: FloatArray, codes: IntArray) -> tuple[float, float, float, float, float]:
    """Return mean squares between and within clusters, the cluster size they compare at, and degrees of freedom."""
    _, place = np.unique(codes, return_inverse=True)
    sizes = np.bincount(place)
    means = np.bincount(place, values) / sizes
    n, m = len(values), len(sizes)
    df_between, df_within = m - 1, max(n - m, 1)
    between = float((sizes * np.square(means - values.mean())).sum()) / df_between
    within = float(np.square(values - means[place]).sum()) / df_within
    return between, within, (n - float(np.square(sizes).sum()) / n) / df_between, df_between, df_within


def _codes(clusters: Any, names: tuple[str, ...]) -> IntArray:
    cut = categories(clusters, "clusters")
    place = dict(zip(cut.names, cut.codes, strict=True))
    return np.array([place.get(name, len(cut.levels) + i) for i, name in enumerate(names)], dtype=np.intp)


def _wider(estimate: Estimate, which: str, quantile: float, se: float, df: float) -> tuple[float, float]:
    low, high = getattr(estimate, which)
    half = float(stats.t.ppf(quantile, df)) * se
    return min(low, estimate.effect - half), max(high, estimate.effect + half)
