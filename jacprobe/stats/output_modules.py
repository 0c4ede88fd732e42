"""Outputs that move together: what they leave of the precision of a correlation over outputs (rule G)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.estimate import Estimate
from jacprobe.stats.clusterings import ward_labels
from jacprobe.stats.knockouts import THRESHOLD, summary
from jacprobe.stats.labels import rows
from jacprobe.stats.profiles import LEAST_UNITS, matched_profiles
from jacprobe.stats.ranks import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray

MODULES = 50
RESAMPLES = 400


def largest_correlation(
    a: Any, b: Any, rng: np.random.Generator, *, draws: Sequence[Any] | None = None, replicate: Any = None
) -> Estimate:
    """Return the largest r of any silenced gene, with the bound that holds for all of them at once (rule G).

    Per gene the mean over draws; se^2 = s^2 / R over draws + the variance under resampling of modules of outputs, which
    move together and are no independent outputs. The upper end is the largest upper bound, Bonferroni over genes; the
    lower end the largest lower bound of a single gene.

    Parameters
    ----------
    a, b
        Responses, each (silenced gene, gene), matched by name.
    rng
        Draws the modules.
    draws
        r of each silenced gene from several draws of control cells, each (gene,), or None.
    replicate
        r of the first model with another training of the same line, shape (gene,): the control. Or None.
    """
    names, _, x, y = matched_profiles(a, b, "spearman")
    r, spread, modules = over_modules(x, y, rng)
    se, df, n = spread, np.full(len(names), float(modules - 1)), len(names)
    if draws is not None and len(draws) > 1:
        table = np.array([rows(draw, "draws", ndim=1).take(names) for draw in draws])
        R, r = len(table), table.mean(axis=0)
        of_draws = table.var(axis=0, ddof=1) / R
        se = np.sqrt(spread**2 + of_draws)
        both = of_draws**2 / (R - 1) + spread**4 / (modules - 1)
        df = np.divide(se**4, both, out=df, where=both > 0)
    best, ends = int(np.argmax(r)), []
    for level in (0.95, 0.90):
        tail = (1 - level) / 2
        low = float((r - stats.t.ppf(1 - tail, df) * se).max())
        high = float((r + stats.t.ppf(1 - tail / n, df) * se).max())
        ends.append((low, high))
    above = int(np.count_nonzero(r > THRESHOLD))
    flags = () if draws is not None else ("one control-cell draw: the interval is over output modules only",)
    beside = {} if replicate is None else {"seed_replicate_largest": float(np.max(replicate.values))}
    return Estimate(
        float(r[best]),
        n,
        ends[0],
        ends[1],
        least_n=LEAST_UNITS,
        least_n_null=LEAST_UNITS,
        flags=flags,
        as_published={"nb04_summary": summary(r)},
        diagnostics={
            "gene": names[best],
            "modules": modules,
            "median_se": float(np.median(se)),
            "above_threshold": above,
            # One-sided 95 % is the upper end of the two-sided 90 % interval.
            "share_above_upper_bound": clopper_pearson(above, n, 0.90)[1],
            **beside,
        },
    )


def over_modules(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, int]:
    """Return each unit's r, its standard error under resampling of output modules, and the number of modules.

    `x`, `y` are centred profiles [genes, outputs]; a module is a cluster of outputs that respond alike in both models.
    """
    modules = max(2, min(MODULES, x.shape[1] // 4))
    labels = ward_labels(np.vstack([x, y]).T, modules) - 1
    picked = rng.integers(0, modules, (RESAMPLES, modules))
    counts = np.array([np.bincount(one, minlength=modules) for one in picked])
    w = counts[:, labels].astype(np.float64)
    total = w.sum(axis=1)[:, None]
    sums = {"x": w @ x.T, "y": w @ y.T, "xy": w @ (x * y).T, "xx": w @ (x * x).T, "yy": w @ (y * y).T}
    cross = sums["xy"] - sums["x"] * sums["y"] / total
    scale = (sums["xx"] - sums["x"] ** 2 / total) * (sums["yy"] - sums["y"] ** 2 / total)
    spread: FloatArray = (cross / np.sqrt(np.maximum(scale, 1e-300))).std(axis=0, ddof=1)
    return (x * y).sum(axis=1), spread, modules
