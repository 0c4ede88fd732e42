"""The interval of a claim beside its claimed region, drawn small enough for a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.report.regions import region

if TYPE_CHECKING:
    from collections.abc import Mapping

WIDTH = 100.0
_MARGIN = 0.1  # of the range shown, on either side


@dataclass(frozen=True)
class Strip:
    """Positions from 0 to `WIDTH`: claimed region, interval, effect, and the published effect where there is one."""

    region: tuple[float, float]
    ci: tuple[float, float]
    effect: float
    published: float | None


def strip(line: Mapping[str, Any]) -> Strip | None:
    """Return the strip of a ledger line; None where it has no interval or no region.

    The axis is the claim's own: it spans interval, finite bounds of the region, and published effect.
    """
    bounds = region(line)
    if line["effect"] is None or line["ci"] is None or bounds is None:
        return None
    published = line["diagnostics"].get("published_effect")
    marks = [*line["ci"], line["effect"], *(b for b in bounds if math.isfinite(b))]
    marks += [published] if published is not None else []
    if not all(map(math.isfinite, marks)):
        return None
    low, high = min(marks), max(marks)
    pad = _MARGIN * (high - low) or abs(low) or 1.0
    low, high = low - pad, high + pad

    def at(value: float) -> float:
        return round(WIDTH * (min(max(value, low), high) - low) / (high - low), 1)

    return Strip(
        (at(bounds[0]), at(bounds[1])),
        (at(line["ci"][0]), at(line["ci"][1])),
        at(line["effect"]),
        None if published is None else at(published),
    )
