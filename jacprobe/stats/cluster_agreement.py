"""Measures of NB05 and NB06 on whole clusterings: are they reproducible, and do two models agree on them (rule H)."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals
from jacprobe.stats.clusterings import LEAST_KDS, adjusted_rand_index, clustering_agreement, cuts, halves, matched
from jacprobe.stats.labels import categories, common, rows
from jacprobe.stats.reproduction import LEAST_DRAWS, reproduces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jacprobe.stats.clusterings import Linkage
    from jacprobe.stats.labels import FloatArray, IntArray

# Numbers of clusters and linkages that a reader may ask about, beside the 15 of Ward that are judged.
NUMBERS = range(8, 26)
LINKAGES: tuple[Linkage, ...] = ("ward", "average")


def reproducible_clusters(draws: Sequence[Any], rng: np.random.Generator, responses: Any = None) -> Estimate:
    """Return the mean adjusted Rand index (ARI) between clusterings of one model over disjoint draws of control cells.

    The interval joins two sources: random halves of the knockdowns (KDs), and the draws, whose pairs share members, by
    a delete-one-draw jackknife.

    Parameters
    ----------
    draws
        Cluster of each KD, once per draw.
    rng
        Draws the halves.
    responses
        The responses of each draw, each (kd, gene), for other numbers of clusters and linkages; or None.

    Raises
    ------
    EvidenceMissingError
        If there is one draw only.
    """
    if len(draws) < 2:
        raise EvidenceMissingError(f"{len(draws)} draw of control cells", "at least two", where="reproducible_clusters")
    names, codes, lacking = matched(*draws)
    n, R = len(names), len(codes)
    effect = _mean_over_pairs(codes)
    halved = np.array([_mean_over_pairs([one[half] for one in codes]) for half in halves(rng, n)])
    without = np.array([_mean_over_pairs(codes[:i] + codes[i + 1 :]) for i in range(R)]) if R > 2 else np.zeros(1)
    se, df = _joined((float(halved.std(ddof=1)), n - 1), (intervals.jackknife_se(without), R - 1))
    ci, ci90 = intervals.t_intervals(effect, se, df)
    flags = () if R >= LEAST_DRAWS else (f"{R} control-cell draws, {LEAST_DRAWS} wanted",)
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        least_n=LEAST_KDS,
        least_n_null=LEAST_KDS,
        dropped=lacking,
        flags=flags,
        diagnostics={
            "pairs": [adjusted_rand_index(a, b) for a, b in combinations(codes, 2)],
            "sizes": [np.unique(one, return_counts=True)[1].tolist() for one in codes],
            "other_cuts": None if responses is None else _other_cuts(responses, _mean_over_pairs),
        },
    )


def largest_cluster(draws: Sequence[Any], published: str, rng: np.random.Generator) -> Estimate:
    """Return the share of knockdowns in the largest cluster, mean over draws of control cells (rule N).

    Parameters
    ----------
    draws
        Cluster of each knockdown, once per draw.
    published
        The published value as printed.
    rng
        Not used.
    """
    counts = [np.bincount(categories(labels).codes) for labels in draws]
    shares = np.array([sizes.max() / sizes.sum() for sizes in counts])
    estimate = reproduces(shares, published, rng)
    sizes = [sorted(map(int, one), reverse=True) for one in counts]
    return replace(
        estimate,
        as_published={"largest": sizes[0][0], "of": int(counts[0].sum()), "share": float(shares[0])},
        diagnostics={**estimate.diagnostics, "shares": shares.tolist(), "sizes": sizes},
    )


def agreement_reproduces(a: Sequence[Any], b: Sequence[Any], published: str, rng: np.random.Generator) -> Estimate:
    """Return the ARI of two models' clusterings, mean over draws of control cells (rule N).

    Parameters
    ----------
    a, b
        Cluster of each knockdown in each model, once per draw; the draws are paired.
    published
        The published value as printed.
    rng
        Not used.
    """
    found = [_ari(one, other) for one, other in _paired(a, b)]
    estimate = reproduces(np.array(found), published, rng)
    return replace(
        estimate,
        as_published={"adjusted_rand_index": found[0]},
        diagnostics={**estimate.diagnostics, "draws_found": found},
    )


def clusterings_unrelated(
    labels_a: Any,
    labels_b: Any,
    rng: np.random.Generator,
    responses: Any = None,
    replicate: Any = None,
    draws: Any = None,
) -> Estimate:
    """Return the ARI of two models' clusterings, beside what another training and other cells leave of it.

    Parameters
    ----------
    labels_a, labels_b
        Cluster of each knockdown in each model.
    rng
        Draws permutations and halves.
    responses
        Responses of both models, a pair of (kd, gene), for other numbers of clusters and linkages; or None.
    replicate
        Clusters of model A trained once more with another seed; or None.
    draws
        Clusters of model A over draws of control cells; or None.
    """
    estimate = clustering_agreement(labels_a, labels_b, rng)
    published = {} if responses is None else {"adjusted_rand_index": _of_two(responses, 15, "ward-on-cosine")}
    ceilings = {
        "training seed": None if replicate is None else _ari(labels_a, replicate),
        "control-cell draw": None if draws is None or len(draws) < 2 else _mean_over_pairs(matched(*draws)[1]),
    }
    missing = tuple(f"no ceiling from another {name}" for name, value in ceilings.items() if value is None)
    return replace(
        estimate,
        flags=estimate.flags + missing,
        as_published=published,
        diagnostics={
            **estimate.diagnostics,
            "ceilings": ceilings,
            "other_cuts": None if responses is None else _other_cuts(responses, _mean_over_pairs),
        },
    )


def agreement_below_replicate(
    a: Sequence[Any],
    replicate: Sequence[Any],
    other: Sequence[Any],
    rng: np.random.Generator,
    *,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return ARI(a, replicate) - ARI(a, other), mean over draws of control cells.

    The interval joins random halves of the knockdowns, paired over the three models and over draws, and the spread over
    draws.

    Parameters
    ----------
    a, replicate, other
        Cluster of each knockdown in the model, in its training with another seed and in the other model, once per draw.
    rng
        Draws the halves.
    alternative
        The side of p, Student's.
    """
    triples = [matched(*three) for three in _paired(a, replicate, other)]
    names = triples[0][0]
    if any(set(one) != set(names) for one, _, _ in triples):
        raise InputError("draws with other knockdowns each", "the same ones in every draw", where="draws")
    n, R = len(names), len(triples)
    both = [(adjusted_rand_index(x, y), adjusted_rand_index(x, z)) for _, (x, y, z), _ in triples]
    values = np.array([one - two for one, two in both])
    halved = [
        np.mean([adjusted_rand_index(x[h], y[h]) - adjusted_rand_index(x[h], z[h]) for _, (x, y, z), _ in triples])
        for h in halves(rng, n)
    ]
    effect = float(values.mean())
    over_draws = float(values.std(ddof=1)) / math.sqrt(R) if R > 1 else 0.0
    se, df = _joined((float(np.std(halved, ddof=1)), n - 1), (over_draws, R - 1))
    ci, ci90 = intervals.t_intervals(effect, se, df)
    p = intervals.student_p(effect, se, df, alternative)
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        alternative,
        (Null("no difference: Student's t over halves of the KDs and draws of control cells", p, 0.0, se, 0, 0.0),),
        intervals.minimum_detectable(se, df, alternative),
        LEAST_KDS,
        LEAST_KDS,
        dropped=triples[0][2],
        flags=() if R > 1 else ("one control-cell draw",),
        diagnostics={
            "with_replicate": [one for one, _ in both],
            "with_other": [two for _, two in both],
            "se_halves": float(np.std(halved, ddof=1)),
            "se_draws": over_draws,
        },
    )


def _ari(a: Any, b: Any) -> float:
    return adjusted_rand_index(*matched(a, b)[1])


def _mean_over_pairs(codes: Sequence[IntArray]) -> float:
    return float(np.mean([adjusted_rand_index(a, b) for a, b in combinations(codes, 2)]))


def _paired(*draws: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the draws side by side.

    Raises
    ------
    InputError
        If the models have different numbers of draws.
    """
    if len({len(one) for one in draws}) > 1:
        raise InputError(f"{', '.join(str(len(one)) for one in draws)} draws", "as many of each model", where="draws")
    return list(zip(*draws, strict=True))


def _joined(*sources: tuple[float, int]) -> tuple[float, float]:
    """Return the standard error of independent sources, each with its degrees of freedom, and Welch's joint ones."""
    present = [(se, df) for se, df in sources if se > 0 and df > 0]
    if not present:
        return 0.0, float(max(df for _, df in sources))
    total = math.sqrt(sum(se**2 for se, _ in present))
    return total, total**4 / sum(se**4 / df for se, df in present)


def _other_cuts(responses: Any, measure: Callable[[list[IntArray]], float]) -> dict[str, dict[str, float]]:
    """Return a measure of clusterings by linkage and number of clusters, up to a quarter of the knockdowns."""
    values = _on_shared(responses)
    numbers = [k for k in NUMBERS if 4 * k <= len(values[0])]
    table = {}
    for linkage in LINKAGES:
        found = [cuts(one, numbers, linkage) for one in values]
        table[linkage] = {str(k): measure([one[k] for one in found]) for k in numbers}
    return table


def _of_two(responses: Any, k: int, linkage: Linkage) -> float:
    first, second = (cuts(one, (k,), linkage)[k] for one in _on_shared(responses))
    return adjusted_rand_index(first, second)


def _on_shared(responses: Any) -> list[FloatArray]:
    """Return the responses of each model or draw for the knockdowns that all have."""
    labelled = {str(i): rows(one, f"responses[{i}]", ndim=2) for i, one in enumerate(responses)}
    names, _ = common(labelled, 4)
    return [one.take(names) for one in labelled.values()]
