"""Values of a ledger as people read them: three digits, true minus signs, long lists by their range."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

LISTED = 10  # names or numbers shown of a list; the ledger has all of them
_SIGN = re.compile(r"(?<![\w.])-(?=[\d.])")


def typeset(text: str) -> str:
    """Return `text` with the minus sign of typography before its numbers."""
    return _SIGN.sub("\N{MINUS SIGN}", text)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number to `digits` significant digits, or a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 10**6):
        return typeset(f"{value:,}" if not isinstance(value, bool) else ("yes" if value else "no"))
    return typeset(f"{value:.{digits}g}")


def interval(bounds: Sequence[float] | None) -> str:
    """Return an interval in brackets; empty where there is none or it has no width."""
    if bounds is None or bounds[0] == bounds[1]:
        return ""
    return f"[{number(bounds[0])}, {number(bounds[1])}]"


def facts(content: Mapping[str, Any], under: str = "") -> list[tuple[str, str]]:
    """Return nested data as pairs of name and text, one for each leaf, names joined from the outside in."""
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        name = f"{under}, {_name(key)}" if under else _name(key)
        if isinstance(value, Mapping) and not _plain(value):
            found += facts(value, name)
        elif value not in (None, "", [], {}):
            found.append((name, text(value)))
    return found


def text(value: Any) -> str:
    """Return one leaf as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return _listed([f"{key} {text(item)}" for key, item in value.items()], list(value.values()))
    if isinstance(value, Sequence):
        return _listed([text(item) for item in value], list(value))
    return "\N{EN DASH}"


def _plain(value: Mapping[str, Any]) -> bool:
    """Whether a mapping is a list of named numbers or words, best shown in one line."""
    return len(value) > 3 and all(isinstance(item, str | int | float | None) for item in value.values())


def _listed(shown: list[str], values: list[Any]) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(shown) <= LISTED:
        return ", ".join(shown)
    if len(numbers) == len(values):
        low, middle, high = min(numbers), median(numbers), max(numbers)
        return f"{len(values)} values from {number(low)} to {number(high)}, median {number(middle)}"
    return f"{', '.join(shown[:LISTED])} and {len(shown) - LISTED} more"


def _name(key: object) -> str:
    return str(key).replace("_", " ")
