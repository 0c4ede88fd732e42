"""Intervals from jackknives, and the effect that a test could have seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

import numpy as np
from scipy import stats

from jacprobe.estimate import Alternative, Interval
from jacprobe.stats.labels import require_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray, IntArray


def t_intervals(effect: float, se: float, df: float) -> tuple[Interval, Interval]:
    """Return the two-sided 95 % and 90 % Student intervals of an effect."""
    out = []
    for level in (0.95, 0.90):
        half = float(stats.t.ppf(0.5 + level / 2, df)) * se
        out.append((effect - half, effect + half))
    return out[0], out[1]


def jackknife_se(replicates: FloatArray) -> float:
    """Return the delete-one jackknife standard error, sqrt((m - 1) / m * sum (theta_i - mean)^2) (Tukey 1958)."""
    m = len(replicates)
    return math.sqrt((m - 1) / m * float(np.square(replicates - replicates.mean()).sum()))


def named(names: Sequence[str], replicates: FloatArray) -> dict[str, float]:
    """Return delete-one replicates by the name of the unit that each leaves out."""
    return dict(zip(names, replicates.tolist(), strict=True))


def without_each_mean(values: FloatArray) -> FloatArray:
    """Return the mean of values without each of them: its jackknife is Student's standard error."""
    return (values.sum() - values) / (len(values) - 1)


def grouped_jackknife_se(effect: float, replicates: FloatArray, sizes: IntArray) -> float:
    """Return the delete-one-group jackknife standard error for groups of unequal size (Busing et al. 1999).

    Parameters
    ----------
    effect
        The statistic on all units.
    replicates
        The statistic without each group, shape (g,).
    sizes
        Units in each group, shape (g,).
    """
    h = sizes.sum() / sizes
    g = len(sizes)
    centre = g * effect - float(((1 - 1 / h) * replicates).sum())
    pseudo = h * effect - (h - 1) * replicates
    return math.sqrt(float((np.square(pseudo - centre) / (h - 1)).sum()) / g)


def student_p(effect: float, se: float, df: float, alternative: Alternative) -> float:
    """Return the Student p of an effect against 0; the least double where it underflows, so never 0."""
    require_one_of(alternative, get_args(Alternative), "alternative")
    t = effect / se if se > 0 else math.copysign(math.inf, effect) if effect else 0.0
    tail = {"greater": stats.t.sf(t, df), "less": stats.t.cdf(t, df), "two-sided": 2 * stats.t.sf(abs(t), df)}
    return min(1.0, max(float(tail[alternative]), float(np.finfo(float).tiny)))


def minimum_detectable(se: float, df: float, alternative: Alternative) -> float:
    """Return the effect found with 80 % power at the 5 % level, (t_critical + t_.80) * se (Bloom 1995)."""
    level = 0.975 if alternative == "two-sided" else 0.95
    return float(stats.t.ppf(level, df) + stats.t.ppf(0.80, df)) * se
