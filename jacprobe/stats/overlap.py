"""Rule I: which knockdowns stand together in a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals
from jacprobe.stats.labels import Labelled, categories, common, locate
from jacprobe.stats.multiplicity import holm
from jacprobe.stats.ranks import clopper_pearson
from jacprobe.stats.sets import coherence_of, log_norms

if TYPE_CHECKING:
    from jacprobe.stats.labels import Categories, FloatArray, IntArray, Members

LEAST_MEMBERS = 5
LEAST_MEMBERS_NULL = 10


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


def together(codes: IntArray) -> FloatArray:
    """Return the matrix that is 1 where two units share a cluster."""
    return (codes[:, None] == codes[None, :]).astype(np.float64)


def _hypergeometric(cut: Categories, members: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return P(hits or more), hits and sizes per cluster."""
    sizes = np.bincount(cut.codes, minlength=len(cut.levels))
    hits = np.bincount(cut.codes[members], minlength=len(cut.levels))
    p = stats.hypergeom.sf(hits - 1, len(cut.names), len(members), sizes)
    return np.clip(p, np.finfo(float).tiny, 1.0), hits, sizes
