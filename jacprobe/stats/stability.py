"""Does routing coherence depend on which knockdowns are chosen, how many cells and which of them (NB09, NB10)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals
from jacprobe.stats.coherence import among, beside, coherence, extended, jackknifed_coherence
from jacprobe.stats.labels import square
from jacprobe.stats.matrices import matrix_correlation
from jacprobe.stats.ranks import LEAST_DRAWS
from jacprobe.stats.reproduction import draw_spread

if TYPE_CHECKING:
    from collections.abc import Sequence


# The four p of rule C cost most and are medians over lists, which few lists give as well as many.
TESTED = 5
LEAST_LISTS = 20


def coherence_over_lists(
    jacobians: Any,
    responses: Any,
    lists: Sequence[Sequence[str]],
    rng: np.random.Generator,
    norms: tuple[Any, Any] | None = None,
    untrained: tuple[Sequence[Any], Sequence[Any]] | None = None,
    *,
    permutations: int = 1999,
) -> Estimate:
    """Return the mean routing coherence over lists of knockdowns (KDs) drawn at random within clusters (rule C).

    Each of the four p is twice its median over the first five lists (Rueger 1978), valid however the lists overlap. The
    interval is the jackknife that leaves a KD out of every list at once.

    Parameters
    ----------
    jacobians, responses
        Cosines over all KDs that stand on a list, each (n, n).
    lists
        Names of each list.
    rng
        Draws the relabellings, list after list.
    norms
        Norms of the Jacobians and of the responses, each (n,).
    untrained
        Cosines of Jacobians and responses of every untrained copy.
    permutations
        Draws B of each null.

    Raises
    ------
    InputError
        If there is no list, or one has fewer than four known KDs.
    """
    if not lists:
        raise InputError("no lists", "at least one", where="lists")
    mean, without, each = _over_lists(jacobians, responses, lists)
    tested = [
        matrix_correlation(among(jacobians, names), among(responses, names), rng, norms, permutations=permutations)
        for names in lists[:TESTED]
    ]
    n = len(without)
    ci, ci90 = intervals.t_intervals(mean, intervals.jackknife_se(np.array(list(without.values()))), n - 1)
    each_p = {name: [one.diagnostics["p"][name] for one in tested] for name in tested[0].diagnostics["p"]}
    doubled = {name: min(1.0, 2 * float(np.median(found))) for name, found in each_p.items()}
    joint = tuple(_median(one.nulls[i] for one in tested) for i in range(len(tested[0].nulls)))
    shown, flags = beside((jacobians, responses), {"untrained": untrained}, coherence)
    spearman = [coherence(among(jacobians, names), among(responses, names), method="spearman") for names in lists]
    carried = [one.caution for one in tested if one.caution]
    estimate = replace(
        tested[0],
        effect=mean,
        n=n,
        ci=ci,
        ci90=ci90,
        p=max(doubled.values()),
        replicates=without,
        nulls=joint,
        caution=carried[0] if len(carried) > len(tested) / 2 else None,
        dropped=(),
        diagnostics={},
        flags=() if len(lists) >= LEAST_LISTS else (f"{len(lists)} lists",),
    )
    more = {"p": doubled, "per_list": each, "per_list_spearman": spearman, "lists": len(lists), "controls": shown}
    return extended(estimate, more, flags)


def selection_inflates(
    jacobians: Any,
    responses: Any,
    strongest: Sequence[str],
    lists: Sequence[Sequence[str]],
    rng: np.random.Generator,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the coherence over the strongest knockdowns (KDs) minus its mean over lists drawn at random.

    se^2 = se_KDs^2 + s_lists^2 / m: the jackknife leaves a KD out of every list at once, and m random lists stand for
    all. p is Student's, of the same.

    Parameters
    ----------
    jacobians, responses
        Cosines over all KDs on any list, each (n, n).
    strongest, lists
        Names of the list of the strongest, and of each random list.
    rng
        Not used.
    alternative
        The side of p.

    Raises
    ------
    EvidenceMissingError
        If there are fewer than two random lists.
    """
    if len(lists) < 2:
        raise EvidenceMissingError(f"{len(lists)} random lists", "at least 2, 20 for a verdict", where="lists")
    random, without_random, each = _over_lists(jacobians, responses, lists)
    top, without_top, _ = _over_lists(jacobians, responses, [strongest])
    names = sorted(set(without_random) | set(without_top))
    # A KD that is on none of the lists leaves their mean as it is.
    replicates = np.array([without_top.get(name, top) - without_random.get(name, random) for name in names])
    effect, n = top - random, len(names)
    se_lists = float(np.std(each, ddof=1)) / math.sqrt(len(lists))
    se = math.hypot(intervals.jackknife_se(replicates), se_lists)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    p = intervals.student_p(effect, se, n - 1, alternative)
    shared = len(set(strongest) & set(lists[0]))
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        alternative,
        (Null("no difference: Student's t of jackknife and lists", p, 0.0, se, 0, 0.0),),
        intervals.minimum_detectable(se, n - 1, alternative),
        least_n=LEAST_LISTS,
        least_n_null=LEAST_LISTS,
        diagnostics={
            "strongest": top,
            "random_mean": random,
            "per_list": each,
            "se_lists": se_lists,
            "shared_with_first_list": shared,
        },
        replicates=intervals.named(names, replicates),
    )


def coherence_of_more_cells(
    more: tuple[Sequence[Any], Sequence[Any]],
    fewer: tuple[Sequence[Any], Sequence[Any]],
    rng: np.random.Generator,  # noqa: ARG001 - every measure takes rng, used or not
) -> Estimate:
    """Return the coherence over larger sets of control cells minus that over smaller ones, paired by draw (rule N).

    Draw i of the smaller sets lies within draw i of the larger, and no two draws share a cell, so that the differences
    are independent; interval and p are Student's over draws.

    Parameters
    ----------
    more, fewer
        Cosines of the Jacobians and of the responses in every draw, each (n, n).
    rng
        Not used.

    Raises
    ------
    InputError
        If there are not as many draws of both sizes.
    EvidenceMissingError
        If there are fewer than three.
    """
    large, small = (np.array([coherence(a, b) for a, b in zip(*side, strict=True)]) for side in (more, fewer))
    R = len(large)
    if len(small) != R:
        raise InputError(f"{R} and {len(small)} draws", "as many of both sizes", where="draws")
    if R < 3:
        raise EvidenceMissingError(f"{R} control-cell draws", "at least 3", where="draws")
    difference = large - small
    effect, se = float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(R)
    ci, ci90 = intervals.t_intervals(effect, se, R - 1)
    p = intervals.student_p(effect, se, R - 1, "two-sided")
    return Estimate(
        effect,
        R,
        ci,
        ci90,
        p,
        "two-sided",
        (Null("no difference: Student's t over draws", p, 0.0, se, 0, 0.0),),
        intervals.minimum_detectable(se, R - 1, "two-sided"),
        LEAST_DRAWS,
        LEAST_DRAWS,
        diagnostics={"more_cells": large.tolist(), "fewer_cells": small.tolist()},
    )


def coherence_spread(rng: np.random.Generator, **models: tuple[Sequence[Any], Sequence[Any]]) -> Estimate:
    """Return the sd of the coherence over draws of control cells, of the model in which it is largest.

    Parameters
    ----------
    rng
        Not used.
    models
        Per model the cosines of the Jacobians and of the responses in every draw, each (n, n).
    """
    values = {name: [coherence(a, b) for a, b in zip(*draws, strict=True)] for name, draws in models.items()}
    spread = {name: draw_spread(np.array(each), rng) for name, each in values.items()}
    widest = max(spread, key=lambda name: spread[name].effect)
    return extended(spread[widest], {"values": values, "sd": {name: one.effect for name, one in spread.items()}})


def _over_lists(
    jacobians: Any, responses: Any, lists: Sequence[Sequence[str]]
) -> tuple[float, dict[str, float], list[float]]:
    """Return the mean coherence over lists, the same without each KD, and the coherence of each list."""
    known = set(square(jacobians).names) & set(square(responses).names)
    each, kept, without = [], [], []
    for names in lists:
        chosen = tuple(name for name in names if name in known)
        if len(chosen) < 4:
            raise InputError(f"a list of {len(chosen)} known KDs", "at least 4", where="lists")
        r, left, _ = jackknifed_coherence(jacobians, responses, (), "pearson", chosen)
        each.append(r)
        kept.append(chosen)
        without.append(left)
    replicates: dict[str, float] = {}
    for name in dict.fromkeys(name for names in kept for name in names):
        parts = [
            left[names.index(name)] if name in names else r for r, names, left in zip(each, kept, without, strict=True)
        ]
        replicates[name] = float(np.mean(parts))
    return float(np.mean(each)), replicates, each


def _median(found: Any) -> Null:
    """Return the null whose p is twice the median over lists, with the mean of their moments."""
    each = list(found)
    p = min(1.0, 2 * float(np.median([null.p for null in each])))
    mean, sd = (float(np.mean([getattr(null, name) for null in each])) for name in ("mean", "sd"))
    least = min(1.0, 2 * max(null.least_p for null in each))
    return replace(each[0], p=p, mean=mean, sd=sd, least_p=least)
