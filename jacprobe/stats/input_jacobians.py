"""Measures of the input Jacobian dY/dX: its two estimators, and how much models and knockdowns differ in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals, nulls
from jacprobe.stats.contrasts import vector_contrast
from jacprobe.stats.labels import Labelled, common, rows, square
from jacprobe.stats.moments import leave_one_out, mean_off_diagonal
from jacprobe.stats.vectors import LEAST_KDS, without_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.stats.labels import FloatArray


def estimators_agree(each: Sequence[Any], mean: Sequence[Any], rng: np.random.Generator) -> Estimate:  # noqa: ARG001 - every measure takes rng, used or not
    """Return Spearman's r over knockdowns (KDs) of two estimators of J, the mean over (regulator, target) pairs.

    The interval is the delete-one-KD jackknife of that mean. A pair whose J is one and the same number under every KD
    in either estimator has no order: it is dropped and named. Regulators of one estimator only are left out.

    Parameters
    ----------
    each, mean
        Panels of either estimator, each (kd, regulator, target), in one order of panels.
    rng
        Not used.

    Raises
    ------
    InputError
        If no pair has an order in both.
    """
    x, y, dropped, names = _paired(each, mean)
    if not len(x):
        raise InputError("no pair that varies over knockdowns in both estimators", "at least one", where="estimators")
    ranked = [stats.rankdata(side, axis=1) for side in (x, y)]
    a, b = (_unit(side) for side in ranked)
    per_pair = (a * b).sum(axis=1)
    without = np.mean([without_each(u, v) for u, v in zip(a, b, strict=True)], axis=0)
    n, effect, se = len(names), float(per_pair.mean()), intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    pearson = float(np.mean([np.corrcoef(u, v)[0, 1] for u, v in zip(x, y, strict=True)]))
    shut = float(np.mean(y == 0))
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        least_n=LEAST_KDS,
        least_n_null=LEAST_KDS,
        dropped=dropped,
        diagnostics={
            "pairs": len(per_pair),
            "least": float(per_pair.min()),
            "largest": float(per_pair.max()),
            "pearson": pearson,
            "share_exactly_zero_in_mean_cell": shut,
        },
        replicates=intervals.named(names, without),
    )


def divergence_contrast(
    agreement: Any,
    first: Sequence[str],
    second: Sequence[str],
    rng: np.random.Generator,
    *,
    replicate: Any = None,
    permutations: int = 9999,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Return how much more two models' dY/dX differ under some knockdowns (KDs) than under others, in sd over KDs.

    Divergence is 1 - cosine of the KD's dY/dX in the two models. Null: any two disjoint groups of so many KDs. The
    interval is that of `vector_contrast`, which knows the spread from the KDs named alone: with two against three it is
    narrow only where these resemble each other.

    Parameters
    ----------
    agreement
        Cosine between the models, of the KDs named and of others, shape (n,).
    first, second
        The two groups.
    rng
        Draws the groups.
    replicate
        As `agreement`, between two trainings of one line; None if not there.
    permutations
        Draws B.
    alternative
        The side of p.

    Raises
    ------
    EvidenceMissingError
        If fewer than two of a group are known.
    """
    nulls.check_draws(permutations)
    vector = rows(agreement, "agreement", ndim=1)
    divergence = 1 - vector.values
    sd = float(divergence.std(ddof=1))
    estimate = vector_contrast(
        Labelled(divergence / sd, vector.names), first, rng, controls=second, alternative=alternative
    )
    k, m = estimate.n, int(estimate.diagnostics["others"])
    groups = nulls.random_subsets(rng, len(divergence), k + m, permutations)
    drawn = divergence[rng.permuted(groups, axis=1)] / sd
    samples = drawn[:, :k].mean(axis=1) - drawn[:, k:].mean(axis=1)
    null = nulls.from_draws(f"any {k} against any {m} of {len(divergence)} KDs", estimate.effect, samples, alternative)
    place = {name: i for i, name in enumerate(vector.names)}
    named = [name for name in (*first, *second) if name in place]
    again = None if replicate is None else 1 - float(rows(replicate, "replicate", ndim=1).values.mean())
    return replace(
        estimate,
        p=null.p,
        nulls=(null,),
        least_n=2,
        least_n_null=2,
        diagnostics={
            "divergence": {name: float(divergence[place[name]]) for name in named},
            "mean_divergence": float(divergence.mean()),
            "sd_over_kds": sd,
            "mean_divergence_of_replicate": again,
        },
    )


def models_differ(
    within: Sequence[Any],
    across: Any,
    sets: Mapping[str, Sequence[str]],
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    replicate: Any = None,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return how much more alike dY/dX is between knockdowns (KDs) of one model than between models for one KD.

    Mean cosine over pairs of KDs within a model, averaged over the models, minus the mean over KDs of the cosine across
    models. Interval and p are those of the delete-one-KD jackknife, which carries all parts.

    Parameters
    ----------
    within
        Cosines of the KDs of each model, each (n, n).
    across
        Cosine of the same KD between the models, shape (n,).
    sets
        Members of pathways: the share of the variance of `across` that lies between them is reported, with what chance
        gives.
    rng
        Not used.
    replicate
        As `across`, between two trainings of one line: the same contrast with it is reported; None if not there.
    alternative
        The side of p.

    Raises
    ------
    InputError
        If fewer than three KDs are shared.
    """
    matrices = {f"within {i}": square(S, f"within {i}") for i, S in enumerate(within)}
    vector = rows(across, "across", ndim=1)
    names, lacking = common({**matrices, "across": vector})
    n, c = len(names), vector.take(names)
    taken = [S.submatrix(names) for S in matrices.values()]
    inside = float(np.mean([mean_off_diagonal(S) for S in taken]))
    effect = inside - float(c.mean())
    without = np.mean([leave_one_out(S) for S in taken], axis=0) - (c.sum() - c) / (n - 1)
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    p = intervals.student_p(effect, se, n - 1, alternative)
    name = "no difference: Student's t of the delete-one-KD jackknife"
    again = None if replicate is None else float(rows(replicate, "replicate", ndim=1).values.mean())
    flags = () if again is None else (f"two trainings of one line show {inside - again:+.2f}",)
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        alternative,
        (Null(name, p, 0.0, se, 0, 0.0),),
        intervals.minimum_detectable(se, n - 1, alternative),
        LEAST_KDS,
        LEAST_KDS,
        dropped=lacking,
        flags=flags,
        replicates=intervals.named(names, without),
        diagnostics={
            "within_models": inside,
            "across_models": float(c.mean()),
            "sd_across_over_kds": float(c.std(ddof=1)),
            "across_replicate": again,
            "pathway_share": _between_sets(Labelled(c, names), sets),
        },
    )


def _between_sets(values: Labelled, sets: Mapping[str, Sequence[str]]) -> dict[str, float] | None:
    """Return the share of the variance over KDs that lies between pathways, of KDs that are in one, and its chance."""
    label = {name: group for group, members in sets.items() for name in members if name in values.names}
    groups = sorted(set(label.values()))
    v = values.take(list(label))
    if len(groups) < 2 or len(label) <= len(groups) or np.ptp(v) == 0:
        return None
    codes = np.array([groups.index(group) for group in label.values()])
    means = np.bincount(codes, v) / np.bincount(codes)
    share = float(np.square(means[codes] - v.mean()).sum() / np.square(v - v.mean()).sum())
    # Unrelated labels give (m - 1) / (n - 1) on average.
    return {"share": share, "by_chance": (len(groups) - 1) / (len(v) - 1), "kds": len(v), "pathways": len(groups)}


def _paired(
    each: Sequence[Any], mean: Sequence[Any]
) -> tuple[FloatArray, FloatArray, tuple[str, ...], tuple[str, ...]]:
    """Return both estimators over KDs of the pairs that vary, [pairs, n], the pairs that do not, and the KDs."""
    left, right, dropped = [], [], []
    names, _ = common(
        {f"{side} {i}": rows(J, side) for side, Js in (("each", each), ("mean", mean)) for i, J in enumerate(Js)}
    )
    for one, other in zip(each, mean, strict=True):
        known = set(other["regulator"].values.tolist())
        pairs = [(str(r), str(t)) for r in one["regulator"].values for t in one["target"].values if str(r) in known]
        for regulator, target in pairs:
            both = [
                J.sel(kd=list(names), regulator=regulator, target=target).values.astype(float) for J in (one, other)
            ]
            if min(float(np.ptp(side)) for side in both) > 0:
                left.append(both[0])
                right.append(both[1])
            else:
                dropped.append(f"{regulator} on {target}")
    return np.array(left), np.array(right), tuple(dropped), names


def _unit(ranks: FloatArray) -> FloatArray:
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    unit: FloatArray = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit
