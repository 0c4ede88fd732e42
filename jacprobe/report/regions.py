"""Where a criterion wants the effect to lie, read from the words of a ledger line."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Region = tuple[float, float]
_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
# The spellings of `jacprobe.verdicts.criteria`; a difference is judged by two estimates and has no region of one.
_SPELLINGS: tuple[tuple[str, Callable[..., Region]], ...] = (
    (rf"> {_NUMBER}(?:, SESOI .*)?", lambda bar: (bar, math.inf)),
    (rf"< {_NUMBER}(?:, SESOI .*)?", lambda bar: (-math.inf, bar)),
    (rf"in \[{_NUMBER}, {_NUMBER}\]", lambda low, high: (low, high)),
    (rf"no effect \(within ±{_NUMBER}\)", lambda band: (-band, band)),
    (rf"not elevated \(below {_NUMBER}\)", lambda band: (-math.inf, band)),
    (rf"reproduces {_NUMBER} ± {_NUMBER}", lambda value, margin: (value - margin, value + margin)),
    (rf"= {_NUMBER} ± {_NUMBER}", lambda value, margin: (value - margin, value + margin)),
)


def region(line: Mapping[str, Any]) -> Region | None:
    """Return the claimed region of the effect, its bounds possibly infinite; None where there is no one region.

    A criterion on z is mapped through the mean and sd of the first null into the unit of the effect.
    """
    words: str = line["criterion"]
    for pattern, bounds in _SPELLINGS:
        found = re.fullmatch(pattern, words.removeprefix("z "))
        if found is None:
            continue
        low, high = bounds(*map(float, found.groups()))
        return _of_effect(line, low, high) if words.startswith("z ") else (low, high)
    return None


def _of_effect(line: Mapping[str, Any], low: float, high: float) -> Region | None:
    nulls = line["diagnostics"].get("nulls") or ()
    if not nulls or not nulls[0].get("sd"):
        return None
    mean, sd = nulls[0]["mean"], nulls[0]["sd"]
    return mean + low * sd, mean + high * sd
