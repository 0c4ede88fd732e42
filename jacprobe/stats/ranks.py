"""Rule F: where one knockdown stands among all, and whether it stands above another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate, Null
from jacprobe.stats import published
from jacprobe.stats.intervals import t_intervals
from jacprobe.stats.labels import axis_names, locate, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.estimate import Interval
    from jacprobe.stats.labels import FloatArray

LEAST_DRAWS = 5


def percentile_rank(
    values: Any,
    kd: Any,
    draws: Any = None,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    descending: bool = True,
    looked_at: int = 1,
    control: float | None = None,
    alternative: Literal["less", "greater"] = "less",
) -> Estimate:
    """Return rank / n of one knockdown (KD), or the largest such percentile of several.

    Parameters
    ----------
    values
        One number per KD, the control not among them, shape (n,).
    kd
        The KD's name, or the names of several, of which the largest percentile counts.
    draws
        The same numbers from disjoint draws of control cells, shape (draw, n), matched by name. They give the effect
        and its interval: mean +- t(R - 1) s / sqrt(R) of the percentile's log odds, mapped back, since near either end
        percentiles are too skewed for Student. Without them the rank stands alone and is flagged.
    rng
        Not used.
    descending
        Rank 1 is the largest value.
    looked_at
        How many KDs were looked at before this one was named: p = rank / (n + 1) times that number.
    control
        The control's own value, for the published rank that counted it as a KD.
    alternative
        The side of p: near the top, "less", or near the bottom, with n + 1 - rank in place of rank.

    Raises
    ------
    EvidenceMissingError
        If the KD is not there.
    """
    vector = rows(values, "values", ndim=1)
    found = locate([kd] if isinstance(kd, str | int) else kd, vector.names, 1, "kd")
    n = len(vector.names)
    ranks = _ranks(vector.values, descending)[found.index]
    worst = int(np.argmax(ranks))
    flags = found.flags
    if draws is None:
        effect = float(ranks[worst]) / n
        ci = ci90 = (effect, effect)
        flags += ("one control-cell draw: the rank has no interval",)
        count = 0
    else:
        table = _by_name(draws, vector.names)
        per_draw = np.array([_ranks(row, descending)[found.index].max() for row in table])
        count = len(per_draw)
        log_odds = np.log((per_draw - 0.5) / (n - per_draw + 0.5))
        bounds = t_intervals(float(log_odds.mean()), float(log_odds.std(ddof=1)) / math.sqrt(count), count - 1)
        effect = _percentile(float(log_odds.mean()), n)
        ci, ci90 = ((_percentile(low, n), _percentile(high, n)) for low, high in bounds)
        flags += () if count >= LEAST_DRAWS else (f"{count} control-cell draws: a wide interval",)
    from_end = float(ranks[worst]) if alternative == "less" else n + 1 - float(ranks[worst])
    p = min(1.0, looked_at * from_end / (n + 1))
    if looked_at > 1 and p > 0.05:
        flags += (f"named after looking at {looked_at} knockdowns: p = {p:.2g}",)
    centre = float(np.median(vector.values))
    spread = 1.4826 * float(np.median(np.abs(vector.values - centre)))
    place = int(found.index[worst])
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        alternative,
        (Null("any KD could have this rank", p, 0.5, math.sqrt(1 / 12), 0, min(1.0, looked_at / (n + 1))),),
        dropped=found.unknown,
        flags=flags,
        as_published={"nb03_rank": published.rank_with_control(vector.values, place, control, descending=descending)},
        diagnostics={
            "ranks": {name: int(rank) for name, rank in zip(found.names, ranks, strict=True)},
            "of": n,
            "robust_z": (float(vector.values[place]) - centre) / spread if spread > 0 else None,
            "draws": count,
            "looked_at": looked_at,
        },
    )


def outranks(
    draws: Any,
    kd: str,
    others: Sequence[str],
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    normal: bool = False,
) -> Estimate:
    """Return the least chance, over control-cell draws, that one knockdown's value is above each of the others'.

    It is the share of draws, with the exact binomial interval (Clopper & Pearson 1934), whose lower one-sided bound is
    .05^(1 / R) at best: above .95 from 59 draws on. `normal` takes the differences d as normal over draws, which are
    means over cells: the chance is Phi(delta) with delta = mean(d) / sd(d), var(delta) = 1 / R + delta^2 / 2 (R - 1)
    (Johnson & Welch 1940), so that 20 draws can tell. The bound that must hold against every rival is the
    outermost. One draw tells next to nothing: its interval is the exact one.

    Parameters
    ----------
    draws
        Values from disjoint draws, shape (draw, kd), a DataArray with the names on its second axis.
    kd, others
        Names.
    rng
        Not used.
    normal
        Whether the differences are taken as normal.

    Raises
    ------
    EvidenceMissingError
        If a name is not there.
    """
    table = rows(draws, "draws", ndim=2)
    names = axis_names(draws, 1)
    locate([kd, *others], names, 1 + len(others), "kd")
    R = len(table.values)
    value = table.values[:, names.index(kd)]
    lead = {other: value - table.values[:, names.index(other)] for other in others}
    shares = {other: float(np.mean(d > 0)) for other, d in lead.items()}
    chance = _normal_chance if normal and R > 1 else _exact_chance
    chances = {other: chance(d, 0.95)[0] for other, d in lead.items()}
    least = min(chances, key=lambda other: chances[other])
    ci, ci90 = (_least_of([chance(d, level)[1] for d in lead.values()]) for level in (0.95, 0.90))
    flags = (f"decided by {least}",) if R > 1 else ("one control-cell draw: nothing says how often the order holds",)
    return Estimate(chances[least], R, ci, ci90, flags=flags, diagnostics={"shares": shares, "draws": R})


def _least_of(intervals: Sequence[Interval]) -> Interval:
    return min(low for low, _ in intervals), min(high for _, high in intervals)


def _exact_chance(d: FloatArray, level: float) -> tuple[float, Interval]:
    wins, R = int(np.count_nonzero(d > 0)), len(d)
    return wins / R, clopper_pearson(wins, R, level)


def _normal_chance(d: FloatArray, level: float) -> tuple[float, Interval]:
    R, sd = len(d), float(d.std(ddof=1))
    if sd == 0:
        sure = float(np.sign(d[0]) + 1) / 2
        return sure, (sure, sure)
    delta = float(d.mean()) / sd
    reach = float(stats.norm.ppf(0.5 + level / 2)) * math.sqrt(1 / R + delta**2 / (2 * (R - 1)))
    low, centre, high = (float(stats.norm.cdf(delta + shift)) for shift in (-reach, 0.0, reach))
    return centre, (low, high)


def clopper_pearson(hits: int, n: int, level: float) -> tuple[float, float]:
    """Return the exact two-sided binomial interval of a share (Clopper & Pearson 1934)."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def _ranks(values: FloatArray, descending: bool) -> FloatArray:
    """Return ranks from 1, ties taking the worst of theirs."""
    return stats.rankdata(-values if descending else values, method="max").astype(np.float64)


def _percentile(log_odds: float, n: int) -> float:
    """Return rank / n of the log odds of (rank - 1/2) / n."""
    return 1 / (1 + math.exp(-log_odds)) + 0.5 / n


def _by_name(draws: Any, names: tuple[str, ...]) -> FloatArray:
    table = rows(draws, "draws", ndim=2)
    columns = axis_names(draws, 1)
    if set(columns) != set(names):
        odd = sorted(set(columns) ^ set(names))
        raise InputError(f"draws of other KDs: {', '.join(odd[:5])}", "the KDs of `values`", where="draws")
    if len(table.values) < 2:
        raise InputError("one draw", "at least two, or none", where="draws")
    return table.values[:, [columns.index(name) for name in names]]
