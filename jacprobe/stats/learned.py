"""Rule L: is what a trained model shows more than what copies with re-drawn weights show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals, nulls

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_COPIES = 20
LEAST_NORMAL = 5


def learned_contrast(
    trained: Estimate | float,
    randomised: Sequence[Estimate | float],
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    alternative: Alternative = "greater",
    normal: bool = False,
) -> Estimate:
    """Return the trained model's effect minus the mean effect of copies with re-drawn weights.

    Null: the trained model is one of the copies; p counts the copies at least as extreme, (1 + #) / (m + 1). The
    interval carries both sources: se^2 = se_units^2 + s_copies^2 (1 + 1 / m), Welch's degrees of freedom. se_units is
    the trained effect's own standard error over knockdowns or members, which the copies share; s_copies (once for the
    trained model too) is what another draw of weights would have moved it by.
    The least p of five copies is 1/6. With `normal` p is therefore Student's, of the interval's own standard error.

    Parameters
    ----------
    trained
        The trained model's estimate; a bare number has no standard error, which is flagged.
    randomised
        The same of each copy, at least 2; for a verdict 20, or 5 with `normal`.
    rng
        Not used.
    alternative
        The side of p.
    normal
        Take the copies' effects for normal, where they are few.

    Raises
    ------
    EvidenceMissingError
        If there are fewer than two copies.
    """
    copies = np.array([copy.effect if isinstance(copy, Estimate) else float(copy) for copy in randomised])
    m = len(copies)
    if m < 2:
        raise EvidenceMissingError(f"{m} randomised copies", "at least 2, 20 for a verdict", where="learned_contrast")
    effect_trained = trained.effect if isinstance(trained, Estimate) else float(trained)
    se_units, df_units = _standard_error(trained)
    effect = effect_trained - float(copies.mean())
    se_copies = float(copies.std(ddof=1)) * math.sqrt(1 + 1 / m)
    se = math.hypot(se_units, se_copies)
    df = se**4 / (se_units**4 / df_units + se_copies**4 / (m - 1)) if se > 0 else float(m - 1)
    if normal:
        p = intervals.student_p(effect, se, df, alternative)
        null = Null("the trained model is one of the randomised copies, whose effects are normal", p, 0.0, se, 0, 0.0)
    else:
        null = nulls.from_draws(
            "the trained model is one of the randomised copies", effect, copies - copies.mean(), alternative
        )
    least = LEAST_NORMAL if normal else LEAST_COPIES
    ci, ci90 = intervals.t_intervals(effect, se, df)
    units: dict[str, Any] = {"n_units": trained.n} if isinstance(trained, Estimate) else {}
    return Estimate(
        effect,
        m,
        ci,
        ci90,
        null.p,
        alternative,
        (null,),
        intervals.minimum_detectable(se, df, alternative),
        least,
        least,
        flags=() if se_units else ("no standard error over units: the interval is over copies only",),
        diagnostics={
            "trained": effect_trained,
            "copies": copies.tolist(),
            "se_units": se_units,
            "se_copies": se_copies,
            **units,
        },
        replicates=trained.replicates if isinstance(trained, Estimate) else {},
    )


def _standard_error(trained: Estimate | float) -> tuple[float, float]:
    """Return the standard error behind an estimate's 95 % interval, and its degrees of freedom."""
    if not isinstance(trained, Estimate) or trained.ci is None or trained.n < 2:
        return 0.0, 1.0
    df = trained.n - 1
    return (trained.ci[1] - trained.ci[0]) / 2 / float(stats.t.ppf(0.975, df)), float(df)
