"""Measures of NB04: do two models answer the same silenced genes alike, and what else they share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals
from jacprobe.stats.contrasts import paired_contrast
from jacprobe.stats.labels import Labelled, common, rows
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.profiles import LEAST_UNITS, profile_agreement, share_anticorrelated
from jacprobe.stats.reproduction import reproduces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.stats.labels import FloatArray

THRESHOLD = 0.4  # what the publication asks of a circuit that both lines share


def line_agreement(
    a: Any,
    b: Any,
    rng: np.random.Generator,
    *,
    reliability: Sequence[Any] | None = None,
    replicate: Any = None,
    beyond_mismatched: bool = False,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the mean over silenced genes of Spearman's r between two models' responses (rule G).

    Parameters
    ----------
    a, b
        Responses, each (silenced gene, gene), matched by name.
    rng
        Draws the reassignments.
    reliability
        Per model the r of its responses between two draws of control cells, each (gene,): the ceiling. Or None.
    replicate
        r of the first model with another training of the same line, shape (gene,): the control. Or None.
    beyond_mismatched
        Effect = that of the same gene minus that of different genes. Each gene's own output, which any model with a
        residual lowers when the gene is silenced, is then put at the middle of its profile: copying is no agreement.
    permutations, alternative
        As in `profile_agreement`.
    """
    estimate = profile_agreement(
        _without_own_output(a) if beyond_mismatched else a,
        _without_own_output(b) if beyond_mismatched else b,
        rng,
        beyond_mismatched=beyond_mismatched,
        threshold=THRESHOLD,
        ceiling=None if reliability is None else ceiling(*reliability),
        permutations=permutations,
        alternative=alternative,
    )
    r = np.array(list(estimate.diagnostics["per_unit"].values()))
    flags = () if reliability is not None else ("one control-cell draw: no ceiling",)
    beside: dict[str, Any] = {}
    if replicate is not None:
        again = float(rows(replicate, "replicate", ndim=1).values.mean())
        beside["seed_replicate_mean"] = again
        flags = (*flags, f"two trainings of one line agree {again:.2f}")
    return replace(
        estimate,
        flags=estimate.flags + flags,
        as_published={"nb04_summary": summary(r)},
        diagnostics={**estimate.diagnostics, **beside},
    )


def agreement_reproduces(draws: Sequence[Any], published: str, rng: np.random.Generator) -> Estimate:
    """Return whether the mean r over silenced genes comes out as published (rule N).

    Parameters
    ----------
    draws
        r of each silenced gene from each draw of control cells, each (gene,).
    published
        The mean, as printed.
    rng
        Not used.
    """
    per_draw = [rows(draw, "draws", ndim=1).values for draw in draws]
    estimate = reproduces([float(r.mean()) for r in per_draw], published, rng)
    return replace(
        estimate,
        as_published={"nb04_summary": summary(per_draw[0])},
        diagnostics={**estimate.diagnostics, "means": [float(r.mean()) for r in per_draw]},
    )


def anticorrelated(a: Any, b: Any, rng: np.random.Generator, *, replicate: Any = None) -> Estimate:
    """Return the share of silenced genes that two models answer in opposite ways (rule G).

    Parameters
    ----------
    a, b
        Responses, each (silenced gene, gene).
    rng
        Not used.
    replicate
        Responses of another training of the first model's line, or None. Where that shows as large a share, the share
        does not speak of lines, which bars SUPPORTED.
    """
    estimate = share_anticorrelated(a, b, rng, threshold=THRESHOLD)
    if replicate is None:
        return estimate
    again = share_anticorrelated(a, replicate, rng, threshold=THRESHOLD)
    caution = None
    if estimate.effect > 0 and again.effect >= estimate.effect:
        caution = f"two trainings of one line show as many ({again.effect:.0%})"
    return replace(
        estimate, caution=caution, diagnostics={**estimate.diagnostics, "seed_replicate_share": again.effect}
    )


def reliable_everywhere(reliability: Mapping[str, Sequence[Any]], rng: np.random.Generator) -> Estimate:  # noqa: ARG001 - every measure takes rng, used or not
    """Return the mean over silenced genes of r between two draws of control cells, of the least reliable model.

    se^2 as in `share_moved`: over genes, and over pairs of draws.

    Parameters
    ----------
    reliability
        Per model r of each silenced gene, each (gene,), one for each pair of draws.
    rng
        Not used.
    """
    return intersection_union({role: _mean_over([pairs]) for role, pairs in reliability.items()})


def closer_within_line(
    within: Any, across: Any, reliability: Mapping[str, Any], rng: np.random.Generator, *, roles: Sequence[str]
) -> Estimate:
    """Return how much more two trainings of one line agree than models of two lines, each over its ceiling (G and L).

    Mean over silenced genes of r(first, replicate) / ceiling - r(first, other line) / ceiling, paired over genes.

    Parameters
    ----------
    within, across
        r of the first model with another training of its line, and with the other line's model, each (gene,).
    reliability
        r of each silenced gene between two draws of control cells, by model, each (gene,).
    rng
        Draws the signs.
    roles
        First model, its replicate and the other line's, as in `reliability`.
    """
    first, again, other = (reliability[role] for role in roles)
    ceilings = {"within": ceiling(first, again), "across": ceiling(first, other)}
    estimate = paired_contrast(_over(within, ceilings["within"]), _over(across, ceilings["across"]), rng)
    return replace(estimate, diagnostics={**estimate.diagnostics, "ceilings": ceilings})


def share_moved(across: Sequence[Any], within: Sequence[Any], rng: np.random.Generator) -> Estimate:  # noqa: ARG001 - every measure takes rng, used or not
    """Return 1 - mean r of one model's responses on two lines' cells over that on two draws of one line's.

    se^2 is that over silenced genes, paired, plus that over draws: whatever a draw of cells does, it does to all genes.
    Degrees of freedom Welch and Satterthwaite's (1946), p Student's.

    Parameters
    ----------
    across
        r of each silenced gene between the model's responses on its own and on the other line's cells, each (gene,),
        one for each draw of both.
    within
        The same between two draws of its own line's cells, one for each pair of draws: the ceiling.
    rng
        Not used.
    """
    top = float(np.mean([np.mean(rows(r, "within", ndim=1).values) for r in within]))
    estimate = _mean_over([within, across], top)
    flags = (
        () if min(len(within), len(across)) > 1 else ("one control-cell draw: what it does to all genes is unknown",)
    )
    shown = {"mean_r_across_cells": top * (1 - estimate.effect), "ceiling": top}
    return replace(estimate, flags=flags, diagnostics={**estimate.diagnostics, **shown})


def ceiling(first: Any, second: Any) -> float:
    """Return the highest mean r that two models' own noise lets through, mean over genes of sqrt(r_first r_second).

    Parameters
    ----------
    first, second
        r of each model's responses between two draws of control cells, each (gene,).

    Raises
    ------
    InputError
        If no gene's response is reliable: there is no ceiling then.
    """
    sides = {"first": rows(first, "first", ndim=1), "second": rows(second, "second", ndim=1)}
    names, _ = common(sides)
    x, y = (np.clip(side.take(names), 0.0, 1.0) for side in sides.values())
    found = float(np.sqrt(x * y).mean())
    if found <= 0:
        raise InputError("responses that do not repeat between draws", "a reliability above 0", where="ceiling")
    return found


def summary(r: FloatArray) -> dict[str, float]:
    """Return what was published of the correlations: mean, median, sd, range and counts without any test."""
    return {
        "mean": float(r.mean()),
        "median": float(np.median(r)),
        "sd": float(r.std()),
        "least": float(r.min()),
        "largest": float(r.max()),
        "above_0.4": int(np.count_nonzero(r > 0.4)),
        "above_0.6": int(np.count_nonzero(r > 0.6)),
        "negative": int(np.count_nonzero(r < 0)),
        "of": len(r),
    }


def _without_own_output(responses: Any) -> Any:
    """Return responses with each silenced gene's own output at its profile's median; without names as they are."""
    if not hasattr(responses, "dims"):
        return responses
    changed = responses.copy(deep=True)
    silenced, outputs = (changed[dim].values.astype(str) for dim in changed.dims)
    place = {gene: j for j, gene in enumerate(outputs)}
    own = [(i, place[gene]) for i, gene in enumerate(silenced) if gene in place]
    medians = np.median(changed.values, axis=1)
    for i, j in own:
        changed.values[i, j] = medians[i]
    return changed


def _mean_over(groups: Sequence[Sequence[Any]], scale: float = 1.0) -> Estimate:
    """Return the mean of the first group of vectors over genes, minus that of a second, over draws and in a unit."""
    sides = {(g, i): rows(r, "r", ndim=1) for g, group in enumerate(groups) for i, r in enumerate(group)}
    names, lacking = common({f"{g}, {i}": side for (g, i), side in sides.items()})
    tables = [np.array([sides[g, i].take(names) for i in range(len(group))]) for g, group in enumerate(groups)]
    n, per_gene = len(names), tables[0].mean(axis=0) / scale
    if len(tables) > 1:
        per_gene = per_gene - tables[1].mean(axis=0) / scale
    parts = [(float(per_gene.var(ddof=1)) / n, n - 1)]
    parts += [(float(T.mean(axis=1).var(ddof=1)) / len(T) / scale**2, len(T) - 1) for T in tables if len(T) > 1]
    variance = sum(v for v, _ in parts)
    df = variance**2 / sum(v**2 / d for v, d in parts) if variance > 0 else float(n - 1)
    effect, se = float(per_gene.mean()), float(np.sqrt(variance))
    ci, ci90 = intervals.t_intervals(effect, se, df)
    p = intervals.student_p(effect, se, df, "greater")
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        "greater",
        (Null("zero on average: Student's t over genes and draws", p, 0.0, se, 0, 0.0),),
        intervals.minimum_detectable(se, df, "greater"),
        LEAST_UNITS,
        LEAST_UNITS,
        dropped=lacking,
        diagnostics={"draws": [len(T) for T in tables], "df": df},
        replicates=intervals.named(names, intervals.without_each_mean(per_gene)),
    )


def _over(r: Any, scale: float) -> Labelled:
    vector = rows(r, "r", ndim=1)
    return Labelled(vector.values / scale, vector.names)
