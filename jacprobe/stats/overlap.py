"""Rule I: what stands together in a cluster, of knockdowns and of output genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import Labelled, axis_names, categories, common, locate, rows
from jacprobe.stats.multiplicity import holm
from jacprobe.stats.ranks import clopper_pearson
from jacprobe.stats.sets import coherence_of, log_norms

if TYPE_CHECKING:
    from jacprobe.stats.labels import Categories, FloatArray, IntArray, Members

LEAST_MEMBERS = 5
LEAST_MEMBERS_NULL = 10
HALVES = 200
# Numbers in a block of labellings: 32 MB.
_ELEMENTS = 4_000_000


def enrichment(
    labels: Any,
    sets: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    cluster: object = None,
) -> Estimate:
    """Return the share of a set's knockdowns (KDs) in a cluster minus the cluster's share of all KDs.

    p is hypergeometric, the universe being the KDs clustered, and adjusted by Holm over the clusters times the sets
    looked at. The most enriched pair of them counts; the interval is the exact binomial one of its share, over members,
    for all pairs at once (Bonferroni).

    Parameters
    ----------
    labels
        Cluster of each KD.
    sets
        One set, or several by name; unknown members are dropped and named, sets without a known member left out.
    rng
        Not used.
    cluster
        The label of a cluster fixed beforehand, the only one looked at.

    Returns
    -------
    Estimate
        `diagnostics["p_adjusted"]` has every pair, keyed "cluster" for one set and "cluster, set" for several.

    Raises
    ------
    InputError
        If there is no such cluster.
    EvidenceMissingError
        If no member is known.
    """
    cut = categories(labels)
    if cluster is not None and str(cluster) not in cut.levels:
        raise InputError(f"cluster {cluster!r}", f"one of {', '.join(cut.levels)}", where="cluster")
    looked_at = range(len(cut.levels)) if cluster is None else [cut.levels.index(str(cluster))]
    found, lacking = _located(sets, cut)
    counted = {name: _hypergeometric(cut, members.index) for name, members in found.items()}
    pairs = [(name, level) for name in found for level in looked_at]
    raw = [float(counted[name][0][level]) for name, level in pairs]
    adjusted = holm(raw)
    first = int(np.argmin(raw))
    name, best = pairs[first]
    p, hits, sizes = counted[name]
    n, k, judged = len(cut.names), len(found[name].index), float(adjusted[first])
    effect = float(hits[best] / k - sizes[best] / n)
    # The best of several pairs was picked after looking: its interval holds for all of them at once (Bonferroni).
    levels = [1 - (1 - level) / len(pairs) for level in (0.95, 0.90)]
    low_high = [clopper_pearson(int(hits[best]), k, level) for level in levels]
    ci, ci90 = ((low - sizes[best] / n, high - sizes[best] / n) for low, high in low_high)
    expected = k * sizes[best] / n
    sd = float(np.sqrt(expected * (1 - sizes[best] / n) * (n - k) / (n - 1))) / k
    family = "" if len(pairs) == 1 else f", adjusted over {len(pairs)} pairs of cluster and set"
    null = Null(f"random sets of {k} of the {n} KDs clustered (hypergeometric){family}", judged, 0.0, sd, 0, 0.0)
    several = len(found) > 1 or "" not in found
    return Estimate(
        effect,
        k,
        ci,
        ci90,
        judged,
        "greater",
        (null,),
        intervals.minimum_detectable(sd, max(k - 1, 1), "greater"),
        LEAST_MEMBERS,
        LEAST_MEMBERS_NULL,
        dropped=(*found[name].unknown, *lacking),
        flags=found[name].flags,
        diagnostics={
            **({"set": name} if several else {}),
            "cluster": cut.levels[best],
            "hits": {level: int(hit) for level, hit in zip(cut.levels, hits, strict=True)},
            "sizes": {level: int(size) for level, size in zip(cut.levels, sizes, strict=True)},
            "p": {level: float(one) for level, one in zip(cut.levels, p, strict=True)},
            "p_adjusted": {
                f"{cut.levels[level]}, {of}" if several else cut.levels[level]: float(one)
                for (of, level), one in zip(pairs, adjusted, strict=True)
            },
        },
    )


def _located(sets: Any, cut: Categories) -> tuple[dict[str, Members], tuple[str, ...]]:
    """Return the members of one set, under the name "", or of several that have a known one; and those that do not."""
    if not isinstance(sets, Mapping):
        return {"": locate(sets, cut.names, 1, "sets")}, ()
    known = set(cut.names)
    there = {
        str(name): locate(members, cut.names, 1, f"sets[{name}]")
        for name, members in sets.items()
        if known.intersection(map(str, getattr(members, "members", members)))
    }
    if not there:
        raise EvidenceMissingError(f"{len(sets)} sets without a known member", "at least one member", where="sets")
    return there, tuple(f"set {name}" for name in sets if str(name) not in there)


def coclustering(
    labels: Any,
    members: Any,
    rng: np.random.Generator,
    norms: Any = None,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the share of a set's pairs that stand in one cluster minus that of random sets of equal size.

    This is the coherence (rule A) of the matrix that is 1 where two KDs share a cluster. Null: random sets; and, where
    norms are given, sets matched on them, since responses that are all weak may stand together for that alone. p is the
    larger. (Row means are not matched: they are the sizes of the clusters, and would match each set to itself.) The
    interval is the delete-one-member jackknife.

    Parameters
    ----------
    labels
        Cluster of each KD.
    members
        The set; unknown names are dropped and named.
    rng
        Draws the sets.
    norms
        Raw norms of the KDs' responses, shape (n,), matched by name.
    permutations, alternative
        Draws B, and the side of p.

    Returns
    -------
    Estimate
        The best cluster and its hypergeometric p (times the number of clusters) stand in the diagnostics.

    Raises
    ------
    EvidenceMissingError
        If fewer than three members are known.
    """
    cut = categories(labels)
    same = Labelled(together(cut.codes), cut.names)
    covariates = {} if norms is None else {"log norm": log_norms(norms, cut.names)}
    estimate = coherence_of(same, locate(members, cut.names, 3), covariates, rng, permutations, alternative)
    best = enrichment(labels, members)
    hits = best.diagnostics["hits"][best.diagnostics["cluster"]]
    return replace(
        estimate,
        # Nothing was tested: this is what the published tables say by membership.
        as_published={"membership": {"cluster": str(best.diagnostics["cluster"]), "members": hits, "of": estimate.n}},
        diagnostics={
            **estimate.diagnostics,
            "share": estimate.effect + estimate.diagnostics["background"],
            "best_cluster": best.diagnostics["cluster"],
            "best_cluster_p": best.p,
            "best_cluster_hits": hits,
        },
    )


def coclustering_difference(
    labels_a: Any,
    labels_b: Any,
    members: Any,
    rng: np.random.Generator,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the co-clustering excess of a set in A minus that in B, paired over its members (rule B).

    Parameters
    ----------
    labels_a, labels_b
        Cluster of each KD in each model, matched by name.
    members, rng, permutations, alternative
        As in `coclustering`.

    Returns
    -------
    Estimate
        The excess in A and in B are its parts "a" and "b".

    Raises
    ------
    InputError, EvidenceMissingError
        As in `coclustering`, or if fewer than three KDs are shared.
    """
    cut_a, cut_b = categories(labels_a, "labels_a"), categories(labels_b, "labels_b")
    A, B = (Labelled(together(cut.codes), cut.names) for cut in (cut_a, cut_b))
    names, lacking = common({"a": A, "b": B})
    found = locate(members, names, 3)
    one, other = A.submatrix(names), B.submatrix(names)
    estimate = coherence_of(Labelled(one - other, names), found, {}, rng, permutations, alternative)
    parts = {
        side: coherence_of(Labelled(matrix, names), found, {}, rng, permutations, alternative)
        for side, matrix in (("a", one), ("b", other))
    }
    return replace(
        estimate, parts=parts, flags=estimate.flags + ((f"{len(lacking)} KDs in one only",) if lacking else ())
    )


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


def together(codes: IntArray) -> FloatArray:
    """Return the matrix that is 1 where two units share a cluster."""
    return (codes[:, None] == codes[None, :]).astype(np.float64)


def _hypergeometric(cut: Categories, members: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return P(hits or more), hits and sizes per cluster."""
    sizes = np.bincount(cut.codes, minlength=len(cut.levels))
    hits = np.bincount(cut.codes[members], minlength=len(cut.levels))
    p = stats.hypergeom.sf(hits - 1, len(cut.names), len(members), sizes)
    return np.clip(p, np.finfo(float).tiny, 1.0), hits, sizes


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
