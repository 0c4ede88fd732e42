"""Rule P: two vectors over knockdowns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import axis_names, common, require_one_of, rows

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray

LEAST_KDS = 10


def vector_correlation(
    x: Any,
    y: Any,
    rng: np.random.Generator,
    *,
    method: Literal["pearson", "spearman"] = "spearman",
    shared: tuple[Any, Any] | None = None,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the correlation of two numbers per knockdown (KD).

    Null: KD labels of one vector are exchangeable. Where y is a weighted sum of features from which x was made too,
    that null is beaten by construction: the second null then permutes the weights over the features; p is the larger.
    The interval is the delete-one-KD jackknife with Student's t(n - 1).

    Parameters
    ----------
    x, y
        One number per KD, each (n,), matched by name.
    rng
        Draws the permutations.
    method
        "pearson" or "spearman" (ranked once); the other one stands in the diagnostics.
    shared
        Features of each KD, shape (n, f), and the weights, shape (f,), of which y = features @ weights.
    permutations, alternative
        Draws B, and the side of p.

    Raises
    ------
    InputError
        If a vector is constant, fewer than four KDs are shared, or y is not the weighted sum of the features.
    """
    nulls.check_draws(permutations)
    require_one_of(method, ("pearson", "spearman"), "method")
    X, Y = rows(x, "x", ndim=1), rows(y, "y", ndim=1)
    names, lacking = common({"x": X, "y": Y}, 4)
    u, v = X.take(names), Y.take(names)
    for where, vector in (("x", u), ("y", v)):
        if np.ptp(vector) <= 1e-12 * max(float(np.abs(vector).max()), 1e-300):
            raise InputError("a constant vector", "numbers that differ", where=where)
    prepare = _standard if method == "pearson" else _standard_ranks
    a, b, n = prepare(u), prepare(v), len(names)
    effect = float(a @ b)
    relabelled = rng.permuted(np.broadcast_to(b, (permutations, n)), axis=1)
    null = nulls.from_draws("KD labels of one vector", effect, relabelled @ a, alternative)
    least = max(null.least_p, min(1.0, (2 if alternative == "two-sided" else 1) / math.factorial(min(n, 20))))
    drawn = [replace(null, p=max(null.p, least), least_p=least)]
    if shared is not None:
        drawn.append(_feature_null(a, v, names, shared, prepare, effect, rng, permutations, alternative))
    without = without_each(a, b)
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    scales = {"pearson": _standard, "spearman": _standard_ranks}
    both = {name: float(scale(u) @ scale(v)) for name, scale in scales.items()}
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        max(one.p for one in drawn),
        alternative,
        tuple(drawn),
        intervals.minimum_detectable(max(se, drawn[0].sd), n - 1, alternative),
        LEAST_KDS,
        LEAST_KDS,
        dropped=lacking,
        diagnostics={"r": both, "jackknife_se": se, "leave_one_out": [float(without.min()), float(without.max())]},
        replicates=intervals.named(names, without),
    )


def _standard(v: FloatArray) -> FloatArray:
    """Centre and scale to length 1."""
    centred = v - v.mean()
    return centred / math.sqrt(float(centred @ centred))


def _standard_ranks(v: FloatArray) -> FloatArray:
    return _standard(stats.rankdata(v))


def without_each(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the correlation of centred unit vectors without each unit: deleting i leaves sums -a_i and 1 - a_i^2."""
    m = len(a) - 1
    cross, aa, bb = float(a @ b) - a * b - a * b / m, 1 - a**2 - a**2 / m, 1 - b**2 - b**2 / m
    return cross / np.sqrt(aa * bb)


def _feature_null(
    a: FloatArray,
    y: FloatArray,
    names: tuple[str, ...],
    shared: tuple[Any, Any],
    prepare: Any,
    effect: float,
    rng: np.random.Generator,
    permutations: int,
    alternative: Alternative,
) -> Any:
    features = rows(shared[0], "shared features", ndim=2)
    missing = sorted(set(names) - set(features.names))
    if missing:
        raise InputError(f"no features of {', '.join(missing[:5])}", "the KDs of x and y", where="shared")
    place = {name: i for i, name in enumerate(features.names)}
    F = features.values[[place[name] for name in names]]
    weights = rows(shared[1], "shared weights", ndim=1)
    columns = axis_names(shared[0], 1)
    if set(columns) != set(weights.names):
        raise InputError("weights of other features", "one weight per feature", where="shared")
    w = weights.take(columns)
    if not np.allclose(F @ w, y, rtol=1e-4, atol=1e-6 * float(np.abs(y).max())):
        raise InputError("y is not the weighted sum of the shared features", "y = features @ weights", where="shared")
    samples = np.array([a @ prepare(F @ rng.permutation(w)) for _ in range(permutations)])
    return nulls.from_draws("weights permuted over features", effect, samples, alternative)
