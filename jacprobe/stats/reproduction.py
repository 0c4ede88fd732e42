"""Rule N: does a number come out again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Estimate
from jacprobe.stats import intervals
from jacprobe.stats.labels import rows

if TYPE_CHECKING:
    pass

LEAST_DRAWS = 5


def reproduces(
    draws: Any,
    published: str | float,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
) -> Estimate:
    """Return the mean over control-cell draws, with the interval in which one further draw would fall.

    mean +- t(R - 1) s sqrt(1 + 1 / R), plus half a unit of the last published digit: same knockdowns, same weights, so
    the draw of control cells is all that is random. One draw (stored evidence) leaves only the half unit.

    Parameters
    ----------
    draws
        The quantity from R disjoint draws of control cells, shape (R,); or one number.
    published
        The published value as it was printed ("0.570" has three digits, 0.57 has two).
    rng
        Not used.

    Raises
    ------
    InputError
        If a draw is not finite or `published` is no number.
    """
    values = np.atleast_1d(np.asarray(getattr(draws, "values", draws), dtype=np.float64))
    values = rows(values, "draws", ndim=1).values
    half, R, effect = half_unit(published), len(values), float(values.mean())
    diagnostics: dict[str, Any] = {"published": str(published), "half_unit": half, "draws": R}
    if R == 1:
        ci = (effect - half, effect + half)
        flags = ("one control-cell draw: reproduction means agreement to the last printed digit",)
        return Estimate(effect, 1, ci, ci, flags=flags, diagnostics=diagnostics)
    s = float(values.std(ddof=1))
    widths = [float(stats.t.ppf(q, R - 1)) * s * math.sqrt(1 + 1 / R) + half for q in (0.975, 0.95)]
    ci, ci90 = ((effect - width, effect + width) for width in widths)
    flags = () if R >= LEAST_DRAWS else (f"{R} control-cell draws, {LEAST_DRAWS} wanted",)
    return Estimate(
        effect,
        R,
        ci,
        ci90,
        least_n=LEAST_DRAWS,
        least_n_null=LEAST_DRAWS,
        flags=flags,
        diagnostics={**diagnostics, "sd": s},
        replicates=intervals.named([f"draw {i}" for i in range(R)], intervals.without_each_mean(values)),
    )


def draw_spread(
    draws: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
) -> Estimate:
    """Return the sd of a quantity over disjoint control-cell draws, with the chi-squared interval of normal values.

    Parameters
    ----------
    draws
        The quantity per draw, shape (R,).
    rng
        Not used.

    Raises
    ------
    EvidenceMissingError
        If there are fewer than two draws.
    """
    values = rows(np.asarray(getattr(draws, "values", draws), dtype=np.float64), "draws", ndim=1).values
    R = len(values)
    if R < 2:
        raise EvidenceMissingError(f"{R} control-cell draw", "at least two", where="draws")
    s = float(values.std(ddof=1))
    ci, ci90 = (
        (
            s * math.sqrt((R - 1) / float(stats.chi2.ppf(0.5 + level / 2, R - 1))),
            s * math.sqrt((R - 1) / float(stats.chi2.ppf(0.5 - level / 2, R - 1))),
        )
        for level in (0.95, 0.90)
    )
    return Estimate(
        s, R, ci, ci90, least_n=LEAST_DRAWS, least_n_null=LEAST_DRAWS, diagnostics={"mean": float(values.mean())}
    )


def half_unit(published: str | float) -> float:
    """Return half a unit of the last printed digit: 0.0005 of "0.119", 5e-82 of "2.0e-80".

    Raises
    ------
    InputError
        If it is no number.
    """
    text = str(published).strip().lower().replace("−", "-")
    mantissa, _, exponent = text.partition("e")
    try:
        float(text)
    except ValueError as error:
        raise InputError(f"published value {published!r}", "a number", where="reproduces") from error
    decimals = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - decimals)
