"""Multiplicity: adjusted p within a family, and claims over several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate, Interval

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray


def holm(
    p: Sequence[float],
    size: int | None = None,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every function of the rules takes rng, used or not
) -> FloatArray:
    """Return Holm's step-down adjusted p (Holm 1979).

    Parameters
    ----------
    p
        The family's p, shape (m,).
    size
        Size of the family where members have no p (NOT EVALUATED): they count as p = 1.
    rng
        Not used.

    Raises
    ------
    InputError
        If a p is not in (0, 1], or `size` is smaller than the number of p.
    """
    # Not statsmodels' multipletests: it collects garbage on every call (80 ms) and takes two seconds to import.
    values, padded = _padded(p, size, "holm")
    order = np.argsort(padded)
    steps = np.maximum.accumulate(padded[order] * np.arange(len(padded), 0, -1))
    adjusted = np.empty_like(padded)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted[: len(values)]


def bh(
    p: Sequence[float],
    size: int | None = None,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every function of the rules takes rng, used or not
) -> FloatArray:
    """Return p adjusted for the false discovery rate under independence (Benjamini & Hochberg 1995); see `holm`."""
    values, padded = _padded(p, size, "bh")
    return stats.false_discovery_control(padded, method="bh")[: len(values)]


def by(
    p: Sequence[float],
    size: int | None = None,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every function of the rules takes rng, used or not
) -> FloatArray:
    """Return p adjusted for the false discovery rate under any dependence (Benjamini & Yekutieli 2001); see `holm`."""
    values, padded = _padded(p, size, "by")
    return stats.false_discovery_control(padded, method="by")[: len(values)]


def _padded(p: Sequence[float], size: int | None, where: str) -> tuple[FloatArray, FloatArray]:
    values = np.asarray(p, dtype=np.float64)
    size = len(values) if size is None else size
    if values.ndim != 1 or len(values) == 0 or not ((values > 0) & (values <= 1)).all():
        raise InputError(f"p = {values.tolist()}", "a list of 0 < p <= 1", where=where)
    if size < len(values):
        raise InputError(f"a family of {size}", f"at least the {len(values)} p given", where=where)
    return values, np.concatenate([values, np.ones(size - len(values))])


def intersection_union(
    estimates: Mapping[str, Estimate],
    claim: Literal["everywhere", "nowhere"] = "everywhere",
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every function of the rules takes rng, used or not
) -> Estimate:
    """Join the estimates of several models into the one that a claim over all of them is judged by.

    `everywhere` ("it holds in every model") is an intersection-union test (Berger 1982): p is the largest, the effect
    the weakest. `nowhere` ("it is elevated in none") takes the strongest effect, and the smallest p times their number.
    The bound that must hold in every model is the outermost one as it stands; the other bound, which any one model
    could fake by chance, has its half-width stretched by z(1 - .05 / m) / z(.95) (Bonferroni).

    Parameters
    ----------
    estimates
        Per model, all with one alternative, "greater" or "less".
    claim
        What is said of the models.
    rng
        Not used.

    Raises
    ------
    InputError
        On no estimate, mixed or two-sided alternatives, or a missing p or interval.
    """
    if not estimates:
        raise InputError("no estimate", "one per model", where="intersection_union")
    parts = list(estimates.values())
    sides = {part.alternative for part in parts}
    if len(sides) > 1 or "two-sided" in sides:
        raise InputError(f"alternatives {sorted(sides)}", "one side, shared by all models", where="intersection_union")
    if any(part.p is None or part.ci is None or part.ci90 is None for part in parts):
        raise InputError("an estimate without p or interval", "both", where="intersection_union")
    sign = 1 if parts[0].alternative == "greater" else -1
    # Along the claimed side the weakest model is the smallest value, the strongest the largest.
    outermost = np.argmin if claim == "everywhere" else np.argmax
    decisive = parts[int(outermost([sign * part.effect for part in parts]))]
    p_values = [part.p for part in parts if part.p is not None]
    p = max(p_values) if claim == "everywhere" else min(1.0, len(parts) * min(p_values))
    judged = max(parts, key=lambda part: part.p or 0) if claim == "everywhere" else min(parts, key=lambda q: q.p or 0)
    cautions = [f"{name}: {part.caution}" for name, part in estimates.items() if part.caution]
    return replace(
        decisive,
        n=min(part.n for part in parts),
        ci=_joint(parts, "ci", sign, claim),
        ci90=_joint(parts, "ci90", sign, claim),
        p=p,
        nulls=judged.nulls,
        mde=max((part.mde for part in parts if part.mde is not None), default=None),
        least_n=max(part.least_n for part in parts),
        least_n_null=max(part.least_n_null for part in parts),
        caution="; ".join(cautions) or None,
        dropped=tuple(f"{name}: {unit}" for name, part in estimates.items() for unit in part.dropped),
        flags=tuple(f"{name}: {flag}" for name, part in estimates.items() for flag in part.flags),
        as_published={name: dict(part.as_published) for name, part in estimates.items() if part.as_published},
        diagnostics={
            "models": {
                name: {"effect": q.effect, "ci": q.ci, "p": q.p, "n": q.n, **q.diagnostics}
                for name, q in estimates.items()
            }
        },
    )


def _joint(parts: list[Estimate], which: str, sign: int, claim: str) -> Interval:
    stretch = float(stats.norm.ppf(1 - 0.05 / len(parts)) / stats.norm.ppf(0.95))
    low, high = [], []
    for part in parts:
        ends = sorted(sign * end for end in getattr(part, which))
        centre = sign * part.effect
        if claim == "everywhere":
            low.append(ends[0])
            high.append(centre + stretch * (ends[1] - centre))
        else:
            low.append(centre - stretch * (centre - ends[0]))
            high.append(ends[1])
    pick = min if claim == "everywhere" else max
    bounds = sorted((sign * pick(low), sign * pick(high)))
    return bounds[0], bounds[1]
