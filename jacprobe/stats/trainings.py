"""One estimate from several trainings of the same model: the unit is then the training (rules L and M)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate, Null
from jacprobe.stats.intervals import student_p

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.estimate import Interval

LEAST_TRAININGS = 2
ONE = "one training: the verdict is about this checkpoint"


def over_trainings(estimates: Mapping[str, Estimate], *, further: bool = False) -> Estimate:
    """Return the mean effect over trainings, with an interval that holds for other trainings too.

    The half-widths of the two sources of error add in squares (Howe 1974): h_units, the largest of the trainings' own,
    since they share their knockdowns, and h_trainings = t(k - 1) s / sqrt(k) over their effects. p is the larger of the
    trainings' largest and of Student's over their effects: both kinds of chance must be ruled out. So two trainings
    decide only what hardly differs between them.

    Parameters
    ----------
    estimates
        The same claim on each training, all with one alternative. One training is returned as it is, and flagged.
    further
        Whether the interval is for one further training, s sqrt(1 + 1 / k), in place of their mean.

    Raises
    ------
    InputError
        If there is no estimate, or alternatives differ.
    """
    parts = list(estimates.values())
    if not parts:
        raise InputError("no estimate", "one for each training", where="over_trainings")
    if len({part.alternative for part in parts}) > 1:
        raise InputError("different alternatives", "one, shared by all trainings", where="over_trainings")
    first, k = parts[0], len(parts)
    if k == 1:
        return replace(first, flags=(*first.flags, ONE))
    effects = np.array([part.effect for part in parts])
    effect, s = float(effects.mean()), float(effects.std(ddof=1))
    se = s * math.sqrt(1 + 1 / k if further else 1 / k)
    p, nulls = None, first.nulls
    if all(part.p is not None for part in parts):
        of_trainings = student_p(effect, s / math.sqrt(k), k - 1, first.alternative)
        p = max(of_trainings, *(part.p for part in parts if part.p is not None))
        worst = max(parts, key=lambda part: part.p or 0.0)
        name = f"no effect on average over trainings (Student's t, {k - 1} df)"
        nulls = (*worst.nulls, Null(name, of_trainings, 0.0, s / math.sqrt(k), 0, 0.0))
    enough = all(part.n >= max(part.least_n, part.least_n_null) for part in parts)
    return replace(
        first,
        effect=effect,
        n=k if enough else min(part.n for part in parts),
        ci=_joint(parts, "ci", effect, float(stats.t.ppf(0.975, k - 1)) * se),
        ci90=_joint(parts, "ci90", effect, float(stats.t.ppf(0.95, k - 1)) * se),
        p=p,
        nulls=nulls,
        mde=None,
        least_n=LEAST_TRAININGS if enough else first.least_n,
        least_n_null=LEAST_TRAININGS if enough else first.least_n_null,
        caution="; ".join(f"{name}: {part.caution}" for name, part in estimates.items() if part.caution) or None,
        flags=(*first.flags, f"over {k} trainings (the unit is the model): {', '.join(estimates)}"),
        diagnostics={
            **first.diagnostics,
            "trainings": {
                name: {"effect": part.effect, "ci": part.ci, "p": part.p, "n": part.n}
                for name, part in estimates.items()
            },
            "sd_over_trainings": s,
        },
        parts={
            name: over_trainings({which: part.parts[name] for which, part in estimates.items()}, further=further)
            for name in first.parts
        },
        replicates={},
    )


def _joint(parts: list[Estimate], which: str, effect: float, half: float) -> Interval | None:
    low, high = 0.0, 0.0
    for part in parts:
        interval: Interval | None = getattr(part, which)
        if interval is None:
            return None
        low, high = max(low, part.effect - interval[0]), max(high, interval[1] - part.effect)
    return effect - math.hypot(low, half), effect + math.hypot(high, half)
