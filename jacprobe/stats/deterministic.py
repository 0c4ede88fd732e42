"""Rule O: a quantity against its tolerance, with nothing random in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping


def exact(
    value: Any,
    tol: float = 0.0,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    n: int = 1,
    dropped: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    diagnostics: Mapping[str, Any] | None = None,
) -> Estimate:
    """Return a deterministic quantity: no interval, no p, no family.

    Parameters
    ----------
    value
        One number, or an array of deviations of which the largest absolute one counts (a parity error, a number of
        mismatches).
    tol
        The tolerance it was meant to keep; kept in the diagnostics, the criterion judges.
    rng
        Not used.
    n
        How many comparisons `value` sums up; the size of an array given.
    dropped, flags, diagnostics
        Passed on to the estimate.

    Raises
    ------
    InputError
        If a value is not finite, or nothing was compared.
    """
    values = np.asarray(getattr(value, "values", value), dtype=np.float64)
    if values.size == 0:
        raise InputError("an empty array", "at least one comparison", where="exact")
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum())} values that are not finite", "numbers", where="exact")
    effect = float(values) if values.ndim == 0 else float(np.abs(values).max())
    return Estimate(
        effect,
        values.size if values.ndim else n,
        dropped=dropped,
        flags=flags,
        diagnostics={"tolerance": tol, **(diagnostics or {})},
    )
