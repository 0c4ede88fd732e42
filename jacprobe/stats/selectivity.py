"""Is there a feature that a set of knockdowns (KDs) switches on, and has another model its counterpart (NB06)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from jacprobe.estimate import Estimate
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import Labelled, axis_names, common, locate, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from jacprobe.stats.labels import FloatArray, IntArray

    Float32Array = npt.NDArray[np.float32]

LEAST_MEMBERS = 5
LEAST_MEMBERS_NULL = 10
_DIVISIONS = 10
_LEAST_COMPUTABLE = 4


def selective_feature_lost(
    a: Any,
    b: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    neurons: tuple[Any, Any] | None = None,
    replicate: Any = None,
    untrained: Sequence[Any] | None = None,
    *,
    permutations: int = 199,
) -> Estimate:
    """Return how much more selective for a set model A's best feature is than model B's (rule B).

    Selectivity: the mean of a feature over the set minus that over all other KDs, in units of its sd over KDs. The best
    feature is the one of largest mean rank, which a single KD cannot make large; it is chosen on one half of set and
    others and measured on the other half, both ways round, over ten random divisions. B's is chosen on the same half,
    since features of two models have no names in common. Nulls: random sets, and sets matched on deciles of log norm
    (A's; for B alone, B's), with features chosen anew. The interval is the delete-one-member jackknife, which in
    simulations covers .93 to 1.0: it is wide where no feature is selective and the choice is arbitrary.

    Parameters
    ----------
    a, b
        Features of either model, each (n, f).
    members
        The set.
    rng
        Draws halves and sets.
    neurons
        Activations of A and B, (n, d) each: both signs of every unit are then the features, as a sensitivity.
    replicate, untrained
        Activations of A trained with another seed, and of untrained copies of A, for comparison with A's.
    permutations
        Draws B of each null.

    Returns
    -------
    Estimate
        In sd; parts "a" and "b" are the selectivities themselves.

    Raises
    ------
    EvidenceMissingError
        If fewer than four members are known.
    """
    nulls.check_draws(permutations)
    sides = {"a": rows(a, "a", ndim=2), "b": rows(b, "b", ndim=2)}
    names, lacking = common(sides)
    found = locate(members, names, _LEAST_COMPUTABLE)
    tables = [_table(side.take(names)) for side in sides.values()]
    n, k = len(names), len(found.index)
    halves = _divide(rng, n, k)
    own, features = zip(*(_held_out(table, _contrasts(found.index, n, halves)) for table in tables), strict=True)
    without = np.array([[_without(table, found.index, i, halves) for table in tables] for i in range(k)])

    def drawn(sets: IntArray) -> FloatArray:
        return np.array([[_held_out(table, _contrasts(chosen, n, halves))[0] for table in tables] for chosen in sets])

    draws = [drawn(nulls.random_subsets(rng, n, k, permutations))]
    for side in sides.values():
        size = np.log(np.linalg.norm(side.take(names), axis=1))
        strata = nulls.quantile_strata([size], int(np.clip(n // 20, 2, 10)))
        draws.append(drawn(nulls.matched_subsets(rng, strata, found.index, permutations)))
    parts = {
        side: _estimate(own[i], without[:, i], found.names, [draws[0][:, i], draws[1 + i][:, i]])
        for i, side in enumerate("ab")
    }
    apart = [one[:, 0] - one[:, 1] for one in draws[:2]]
    estimate = _estimate(own[0] - own[1], without[:, 0] - without[:, 1], found.names, apart)
    shown, flags = _elsewhere(members, neurons, replicate, untrained, rng)
    columns = [np.array(axis_names(side, 1))[table.columns] for side, table in zip((a, b), tables, strict=True)]
    return replace(
        estimate,
        dropped=(*found.unknown, *lacking),
        flags=(*found.flags, *flags),
        parts=parts,
        diagnostics={
            "members": list(found.names),
            "selectivity": {"a": own[0], "b": own[1]},
            "features": {side: columns[i][features[i]].tolist() for i, side in enumerate("ab")},
            **shown,
        },
    )


def best_selectivity(features: Any, members: Sequence[str], rng: np.random.Generator) -> float:
    """Return the held-out selectivity of a model's best feature for a set; see `selective_feature_lost`."""
    array = rows(features, "features", ndim=2)
    found = locate(members, array.names, _LEAST_COMPUTABLE)
    n = len(array.names)
    halves = _divide(rng, n, len(found.index))
    return _held_out(_table(array.values), _contrasts(found.index, n, halves))[0]


class _Table(NamedTuple):
    """Features that vary: with mean 0 and sd 1 over KDs, and their ranks over n, each (n, f); and where they stand."""

    standard: Float32Array
    ranks: Float32Array
    columns: IntArray


def _table(values: FloatArray) -> _Table:
    columns = np.flatnonzero(values.std(axis=0) > 1e-12 * max(float(np.abs(values).max()), 1e-300))
    kept = values[:, columns]
    standard = (kept - kept.mean(axis=0)) / kept.std(axis=0)
    # In float32, since all are of order 1 and are only averaged.
    ranks = stats.rankdata(kept, axis=0) / len(kept)
    return _Table(standard.astype(np.float32), ranks.astype(np.float32), columns)


class _Halves(NamedTuple):
    """Orders of the set's places and of the others', one row for each division; the first half of a row is one half."""

    members: IntArray
    others: IntArray


def _divide(rng: np.random.Generator, n: int, k: int) -> _Halves:
    members, others = (rng.permuted(np.tile(np.arange(m), (_DIVISIONS, 1)), axis=1) for m in (k, n - k))
    return _Halves(members, others)


def _contrasts(chosen: IntArray, n: int, halves: _Halves, left_out: int | None = None) -> Float32Array:
    """Return weights that give mean of the set minus mean of the others within each half: (half, division, n)."""
    outside = np.ones(n, dtype=bool)
    outside[chosen] = False
    weights = np.zeros((2, _DIVISIONS, n), dtype=np.float32)
    for places, orders, sign in ((chosen, halves.members, 1.0), (np.flatnonzero(outside), halves.others, -1.0)):
        if sign > 0 and left_out is not None:
            orders = orders[orders != left_out].reshape(_DIVISIONS, -1)
        middle = orders.shape[1] // 2
        for half, part in enumerate((orders[:, :middle], orders[:, middle:])):
            np.put_along_axis(weights[half], places[part], sign / part.shape[1], axis=1)
    return weights


def _held_out(table: _Table, contrasts: Float32Array) -> tuple[float, IntArray]:
    """Return selectivity on the half that the feature was not chosen on, mean over divisions, and features chosen."""
    _, divisions, n = contrasts.shape
    found = (contrasts.reshape(-1, n) @ table.ranks).reshape(2, divisions, -1)
    best = found.argmax(axis=2)
    held_out = (table.standard.T[best] * contrasts[::-1]).sum(axis=2)
    return float(held_out.mean()), best.ravel()


def _without(table: _Table, chosen: IntArray, i: int, halves: _Halves) -> float:
    """Return the selectivity without one member, which is then neither in the set nor among the others."""
    return _held_out(table, _contrasts(chosen, len(table.ranks), halves, left_out=i))[0]


def _estimate(effect: float, without: FloatArray, members: Sequence[str], samples: Sequence[FloatArray]) -> Estimate:
    """Return an estimate from its jackknife and its draws over random and over matched sets."""
    k, alternative = len(without), "greater"
    names = (f"random sets of {k} KDs", f"random sets of {k} KDs matched on log norm")
    drawn = tuple(
        nulls.from_draws(name, effect, draws, alternative) for name, draws in zip(names, samples, strict=True)
    )
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, k - 1)
    return Estimate(
        effect,
        k,
        ci,
        ci90,
        max(null.p for null in drawn),
        alternative,
        drawn,
        intervals.minimum_detectable(max(se, *(null.sd for null in drawn)), k - 1, alternative),
        LEAST_MEMBERS,
        LEAST_MEMBERS_NULL,
        replicates=intervals.named(members, without),
    )


def _elsewhere(
    members: Sequence[str],
    neurons: tuple[Any, Any] | None,
    replicate: Any,
    untrained: Sequence[Any] | None,
    rng: np.random.Generator,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the selectivity of the best single unit in A, B, A's replicate and A's untrained copies."""
    if neurons is None:
        return {}, ()
    shown: dict[str, Any] = dict(zip("ab", (best_selectivity(_signed(x), members, rng) for x in neurons), strict=True))
    if replicate is not None:
        shown["seed_replicate"] = best_selectivity(_signed(replicate), members, rng)
    flags: tuple[str, ...] = ()
    if untrained:
        listed = rows(untrained[0], "untrained", ndim=2).names
        trained = rows(neurons[0], "neurons", ndim=2)
        kept = tuple(name for name in listed if name in set(trained.names))
        here = best_selectivity(_signed(Labelled(trained.take(kept), kept)), members, rng)
        copies = [best_selectivity(_signed(copy), members, rng) for copy in untrained]
        shown["untrained"] = {"copies": copies, "trained": here, "kds": len(kept)}
        if float(np.mean(copies)) >= here:
            flags = (f"units of untrained copies are as selective: {np.mean(copies):.2f}, trained {here:.2f}",)
    return {"single_units": shown}, flags


def _signed(activations: Any) -> Labelled:
    """Return both signs of every unit."""
    array = rows(activations, "activations", ndim=2)
    return Labelled(np.hstack([array.values, -array.values]), array.names)
