"""Null distributions: how sets are drawn, and what p a drawn null gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Null
from jacprobe.stats.labels import require_one_of

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray, IntArray

# Two evaluations of one statistic differ by rounding; a draw within this share of the spread counts as a tie, that is
# against the claim.
_TIE = 1e-10


def from_draws(name: str, effect: float, samples: FloatArray, alternative: Alternative) -> Null:
    """Return the null of drawn effects, p = (1 + #{null >= observed}) / (B + 1) (Davison & Hinkley 1997, 4.2).

    The two-sided p is twice the smaller one-sided p: it does not presume that the null is centred on 0.
    """
    draws = len(samples)
    tie = _TIE * max(float(np.abs(samples).max(initial=0.0)), abs(effect))
    above = (1 + int(np.count_nonzero(samples >= effect - tie))) / (draws + 1)
    below = (1 + int(np.count_nonzero(samples <= effect + tie))) / (draws + 1)
    p = _of_side(above, below, alternative)
    least = (2 if alternative == "two-sided" else 1) / (draws + 1)
    sd = float(samples.std(ddof=1)) if draws > 1 else 0.0
    return Null(name, p, float(samples.mean()), sd, draws, least, samples)


def from_all(name: str, effect: float, samples: FloatArray, alternative: Alternative) -> Null:
    """Return the exact null over all labellings, the observed one among `samples`: p = #{null >= observed} / all."""
    tie = _TIE * max(float(np.abs(samples).max()), abs(effect))
    above = float(np.mean(samples >= effect - tie))
    below = float(np.mean(samples <= effect + tie))
    p = _of_side(above, below, alternative)
    least = min(1.0, (2 if alternative == "two-sided" else 1) / len(samples))
    return Null(name, max(p, least), float(samples.mean()), float(samples.std()), 0, least, samples)


def _of_side(above: float, below: float, alternative: Alternative) -> float:
    require_one_of(alternative, get_args(Alternative), "alternative")
    return {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]


def check_draws(draws: int) -> None:
    """Refuse a number of draws from which no p <= .05 could come.

    Raises
    ------
    InputError
        Below 39 draws: two-sided, 1 / 20 needs as many.
    """
    if draws < 39:
        raise InputError(f"{draws} null draws", "at least 39", "B = 9,999 is the default", "permutations")


def random_subsets(rng: np.random.Generator, n: int, k: int, draws: int) -> IntArray:
    """Return `draws` uniform random k-subsets of range(n), shape (draws, k)."""
    if k > n:
        raise InputError(f"sets of {k}", f"at most {n} members", where="random_subsets")
    # Rejecting rows with a repeat is uniform over subsets; it pays while e^(-k^2 / 2n) of the rows survive.
    if k * k > 4 * n:
        return np.argpartition(rng.random((draws, n)), k - 1, axis=1)[:, :k]
    kept: list[IntArray] = []
    missing = draws
    while missing > 0:
        share = math.exp(-k * (k - 1) / (2 * n))
        rows = np.sort(rng.integers(0, n, (int(missing / share * 1.1) + 8, k)), axis=1)
        rows = rows[(rows[:, 1:] != rows[:, :-1]).all(axis=1)][:missing]
        kept.append(rows)
        missing -= len(rows)
    return np.concatenate(kept)


def matched_subsets(rng: np.random.Generator, strata: IntArray, members: IntArray, draws: int) -> IntArray:
    """Return `draws` random sets that hold, of every stratum, as many units as `members` does, shape (draws, k)."""
    columns: list[IntArray] = []
    for stratum in np.unique(strata[members]):
        pool = np.flatnonzero(strata == stratum)
        wanted = int(np.count_nonzero(strata[members] == stratum))
        if wanted == len(pool):
            columns.append(np.broadcast_to(pool, (draws, wanted)))
        else:
            columns.append(pool[random_subsets(rng, len(pool), wanted, draws)])
    return np.concatenate(columns, axis=1)


def quantile_strata(columns: list[FloatArray], bins: int) -> IntArray:
    """Return the cell of every unit in the cross of `bins` quantile bins per column, shape (n,).

    Ties share a bin, so a constant column cuts nothing.
    """
    cell = np.zeros(len(columns[0]), dtype=np.intp)
    for values in columns:
        edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
        cell = cell * bins + np.searchsorted(edges, values, side="left")
    return cell
