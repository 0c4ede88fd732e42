"""Rules E to J in the worlds: numbers, profiles, clusters and neighbours of knockdowns."""

from __future__ import annotations

import numpy as np

from bench.worlds import DRAWS, Array, Draw, Rng, cosines, labels, numbers, vectors
from jacprobe import stats
from jacprobe.estimate import Estimate


def contrast(rng: Rng, *, world: str, n: int, k: int, biased: bool = False, shift: float = 0.0) -> Draw:
    """Rule E: one number per KD, grown with magnitude where the set is `biased` to large ones."""
    size = np.exp(rng.normal(scale=0.5, size=n))
    values = numbers(rng, world, n)
    chance = size**2 if biased else np.ones(n)
    members = rng.choice(n, k, replace=False, p=chance / chance.sum())
    if biased:
        values = values + np.log(size)
    values[members] += shift * values.std()
    estimate = stats.vector_contrast(values, members, rng, magnitudes=size, permutations=DRAWS)
    return Draw(estimate, None if biased or shift else 0.0)


def paired(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule E, paired: two numbers per KD that differ by noise alone."""
    x, y = numbers(rng, world, n) + rng.normal(size=(2, n))
    return Draw(stats.paired_contrast(x, y, rng, permutations=DRAWS), 0.0)


def own_gene(rng: Rng, *, world: str, n: int, shift: float = 0.0) -> Draw:
    """Rule E, own genes: with gene and KD effects ("hubs") or modules ("clusters"), own genes lowered by `shift`."""
    values = rng.normal(size=(n, n))
    if world == "hubs":
        values += rng.normal(size=n) + rng.normal(size=(n, 1))
    if world == "clusters":
        values += rng.normal(size=(8, n))[rng.integers(0, 8, n)]
    values[np.arange(n), np.arange(n)] -= shift
    estimate = stats.own_gene_contrast(values, rng, permutations=DRAWS)
    return Draw(estimate, -shift)


def rank(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule F: a KD whose typical percentile over draws is the bar itself."""
    truth = np.sort(numbers(rng, world, n))[::-1]
    place = int(0.1 * n)
    draws = truth + 0.2 * rng.normal(size=(2000, n))
    ranks = (draws >= draws[:, [place]]).sum(axis=1)
    expected = float(1 / (1 + np.exp(-np.mean(np.log((ranks - 0.5) / (n - ranks + 0.5))))) + 0.5 / n)
    estimate = stats.percentile_rank(truth, str(place), draws[:6], rng)
    return Draw(_centred(estimate, expected), 0.0)


def _centred(estimate: Estimate, expected: float) -> Estimate:
    """Move the scale so that the truth stands on the criterion's bar, 0."""
    shift = [None if e is None else (e[0] - expected, e[1] - expected) for e in (estimate.ci, estimate.ci90)]
    return Estimate(
        estimate.effect - expected, estimate.n, shift[0], shift[1], estimate.p, estimate.alternative, estimate.nulls
    )


def outranking(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule F: how often one KD stands above another, n draws; both are noise around one value."""
    values = rng.normal(size=(n, 2)) if world == "iid" else rng.standard_t(3, size=(n, 2))
    return Draw(stats.outranks(values, "0", ["1"], rng), 0.5)


def profiles(rng: Rng, *, world: str, n: int, shared: float = 0.0) -> Draw:
    """Rule G: profiles that share their outputs' variance ("hubs") and modules ("clusters"), but no response."""
    estimate = stats.profile_agreement(
        *_profiles(rng, world, n, shared), rng, beyond_mismatched=True, permutations=DRAWS
    )
    return Draw(estimate, None if shared else 0.0)


def anticorrelated(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule G: the share of units that are anti-correlated, where none is."""
    return Draw(stats.share_anticorrelated(*_profiles(rng, world, n, 0.0), rng), 0.0)


def _profiles(rng: Rng, world: str, n: int, shared: float) -> tuple[Array, Array]:
    genes = 100
    scale = np.exp(rng.normal(scale=0.7, size=genes)) if world == "hubs" else np.ones(genes)
    modules = rng.normal(size=(8, genes)) if world == "clusters" else np.zeros((8, genes))
    mean = rng.normal(size=genes) * (0.5 if world == "hubs" else 0.0)
    common = rng.normal(size=(n, genes))

    def side() -> Array:
        noise = np.sqrt(1 - shared) * rng.normal(size=(n, genes)) + np.sqrt(shared) * common
        return (noise + rng.normal(size=(n, 8)) @ modules + mean) * scale

    return side(), side()


def largest(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule G: the largest of n units' correlations over six draws of control cells."""
    truth = 0.1 * numbers(rng, world, n)
    return Draw(stats.largest_agreement(truth + 0.05 * rng.normal(size=(6, n)), rng), float(truth.max()))


def below(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule G: the share of units below a threshold, a tenth in truth."""
    values = numbers(rng, world, 2000)
    return Draw(stats.share_below(rng.choice(values, n), float(np.quantile(values, 0.1)), rng), 0.1)


def clusterings(rng: Rng, *, world: str, n: int, same: float = 0.0) -> Draw:
    """Rule H: unrelated clusterings, of which a share `same` of the KDs agrees."""
    a, b = labels(rng, world, n), labels(rng, world, n)
    b = np.where(rng.random(n) < same, a, b)
    return Draw(stats.clustering_agreement(a, b, rng, permutations=DRAWS), None if same else 0.0)


def clusterings_difference(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule H, paired: two clusterings that agree equally with a third."""
    a, b, c = (labels(rng, world, n) for _ in range(3))
    b, c = (np.where(rng.random(n) < 0.3, a, other) for other in (b, c))
    return Draw(stats.clustering_agreement_difference(a, b, c, rng), 0.0)


def together(rng: Rng, *, world: str, n: int, k: int, which: str) -> Draw:
    """Rule I: a random set of KDs in clusters; for outputs, a random set of genes."""
    cut, members = labels(rng, world, n), rng.choice(n, k, replace=False)
    if which == "enrichment":
        return Draw(stats.enrichment(cut, members, rng), 0.0)
    if which == "outputs":
        delta = _profiles(rng, world, n, 0.0)[0]
        return Draw(
            stats.output_enrichment(delta, cut, rng.choice(100, k, replace=False), rng, top=20, permutations=DRAWS)
        )
    if which == "difference":
        return Draw(stats.coclustering_difference(cut, labels(rng, world, n), members, rng, permutations=DRAWS), 0.0)
    return Draw(stats.coclustering(cut, members, rng, permutations=DRAWS), 0.0)


def nearest(rng: Rng, *, world: str, n: int, k: int, biased: bool, which: str) -> Draw:
    """Rule J: a random family, or one in favour of hubs, around a random query."""
    X, _, standing = vectors(rng, world, n)
    S = cosines(X)
    chance = standing**2 if biased else np.ones(n)
    drawn = rng.choice(n, k + 1, replace=False, p=chance / chance.sum())
    if which == "neighbours":
        return Draw(stats.neighbours(S, str(drawn[0]), drawn[1:], rng, permutations=DRAWS), None if biased else 0.0)
    if which == "recall":
        partners = {str(query): [str(one)] for query, one in zip(drawn[: k // 2], drawn[k // 2 :], strict=False)}
        return Draw(stats.neighbourhood_recall(S, partners, rng, permutations=DRAWS), 0.0)
    return Draw(stats.neighbourhood_purity(S, drawn[1:], rng, permutations=DRAWS), None if biased else 0.0)
