"""What changed between two models of one study (rule M): flips of verdicts, and the paired difference behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate
from jacprobe.stats import intervals

if TYPE_CHECKING:
    from collections.abc import Mapping


def flip(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    margin: float,
    difference: Estimate | None = None,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
) -> Estimate:
    """Return new - old, and whether a claim's verdict flipped between two trainings.

    A flip is a verdict that changed *and* a paired difference whose 95 % interval lies outside the margin. From two
    ledgers alone there is no paired difference: |new - old| > margin then decides, and the flip is marked unpaired.

    Parameters
    ----------
    old, new
        "effect" and "verdict" of each run, such as two ledger lines.
    margin
        The row's SESOI.
    difference
        The paired difference new - old of the effects, where both models' evidence is at hand.
    rng
        Not used.

    Returns
    -------
    Estimate
        `diagnostics["flipped"]` and ["changed"].

    Raises
    ------
    InputError
        If the margin is negative, or a run has no effect or verdict.
    """
    if not margin >= 0:
        raise InputError(f"margin {margin}", "0 or more", where="flip")
    for name, run in (("old", old), ("new", new)):
        if "effect" not in run or "verdict" not in run:
            raise InputError(f"a run with {sorted(run)}", "effect and verdict", where=f"flip, {name}")
    changed = str(old["verdict"]) != str(new["verdict"])
    if difference is None or difference.ci is None:
        effect, n, ci, ci90 = float(new["effect"]) - float(old["effect"]), 0, None, None
        beyond, flags = abs(effect) > margin, ("unpaired",)
    else:
        effect, n, ci, ci90 = difference.effect, difference.n, difference.ci, difference.ci90
        beyond, flags = ci[0] > margin or ci[1] < -margin, ()
    words = {"old": str(old["verdict"]), "new": str(new["verdict"])}
    return Estimate(
        effect, n, ci, ci90, flags=flags, diagnostics={**words, "changed": changed, "flipped": changed and beyond}
    )


def paired_difference(old: Estimate, new: Estimate) -> Estimate:
    """Return new - old of one effect in two models, by the paired delete-one jackknife over the units they share.

    se^2 = se_paired^2 + rest_old + rest_new. se_paired is the jackknife of the differences of the replicates: what a
    unit does to both models alike falls out. The rest is what each interval allows for beyond its own jackknife (draws
    of control cells, copies, the other models of a joint claim): it may have nothing in common, and is added whole.

    Parameters
    ----------
    old, new
        The same measure on each model, with `replicates`.

    Returns
    -------
    Estimate
        The difference with its 95 % and 90 % intervals, Student's t(n - 1); n counts the shared units.

    Raises
    ------
    InputError
        If a side has no replicates or no interval, or the units are not the same.
    """
    rest = [_rest(side, where) for where, side in (("old", old), ("new", new))]
    units = list(old.replicates)
    if set(units) != set(new.replicates):
        only = sorted(set(units) ^ set(new.replicates))
        raise InputError(f"{len(only)} units in one model only, such as {only[0]}", "the same units in both")
    table = np.array([[side.replicates[unit] for unit in units] for side in (old, new)])
    n, paired = len(units), intervals.jackknife_se(table[1] - table[0])
    se, effect = math.sqrt(paired**2 + sum(rest)), new.effect - old.effect
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    shown = {"paired_se": paired, "se_of_one_model_alone": [math.sqrt(one) for one in rest]}
    return Estimate(effect, n, ci, ci90, diagnostics=shown)


def _rest(side: Estimate, where: str) -> float:
    """Return the variance behind an interval that its jackknife does not explain."""
    if len(side.replicates) < 2 or side.ci is None:
        raise InputError("an interval that is no jackknife over units", "replicates", where=where)
    se = (side.ci[1] - side.ci[0]) / 2 / float(stats.t.ppf(0.975, len(side.replicates) - 1))
    own = intervals.jackknife_se(np.array(list(side.replicates.values())))
    if own > se * (1 + 1e-6):
        raise InputError(f"replicates that vary by {own:.3g}", f"those of its interval, {se:.3g}", where=where)
    return max(0.0, se**2 - own**2)
