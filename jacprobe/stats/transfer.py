"""Measures of NB06 on responses: does a model without HepG2's knockdowns predict what one with them predicts.

They are made of r: for each knockdown (KD) the correlation over genes of its responses in two models.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats.coherence import extended
from jacprobe.stats.contrasts import paired_contrast, vector_contrast
from jacprobe.stats.intervals import student_p, t_intervals
from jacprobe.stats.labels import Labelled, locate, rows
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.output_modules import over_modules
from jacprobe.stats.profiles import matched_profiles, share_below
from jacprobe.stats.ranks import percentile_rank
from jacprobe.stats.reproduction import reproduces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray

THRESHOLD = 0.4  # below it the publication sees no shared circuit


def agreement_reproduces(draws: Sequence[Any], published: str, rng: np.random.Generator) -> Estimate:
    """Return whether the mean r over KDs comes out as published (rule N).

    Parameters
    ----------
    draws
        r of each KD from each draw of control cells, each (n,).
    published
        The mean, as printed.
    rng
        Not used.
    """
    values = [rows(draw, "draws", ndim=1).values for draw in draws]
    estimate = reproduces([float(r.mean()) for r in values], published, rng)
    return replace(estimate, as_published={"nb06_summary": summary(values[0])})


def responses_diverge(
    r: Any, rng: np.random.Generator, replicate: Any = None, ceiling: Any = None, *, threshold: float = THRESHOLD
) -> Estimate:
    """Return the share of KDs whose r is below a threshold (rule G).

    Parameters
    ----------
    r
        r of each KD between the two models, shape (n,).
    rng
        Not used.
    replicate
        The same between two trainings of the first model. Where as many are below, the share does not speak of what the
        second model lacks, which bars SUPPORTED.
    ceiling
        The same of the first model between two draws of control cells.
    threshold
        What counts as diverging.
    """
    values = rows(r, "r", ndim=1)
    estimate = share_below(values, threshold, rng)
    shown: dict[str, Any] = {}
    caution = None
    if replicate is not None:
        shown["seed_replicate_share"] = share_below(replicate, threshold).effect
        if shown["seed_replicate_share"] >= estimate.effect:
            caution = f"two trainings of one model diverge as often ({shown['seed_replicate_share']:.0%})"
    if ceiling is not None:
        shown["other_draw_share"] = share_below(ceiling, threshold).effect
    return extended(replace(estimate, caution=caution, as_published={"nb06_summary": summary(values.values)}), shown)


def below_training_seed(within: Any, across: Any, rng: np.random.Generator, again: Any = None) -> Estimate:
    """Return how much more two trainings of one model agree than it does with another, mean over KDs (rules G and L).

    Parameters
    ----------
    within
        r of each KD between two trainings of the first model, shape (n,).
    across
        r of each KD between the first and the second model.
    rng
        Draws the signs.
    again
        r between the other training of the first model and the second, to stand beside: it should tell the same.
    """
    estimate = paired_contrast(within, across, rng)
    if again is None:
        return estimate
    other = paired_contrast(within, again, rng)
    flags = (f"by the other training it is {other.effect:.3f}",) if other.effect <= 0 else ()
    return extended(estimate, {"by_the_other_training": other.effect}, flags)


def set_transfers(
    r: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    norms: Any = None,
    replicate: Any = None,
    *,
    least: bool = False,
) -> Estimate:
    """Return how much larger the mean r of a set is than that of all other KDs, or how much smaller (rule E).

    Parameters
    ----------
    r
        r of each KD between the two models, shape (n,).
    members
        The set.
    rng
        Draws random sets, and sets matched on the size of the response.
    norms
        Size of each KD's response, shape (n,): what is strong agrees better.
    replicate
        The same between two trainings of the first model: a set that stands out there too is easy, or hard, to predict.
    least
        Effect = others minus members.
    """
    sign = -1.0 if least else 1.0

    def contrast(one: Any, matched: Any) -> Estimate:
        vector = rows(one, "r", ndim=1)
        return vector_contrast(Labelled(sign * vector.values, vector.names), members, rng, magnitudes=matched)

    estimate = contrast(r, norms)
    shown: dict[str, Any] = {key: sign * estimate.diagnostics[key] for key in ("mean_members", "mean_others")}
    flags = ()
    if replicate is not None:
        again = contrast(replicate, None)
        shown["seed_replicate_effect"] = again.effect
        if estimate.effect > 0 and again.effect >= estimate.effect:
            flags = (f"two trainings of one model show it as strongly ({again.effect:.2f})",)
    return extended(estimate, shown, flags)


def named_lead(draws: Sequence[Any], rng: np.random.Generator, *, names: Sequence[str]) -> Estimate:
    """Return the worst place among several KDs when all are ordered by r, rank / n (rule F).

    Parameters
    ----------
    draws
        r of each KD from each draw of control cells, each (n,).
    rng
        Not used.
    names
        The KDs.

    Raises
    ------
    EvidenceMissingError
        If one of them is not there.
    """
    vectors = [rows(draw, "draws", ndim=1) for draw in draws]
    everyone = vectors[0].names
    _every(names, everyone)
    table = Labelled(np.stack([vector.take(everyone) for vector in vectors]), everyone)
    estimate = percentile_rank(vectors[0], list(names), table if len(vectors) > 1 else None, rng)
    order = np.argsort(-table.values.mean(axis=0))
    return extended(estimate, {"leading": [everyone[i] for i in order[:15]]})


def named_agreement(
    a: Any,
    b: Any,
    draws: Sequence[Any],
    rng: np.random.Generator,
    replicate: Any = None,
    *,
    names: Sequence[str],
    alternative: Alternative = "less",
) -> Estimate:
    """Return the largest r among several KDs (rule G); for "two-sided" of one KD.

    Per KD the mean over draws of control cells, with se^2 = s^2 / R + the variance under resampling of modules of
    outputs: genes move together and are no independent units. That all are below 0 is an intersection-union.

    Parameters
    ----------
    a, b
        Responses in the two models, each (n, gene): modules are clusters of outputs over all KDs.
    draws
        r of each KD from each draw, each (n,).
    rng
        Draws modules.
    replicate
        r of each KD between two trainings of the first model. Where it is not above 0, unlike or opposite responses
        do not speak of the second model: flagged, and SUPPORTED barred for "less".
    names
        The KDs.
    alternative
        The side of p.

    Raises
    ------
    EvidenceMissingError
        If a KD is not there.
    """
    everyone, _, x, y = matched_profiles(a, b, "pearson")
    _every(names, everyone)
    _, spread, modules = over_modules(x, y, rng)
    values = np.stack([rows(draw, "draws", ndim=1).take(everyone) for draw in draws])
    parts = {
        name: _over_draws(values[:, i], float(spread[i]), modules, alternative)
        for name in names
        for i in [everyone.index(name)]
    }
    estimate = intersection_union(parts) if len(parts) > 1 else next(iter(parts.values()))
    means = values.mean(axis=0)
    order = np.argsort(means)
    shown: dict[str, Any] = {
        "r": {name: part.effect for name, part in parts.items()},
        "rank_from_below": {name: int(np.count_nonzero(means < part.effect) + 1) for name, part in parts.items()},
        "least": {everyone[i]: float(means[i]) for i in order[:10]},
        "draws": len(values),
        "modules": modules,
    }
    if len(values) == 1:
        shown["interval"] = "over output modules only"
        estimate = replace(estimate, flags=(*estimate.flags, "one control-cell draw: the interval is over modules"))
    if replicate is None:
        return extended(estimate, shown)
    again = rows(replicate, "replicate", ndim=1)
    found = dict(zip(names, again.take(list(names)).tolist(), strict=True))
    shown["seed_replicate_r"] = found
    unlike = [name for name, r in found.items() if r <= 0]
    if not unlike:
        return extended(estimate, shown)
    said = f"two trainings of one model do not agree on {', '.join(unlike)} either"
    if alternative == "less":
        return extended(replace(estimate, caution=said), shown)
    return extended(estimate, shown, (said,))


def summary(r: FloatArray) -> dict[str, float]:
    """Return what was published of the correlations, without a test."""
    return {
        "mean": float(r.mean()),
        "median": float(np.median(r)),
        "sd": float(r.std()),
        "least": float(r.min()),
        "quarter": float(np.quantile(r, 0.25)),
        "above_0.5": float(np.mean(r > 0.5)),
        "above_0.3": float(np.mean(r > 0.3)),
        "below_0": float(np.mean(r < 0)),
        "of": len(r),
    }


def _every(names: Sequence[str], everyone: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in everyone]
    if missing:
        raise EvidenceMissingError(f"no knockdown of {', '.join(missing)}", "all that the claim names", where="names")
    locate(names, everyone, len(names), "names")


def _over_draws(r: FloatArray, spread: float, modules: int, alternative: Alternative) -> Estimate:
    R, effect = len(r), float(r.mean())
    of_draws = float(r.var(ddof=1)) / R if R > 1 else 0.0
    se = math.sqrt(of_draws + spread**2)
    df = se**4 / ((of_draws**2 / (R - 1) if R > 1 else 0.0) + spread**4 / (modules - 1))
    ci, ci90 = t_intervals(effect, se, df)
    mde = float(stats.t.ppf(0.95, df) + stats.t.ppf(0.8, df)) * se
    return Estimate(effect, modules, ci, ci90, student_p(effect, se, df, alternative), alternative, mde=mde)
