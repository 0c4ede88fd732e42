"""Rule I over output genes: how many of a set are among those that a cluster of knockdowns raises most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import axis_names, categories, locate, rows

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray, IntArray

HALVES = 200
# Numbers in a block of labellings: 32 MB.
_ELEMENTS = 4_000_000


def output_enrichment(
    delta: Any,
    labels: Any,
    members: Any,
    rng: np.random.Generator,
    *,
    top: int = 50,
    permutations: int = 999,
) -> Estimate:
    """Return how many genes of a set are among one cluster's most raised outputs, beyond expectation.

    The cluster is the one most clearly marked for its size: counts are standardised by what clusters of that size at
    random give, since the lists of small clusters are noisy and would else lead every drawn maximum. Universe: the
    model's own genes. Null: clusters of equal size at random, their lists recomputed and again the most marked one
    taken; the moments are over the draws and the observation, so that all are exchangeable. The interval is the
    delete-half jackknife over the cluster's own knockdowns (KDs).

    Parameters
    ----------
    delta
        Responses, shape (kd, gene), a DataArray with both coordinates.
    labels
        Cluster of each KD.
    members
        Gene set; genes that are no outputs are dropped and named.
    rng
        Draws clusters and halves.
    top
        Length of the list of most raised outputs.
    permutations
        Draws B.

    Returns
    -------
    Estimate
        The cluster, the counts and sizes of all, and what random clusters of their sizes have on average stand in the
        diagnostics.

    Raises
    ------
    InputError
        If the list is longer than half the genes.
    EvidenceMissingError
        If no member is an output.
    """
    nulls.check_draws(permutations)
    responses, cut = rows(delta, "delta", ndim=2), categories(labels)
    genes = axis_names(delta, 1)
    if top > len(genes) // 2:
        raise InputError(f"the top {top} of {len(genes)} genes", "at most half", where="top")
    found = locate(members, genes, 1)
    names = tuple(name for name in responses.names if name in set(cut.names))
    values, codes = responses.take(names), cut.take(names)
    inside = np.zeros(len(genes), dtype=bool)
    inside[found.index] = True
    drawn = _drawn_counts(values, codes, len(cut.levels), inside, top, rng, permutations)
    mean, sd = drawn.mean(axis=0), drawn.std(axis=0)
    z = np.divide(drawn - mean, sd, out=np.zeros_like(drawn), where=sd > 0)
    best, expected = int(np.argmax(z[0])), top * len(found.index) / len(genes)
    effect = float(drawn[0, best]) - expected
    # The largest z of each draw, in counts of a cluster of the best one's size.
    samples = z[1:].max(axis=1) * sd[best] + mean[best] - expected
    null = nulls.from_draws("clusters of equal size at random, the most marked of them", effect, samples, "greater")
    se, df = _half_cluster_se(values[codes == best], inside, top, rng)
    if df == 0:
        se, df = float(sd[best]), len(names) - 1
    ci, ci90 = intervals.t_intervals(effect, se, df)
    by_level = dict(zip(cut.levels, range(len(cut.levels)), strict=True))
    return Estimate(
        effect,
        len(names),
        ci,
        ci90,
        null.p,
        "greater",
        (null,),
        intervals.minimum_detectable(max(se, null.sd), df, "greater"),
        20,
        20,
        dropped=found.unknown,
        diagnostics={
            "cluster": cut.levels[best],
            "counts": {level: int(drawn[0, i]) for level, i in by_level.items()},
            "sizes": {level: int((codes == i).sum()) for level, i in by_level.items()},
            "at_random": {level: float(mean[i]) for level, i in by_level.items()},
            "z": float(z[0, best]),
            "set_size": len(found.index),
            "expected": expected,
        },
    )


def raised_members(means: FloatArray, inside: Any, top: int) -> FloatArray:
    """Return how many genes of a set are among the `top` largest of each row of mean responses, shape (rows,).

    Parameters
    ----------
    means
        Mean responses, shape (rows, genes).
    inside
        Which genes are of the set, bool, shape (genes,).
    top
        Length of the list.
    """
    lists = np.argpartition(-means, top - 1, axis=1)[:, :top]
    return inside[lists].sum(axis=1).astype(np.float64)


def _drawn_counts(
    values: FloatArray,
    codes: IntArray,
    clusters: int,
    inside: Any,
    top: int,
    rng: np.random.Generator,
    permutations: int,
) -> FloatArray:
    """Return counts per cluster as observed (first row) and with labels permuted, shape (permutations + 1, clusters).

    Blocks of labellings make one product each: onehot [draws * clusters, n] @ values [n, genes].
    """
    n, genes = values.shape
    sizes = np.bincount(codes, minlength=clusters)
    counts = np.empty((permutations + 1, clusters))
    block = max(1, _ELEMENTS // (clusters * max(n, genes)))
    for start in range(0, permutations + 1, block):
        draws = np.arange(start, min(start + block, permutations + 1))
        labels = np.stack([codes if draw == 0 else rng.permutation(codes) for draw in draws])
        onehot = np.zeros((len(draws), clusters, n))
        onehot[np.arange(len(draws))[:, None], labels, np.arange(n)] = 1.0
        means = onehot.reshape(-1, n) @ values / np.tile(sizes, len(draws))[:, None]
        counts[draws] = raised_members(means, inside, top).reshape(len(draws), clusters)
    return counts


def _half_cluster_se(values: FloatArray, inside: Any, top: int, rng: np.random.Generator) -> tuple[float, int]:
    """Return the delete-half jackknife standard error of a cluster's count, and its degrees of freedom."""
    m = len(values)
    if m < 2:
        return 0.0, 0
    means = values[nulls.random_subsets(rng, m, m // 2, HALVES)].mean(axis=1)
    # Kept r of m, deleted m - r: var = r / (m - r) * mean square (Shao & Wu 1989).
    scale = (m // 2) / (m - m // 2)
    return float(np.std(raised_members(means, inside, top), ddof=1)) * np.sqrt(scale).item(), m - 1
