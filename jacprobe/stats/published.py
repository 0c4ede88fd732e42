"""The tests of the published analysis as they were run, each named for what it is, so that a report can show both.

None of them holds its error rate: pairs of knockdowns, or triples of one panel, are treated as if they were
independent. They are never judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.stats import moments, nulls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.stats.labels import FloatArray, IntArray


def naive_correlation_over_pairs(a: FloatArray, b: FloatArray) -> Mapping[str, float]:
    """Return Pearson's and Spearman's r over the pairs i < j with the p of independent pairs (NB05 to NB10)."""
    upper = np.triu_indices(len(a), 1)
    x, y = a[upper], b[upper]
    (pearson_r, pearson_p), (spearman_r, spearman_p) = _two(stats.pearsonr(x, y)), _two(stats.spearmanr(x, y))
    return {
        "pearson_r": pearson_r,
        "pearson_p": pearson_p,
        "spearman_r": spearman_r,
        "spearman_p": spearman_p,
        "pairs": len(upper[0]),
    }


def set_draw_without_plus_one(
    S: FloatArray, members: IntArray, rng: np.random.Generator, draws: int = 5000
) -> Mapping[str, float]:
    """Return z and p = #{null >= observed} / B of a set's mean similarity against random sets (NB01); p can be 0."""
    observed = float(moments.mean_within(S, np.asarray(members)[None])[0])
    samples = moments.mean_within(S, nulls.random_subsets(rng, len(S), len(members), draws))
    return {
        "mean": observed,
        "z": float((observed - samples.mean()) / samples.std()),
        "p": float(np.mean(samples >= observed)),
        "draws": draws,
    }


def rank_sum_over_pairs(
    S: FloatArray, members: IntArray, rng: np.random.Generator, pairs: int = 4998
) -> Mapping[str, float]:
    """Return the rank-sum test of a set's pairs against random pairs of KDs, two-sided (NB02)."""
    members = np.asarray(members)
    inside = S[np.ix_(members, members)][np.triu_indices(len(members), 1)]
    i = rng.integers(0, len(S), pairs)
    j = (i + rng.integers(1, len(S), pairs)) % len(S)
    test = stats.ranksums(inside, S[i, j])
    return {"mean": float(inside.mean()), "background": float(S[i, j].mean()), "p": float(test.pvalue), "pairs": pairs}


def mann_whitney_over_pairs(S: FloatArray, members: IntArray) -> Mapping[str, float]:
    """Return the one-sided Mann-Whitney test of pairs within a set against pairs across its border (NB01)."""
    inside = np.zeros(len(S), dtype=bool)
    inside[np.asarray(members)] = True
    within = S[np.ix_(inside, inside)][np.triu_indices(int(inside.sum()), 1)]
    test = stats.mannwhitneyu(within, S[np.ix_(inside, ~inside)].ravel(), alternative="greater", method="asymptotic")
    return {"within": float(within.mean()), "across": float(S[np.ix_(inside, ~inside)].mean()), "p": float(test.pvalue)}


def mann_whitney_over_triples(pathway: FloatArray, controls: FloatArray) -> Mapping[str, float]:
    """Return the one-sided asymptotic Mann-Whitney test over triples of a panel, and the ratio of means (NB03).

    Parameters
    ----------
    pathway, controls
        Signed J of all (regulator, target, KD) triples of the pathway and of the control KDs, any shape.
    """
    x, y = np.ravel(pathway), np.ravel(controls)
    test = stats.mannwhitneyu(x, y, alternative="greater", method="asymptotic", use_continuity=True)
    return {"U": float(test.statistic), "p": float(test.pvalue), "fold": float(x.mean() / y.mean())}


def signed_rank_of_unpaired(
    S: FloatArray, labels: IntArray, rng: np.random.Generator, least: int = 10
) -> Mapping[str, float]:
    """Return the signed-rank test of same- against different-cluster pairs, and their ratio (NB05).

    The pairs have nothing to do with each other; the test takes them for matched.
    """
    i, j = np.triu_indices(len(S), 1)
    same = labels[i] == labels[j]
    inside, across = S[i[same], j[same]], S[i[~same], j[~same]]
    size = min(len(inside), len(across))
    out = {
        "same": float(inside.mean()),
        "different": float(across.mean()),
        "ratio": float(inside.mean() / across.mean()),
    }
    if size < least:
        return out
    x, y = rng.choice(inside, size, replace=False), rng.choice(across, size, replace=False)
    statistic, p = _two(stats.wilcoxon(x, y, alternative="greater", method="asymptotic"))
    return {**out, "W": statistic, "p": p, "pairs": size}


def overlap_against_library(hits: int, top: int, members: int, genes: int = 20_000) -> Mapping[str, float]:
    """Return the hypergeometric p of a term's overlap with a list of raised outputs, unadjusted (NB05).

    The background is a library's default, not the genes that the model has: a list can hold no others, so that every
    term that the outputs are rich in comes out. `members` are the term's genes among the outputs.
    """
    return {
        "overlap": hits,
        "of": top,
        "background": genes,
        "p": float(stats.hypergeom.sf(hits - 1, genes, members, top)),
    }


def leading_sets(means: FloatArray, sets: Mapping[str, IntArray]) -> list[str]:
    """Return for each cluster the set of outputs with the largest mean |mean response| (NB05, NB06); no test.

    Parameters
    ----------
    means
        Mean responses, shape (clusters, genes).
    sets
        Positions of each set's genes.
    """
    size = np.stack([np.abs(means[:, index]).mean(axis=1) for index in sets.values()])
    return [list(sets)[i] for i in size.argmax(axis=0)]


def rank_with_control(
    values: FloatArray, place: int, control: float | None, *, descending: bool = True
) -> Mapping[str, Any]:
    """Return the rank of one KD, the control counted as a KD where it is given (NB03)."""
    everyone = values if control is None else np.append(values, control)
    ahead = everyone > values[place] if descending else everyone < values[place]
    return {"rank": int(1 + np.count_nonzero(ahead)), "of": len(everyone)}


def share_of_negative(r: FloatArray) -> Mapping[str, float]:
    """Return the count of r < 0, called anti-correlated, and of r > .4, without any test (NB04)."""
    return {"negative": int(np.count_nonzero(r < 0)), "above_0.4": int(np.count_nonzero(r > 0.4)), "of": len(r)}


def _two(result: Any) -> tuple[float, float]:
    return float(result[0]), float(result[1])
