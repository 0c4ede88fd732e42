"""One number per knockdown: does a set differ from the others, or one column from another."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import intervals, nulls
from jacprobe.stats.clustered import beyond_clusters
from jacprobe.stats.labels import Labelled, axis_names, common, locate, rows

if TYPE_CHECKING:
    from jacprobe.estimate import Interval
    from jacprobe.stats.labels import FloatArray, IntArray

LEAST_MEMBERS = 3
LEAST_PAIRS = 5
LEAST_AGAINST_CONTROLS = 5
# Up to this many labellings all are taken, so that p is exact.
_ENUMERATE = 50_000


def vector_contrast(
    values: Any,
    members: Any,
    rng: np.random.Generator,
    *,
    controls: Any = None,
    magnitudes: Any = None,
    clusters: Any = None,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the mean of a set of knockdowns (KDs) minus the mean of all others, or of named controls.

    Against all others: random sets of k KDs and, with `magnitudes`, sets matched on deciles of log magnitude, what the
    deciles leave being taken out by linear regression; p is the larger. Against controls: all relabellings of the KDs
    concerned, and with fewer than five on either side no verdict that there is nothing. The interval is the wider of
    Student's with pooled variance, which a skewed set of four cannot upset, and Welch's, which a set more variable than
    the rest cannot.

    Parameters
    ----------
    values
        One number per KD, shape (n,).
    members
        The set; unknown names are dropped and named.
    rng
        Draws the sets.
    controls
        Names to compare with instead of all other KDs.
    magnitudes
        Response magnitude of each KD, shape (n,), matched by name.
    clusters
        Response cluster of each KD, by name: p and interval then allow for clusters that differ at random
        (`beyond_clusters`), as they must for a set that stands in one cluster.
    permutations
        Draws B.
    alternative
        The side of p.

    Raises
    ------
    InputError
        If a KD is both member and control, or magnitudes are missing or not positive.
    EvidenceMissingError
        If fewer than two members, or controls, are known.
    """
    nulls.check_draws(permutations)
    vector = rows(values, "values", ndim=1)
    found = locate(members, vector.names, 2)
    unknown = found.unknown
    if controls is None:
        others = np.setdiff1d(np.arange(len(vector.names)), found.index)
    else:
        against = locate(controls, vector.names, 2, "controls")
        others, unknown = against.index, unknown + against.unknown
        if overlap := set(found.names) & set(against.names):
            raise InputError(f"{', '.join(sorted(overlap))} as member and control", "disjoint sets", where="controls")
    if len(others) < 2:
        raise EvidenceMissingError(f"{len(others)} other KDs", "at least 2", where="members")
    x, y = vector.values[found.index], vector.values[others]
    effect, k = float(x.mean() - y.mean()), len(x)
    too_few = controls is not None and min(k, len(y)) < LEAST_AGAINST_CONTROLS
    pooled = np.concatenate([x, y])
    if controls is None:
        sets = nulls.random_subsets(rng, len(pooled), k, permutations)
        drawn = [nulls.from_draws(f"random sets of {k} KDs", effect, _contrast(pooled, sets), alternative)]
        if magnitudes is not None:
            log_size = _log_magnitudes(magnitudes, vector)[np.concatenate([found.index, others])]
            drawn.append(_matched(pooled, log_size, k, effect, rng, permutations, alternative))
    else:
        drawn = [_relabelled(pooled, k, effect, rng, permutations, alternative)]
    ci, ci90, se, df = _intervals(x, y, effect)
    estimate = Estimate(
        effect,
        k,
        ci,
        ci90,
        max(null.p for null in drawn),
        alternative,
        tuple(drawn),
        intervals.minimum_detectable(max(se, drawn[0].sd), df, alternative),
        LEAST_MEMBERS,
        k + 1 if too_few else LEAST_MEMBERS,
        dropped=unknown,
        flags=found.flags,
        diagnostics={
            "members": list(found.names),
            "mean_members": float(x.mean()),
            "mean_others": float(y.mean()),
            "others": len(y),
        },
    )
    return estimate if clusters is None else beyond_clusters(estimate, vector, found.index, others, clusters)


def panel_contrast(
    J: Any,
    pathway: Any,
    rng: np.random.Generator,
    *,
    controls: Any = None,
    absolute: bool = True,
    relative: bool = True,
    magnitudes: Any = None,
    clusters: Any = None,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return how much larger a panel's targeted Jacobian is under the pathway's knockdowns (KDs) than under all others.

    Per KD the mean over (regulator, target) pairs, blocked by leaving out what is 0 under every KD; the unit is the KD.
    The contrast itself is `vector_contrast`.

    Parameters
    ----------
    J
        dY[target] / dX[regulator], shape (kd, regulator, target) or (kd, pair).
    pathway
        The pathway's KDs.
    rng
        Draws the sets.
    controls
        Control KDs instead of all others: few labellings, so p has a floor that the verdict respects.
    absolute
        Mean of |J|, else of signed J.
    relative
        In units of the mean over all KDs of |J|.
    magnitudes, clusters, permutations, alternative
        As in `vector_contrast`.

    Returns
    -------
    Estimate
        Dead targets stand among the dropped, as `target NAME`.

    Raises
    ------
    InputError
        If J has other axes, or is 0 everywhere.
    EvidenceMissingError
        If fewer than two KDs of the pathway are known.
    """
    panel = rows(J, "J")
    if panel.values.ndim not in (2, 3):
        raise InputError(f"J with {panel.values.ndim} axes", "(kd, regulator, target) or (kd, pair)", where="J")
    dead = ~np.any(panel.values != 0, axis=tuple(range(panel.values.ndim - 1)))
    if dead.all():
        raise InputError("a panel that is 0 under every KD", "a target that responds", where="J")
    live = panel.values[..., ~dead].reshape(len(panel.names), -1)
    scale = float(np.abs(live).mean()) if relative else 1.0
    per_kd = (np.abs(live) if absolute else live).mean(axis=1) / scale
    estimate = vector_contrast(
        Labelled(per_kd, panel.names), pathway, rng,
        controls=controls, magnitudes=magnitudes, clusters=clusters,
        permutations=permutations, alternative=alternative,
    )  # fmt: skip
    targets = axis_names(J, panel.values.ndim - 1)
    dropped = tuple(f"target {targets[i]}" for i in np.flatnonzero(dead))
    return replace(
        estimate,
        dropped=estimate.dropped + dropped,
        diagnostics={**estimate.diagnostics, "all_kd_mean": float(np.abs(live).mean()), "pairs": live.shape[1]},
    )


def paired_contrast(
    x: Any,
    y: Any,
    rng: np.random.Generator,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the mean over units of x - y, matched by name.

    Null: the sign of each unit's difference is arbitrary. The interval is Student's t over units.

    Parameters
    ----------
    x, y
        One number per unit (knockdown, silenced gene, control-cell draw), each (n,).
    rng
        Draws the signs.
    permutations, alternative
        Draws B, and the side of p.

    Raises
    ------
    InputError
        If fewer than three units are shared.
    """
    nulls.check_draws(permutations)
    X, Y = rows(x, "x", ndim=1), rows(y, "y", ndim=1)
    names, lacking = common({"x": X, "y": Y})
    difference = X.take(names) - Y.take(names)
    n, effect = len(names), float(difference.mean())
    signs = rng.integers(0, 2, (permutations, n), dtype=np.int8) * 2 - 1
    null = nulls.from_draws("signs of the units' differences", effect, signs @ difference / n, alternative)
    least = max(null.least_p, min(1.0, (2 if alternative == "two-sided" else 1) / 2.0 ** min(n, 60)))
    null = replace(null, p=max(null.p, least), least_p=least)
    se = float(difference.std(ddof=1)) / math.sqrt(n)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    mde = intervals.minimum_detectable(max(se, null.sd), n - 1, alternative)
    means = {"mean_x": float(X.take(names).mean()), "mean_y": float(Y.take(names).mean())}
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        null.p,
        alternative,
        (null,),
        mde,
        LEAST_PAIRS,
        LEAST_PAIRS,
        dropped=lacking,
        diagnostics=means,
        replicates=intervals.named(names, intervals.without_each_mean(difference)),
    )


def _contrast(pooled: FloatArray, sets: IntArray) -> FloatArray:
    """Return mean inside minus mean outside of each set."""
    k, n = sets.shape[1], len(pooled)
    inside = pooled[sets].sum(axis=1)
    return inside / k - (pooled.sum() - inside) / (n - k)


def _matched(
    pooled: FloatArray,
    log_size: FloatArray,
    k: int,
    effect: float,
    rng: np.random.Generator,
    permutations: int,
    alternative: Alternative,
) -> Any:
    bins = int(np.clip(len(pooled) // 20, 2, 10))
    sets = nulls.matched_subsets(rng, nulls.quantile_strata([log_size], bins), np.arange(k), permutations)
    slope = np.polyfit(log_size, pooled, 1)
    left = pooled - np.polyval(slope, log_size)
    explained = effect - float(_contrast(left, np.arange(k)[None])[0])
    name = f"random sets of {k} KDs matched on log magnitude ({bins} quantile bins, rest by regression)"
    return nulls.from_draws(name, effect, _contrast(left, sets) + explained, alternative)


def _relabelled(
    pooled: FloatArray, k: int, effect: float, rng: np.random.Generator, permutations: int, alternative: Alternative
) -> Any:
    n = len(pooled)
    if math.comb(n, k) <= _ENUMERATE:
        every = np.array(list(combinations(range(n), k)), dtype=np.intp)
        return nulls.from_all(
            f"all {len(every)} relabellings of {n} KDs", effect, _contrast(pooled, every), alternative
        )
    sets = nulls.random_subsets(rng, n, k, permutations)
    return nulls.from_draws(f"relabellings of {n} KDs", effect, _contrast(pooled, sets), alternative)


def _intervals(x: FloatArray, y: FloatArray, effect: float) -> tuple[Interval, Interval, float, float]:
    k, m = len(x), len(y)
    vx, vy = float(x.var(ddof=1)) / k, float(y.var(ddof=1)) / m
    welch = math.sqrt(vx + vy)
    df = (vx + vy) ** 2 / (vx**2 / (k - 1) + vy**2 / (m - 1)) if welch > 0 else float(k + m - 2)
    variance = ((k - 1) * x.var(ddof=1) + (m - 1) * y.var(ddof=1)) / (k + m - 2)
    pooled = math.sqrt(float(variance) * (1 / k + 1 / m))
    out = []
    for level in (0.95, 0.90):
        q = 0.5 + level / 2
        half = float(max(stats.t.ppf(q, df) * welch, stats.t.ppf(q, k + m - 2) * pooled))
        out.append((effect - half, effect + half))
    return out[0], out[1], max(welch, pooled), df


def _log_magnitudes(magnitudes: Any, vector: Labelled) -> FloatArray:
    given = rows(magnitudes, "magnitudes", ndim=1)
    missing = [name for name in vector.names if name not in set(given.names)]
    if missing or (given.values <= 0).any():
        what = f"no magnitude for {', '.join(missing[:5])}" if missing else "magnitudes that are not positive"
        raise InputError(what, "one positive magnitude per knockdown", where="magnitudes")
    return np.log(given.take(vector.names))
