"""Routing coherence (NB05 to NB10): do knockdowns (KDs) with similar responses have similar Jacobians, and why.

A coherence is the correlation, over the pairs of KDs, of the cosines of their Jacobians with those of their responses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import intervals
from jacprobe.stats.coherence import beside, coherence, draw_ceiling, extended, jackknifed_coherence, ordered
from jacprobe.stats.labels import common, rows, square
from jacprobe.stats.learned import learned_contrast
from jacprobe.stats.matrices import (
    Method,
    Scale,
    matrix_correlation,
    matrix_correlation_difference,
    paired_jackknife,
)
from jacprobe.stats.multiplicity import intersection_union

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Copies = tuple[Sequence[Any], Sequence[Any]]


def routing_coherence(
    jacobians: Any,
    responses: Any,
    rng: np.random.Generator,
    norms: tuple[Any, Any] | None = None,
    draws: Copies | None = None,
    everyone: tuple[Any, Any] | None = None,
    *,
    method: Method = "pearson",
    scales: tuple[Scale, ...] = ("raw", "ranks"),
    alternative: Alternative = "greater",
    permutations: int = 9999,
    **controls: Copies | None,
) -> Estimate:
    """Return the coherence by rule C, with what noise lets through and what control copies show beside it.

    Parameters
    ----------
    jacobians, responses
        Cosines of the KDs' Jacobians and of their responses, each (n, n).
    rng
        Draws the relabellings.
    norms
        Norms of the Jacobians and of the responses, each (n,).
    draws
        Both cosines over disjoint draws of control cells, of KDs chosen by another rule perhaps: for the ceiling, and
        as a sensitivity.
    everyone
        Both cosines of KDs chosen by another rule, to show beside.
    method, scales, alternative, permutations
        As in `matrix_correlation`.
    controls
        Both cosines of every control copy, by the control's name; None where there are none.
    """
    ceiling = None if draws is None else draw_ceiling(*draws, method=method)
    estimate = matrix_correlation(
        jacobians,
        responses,
        rng,
        norms,
        method,
        permutations,
        alternative=alternative,
        scales=scales,
        ceiling=ceiling,
    )
    listed = {} if draws is None else {"over_kds_of_the_draws": coherence(draws[0][0], draws[1][0], method=method)}
    listed |= {} if everyone is None else {"over_other_kds": coherence(*everyone, method=method)}
    shown, flags = beside((jacobians, responses), controls, lambda a, b: coherence(a, b, method=method))
    return extended(estimate, {**listed, "controls": shown}, flags)


def coherence_learned(
    jacobians: Any,
    responses: Any,
    copies: Copies,
    rng: np.random.Generator,
    *,
    method: Method = "pearson",
    normal: bool = False,
) -> Estimate:
    """Return the trained model's coherence minus the mean coherence of copies with re-drawn weights (rule L).

    Over the KDs of the copies. Which KDs these are moves both sides alike: the standard error over KDs is that of the
    paired delete-one-KD jackknife of the difference; that over copies joins it.

    Parameters
    ----------
    jacobians, responses
        Cosines of the trained model, each (n, n).
    copies
        The same of every copy.
    rng
        Not used.
    method
        "pearson" or "spearman".
    normal
        As in `learned_contrast`: for few copies.
    """
    listed = rows(copies[0][0], "copies").names
    effect, without, n = jackknifed_coherence(jacobians, responses, (), method, listed)
    drawn = [
        jackknifed_coherence(a, b, (), method, listed) if ordered(a) and ordered(b) else (0.0, np.zeros(n), n)
        for a, b in zip(*copies, strict=True)
    ]
    known, _ = common({"jacobians": square(jacobians), "responses": square(responses)})
    names = [name for name in listed if name in set(known)]
    paired = without - np.mean([replicates for _, replicates, _ in drawn], axis=0)
    ci, ci90 = intervals.t_intervals(effect, intervals.jackknife_se(paired), n - 1)
    trained = Estimate(effect, n, ci, ci90, replicates=intervals.named(names, paired))
    estimate = learned_contrast(trained, [r for r, _, _ in drawn], rng, normal=normal)
    return extended(estimate, {"trained_over_all_kds": coherence(jacobians, responses, method=method)})


def coherence_beyond(
    jacobians: Any,
    responses: Any,
    given: Any,
    rng: np.random.Generator,
    norms: tuple[Any, Any] | None = None,
    untrained: tuple[Copies, Sequence[Any]] | None = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return the partial coherence given a third similarity of the same KDs, such as that of their vectors (rule C).

    Parameters
    ----------
    jacobians, responses, given
        Cosines, each (n, n).
    rng
        Draws the relabellings.
    norms
        Norms of the Jacobians and of the responses, each (n,).
    untrained
        Both cosines, and the third similarity, of every untrained copy.
    permutations
        Draws B of each null.
    """
    estimate = matrix_correlation(jacobians, responses, rng, norms, permutations=permutations, given=[given])
    controls = {} if untrained is None else {"untrained": (*untrained[0], untrained[1])}
    shown, flags = beside((jacobians, responses, given), controls, lambda a, b, c: coherence(a, b, [c]))
    plain = {
        "r_not_partial": coherence(jacobians, responses),
        "r_of_jacobians_with_given": coherence(jacobians, given),
        "r_of_responses_with_given": coherence(responses, given),
    }
    return extended(estimate, {**plain, "controls": shown}, flags)


def coherence_of_rivals(
    jacobians: Any,
    responses: Any,
    rival: Copies,
    rng: np.random.Generator,
    mean_shift: Copies | None = None,
    *,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Return the model's coherence minus that of a rival explanation of its responses, paired over KDs.

    A rival whose Jacobians are all alike has a coherence of 0: nothing in them goes with the responses.

    Parameters
    ----------
    jacobians, responses
        Cosines of the model, each (n, n).
    rival, mean_shift
        Both cosines of the rival, and of another one to show beside it: sequences of one copy.
    rng
        Not used.
    alternative
        The side of p.
    """
    (theirs,), (their_responses,) = rival
    if ordered(theirs):
        estimate = matrix_correlation_difference(
            jacobians, responses, theirs, their_responses, rng, alternative=alternative
        )
        flags: tuple[str, ...] = ()
    else:
        effect, without, _ = jackknifed_coherence(jacobians, responses, (), "pearson", None)
        names, lacking = common({"jacobians": square(jacobians), "responses": square(responses)})
        estimate = paired_jackknife(effect, without, names, alternative, lacking, {"r1": effect, "r2": 0.0})
        flags = ("the rival's Jacobians are all alike: its coherence is 0",)
    shown, _ = beside((jacobians, responses), {"mean_shift": mean_shift}, coherence)
    return extended(estimate, {"controls": shown}, flags)


def coherence_advantage(
    jacobians: Any,
    others: Any,
    responses: Any,
    rng: np.random.Generator,
    untrained: tuple[Copies, Sequence[Any]] | None = None,
) -> Estimate:
    """Return how much better Jacobians tell the responses than another kind of Jacobians does, paired over KDs.

    Parameters
    ----------
    jacobians, others, responses
        Cosines, each (n, n).
    rng
        Not used.
    untrained
        Cosines of Jacobians and responses, and of the other Jacobians, of every untrained copy.
    """
    estimate = matrix_correlation_difference(jacobians, responses, others, responses, rng)
    controls = {} if untrained is None else {"untrained": (*untrained[0], untrained[1])}
    shown, flags = beside(
        (jacobians, responses, others), controls, lambda a, b, c: coherence(a, b) - coherence(c, b), "the difference"
    )
    spearman = coherence(jacobians, responses, method="spearman") - coherence(others, responses, method="spearman")
    return extended(estimate, {"spearman_difference": spearman, "controls": shown}, flags)


def coherence_everywhere(
    jacobians: Mapping[str, Any],
    responses: Mapping[str, Any],
    norms: tuple[Mapping[str, Any], Mapping[str, Any]],
    rng: np.random.Generator,
    untrained: Copies | None = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return the coherence of the weakest of several models (rules C and B).

    Parameters
    ----------
    jacobians, responses
        Cosines of each model, each (n, n).
    norms
        Norms of the Jacobians and of the responses of each model, each (n,).
    rng
        Draws the relabellings, model after model.
    untrained
        Both cosines of every untrained copy of the first model.
    permutations
        Draws B of each null.
    """
    estimate = intersection_union(
        {
            role: matrix_correlation(
                jacobians[role], responses[role], rng, (norms[0][role], norms[1][role]), permutations=permutations
            )
            for role in jacobians
        }
    )
    first = next(iter(jacobians))
    shown, flags = beside((jacobians[first], responses[first]), {"untrained": untrained}, coherence)
    return extended(estimate, {"controls": shown}, flags)


def coherence_moved(
    jacobians: Mapping[str, Any],
    others: Mapping[str, Any],
    responses: Mapping[str, Any],
    rng: np.random.Generator,
) -> Estimate:
    """Return by how much another way to take Jacobians moves the coherence, in the model where it moves it least.

    |r_other - r| with the paired delete-one-KD jackknife; along the sign it has in each model.

    Parameters
    ----------
    jacobians, others, responses
        Cosines of each model, each (n, n).
    rng
        Not used.
    """
    moved = {}
    for role in jacobians:
        up = matrix_correlation_difference(others[role], responses[role], jacobians[role], responses[role], rng)
        down = matrix_correlation_difference(jacobians[role], responses[role], others[role], responses[role], rng)
        found = max(up, down, key=lambda part: part.effect)
        moved[role] = replace(found, diagnostics={"r": down.diagnostics["r1"], "r_other": up.diagnostics["r1"]})
    return intersection_union(moved)
