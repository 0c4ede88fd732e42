"""What of a ledger line can be drawn: finite numbers under the names that they have in a figure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Interval = tuple[float, float]
Kind = Literal["trained", "replicate", "random", "reference"]
MOST_PARTS = 16  # effects of one claim that are drawn
# Diagnostics whose list holds the effect of each draw or list, the effect being their mean.
_DRAWS = ("draws_found", "values", "means", "shares", "r_by_draw", "per_list")


# Rival explanations, whose numbers are not drawn anew.
_RIVALS = ("linear-surrogate", "mean-shift")


@dataclass(frozen=True)
class DrawnNull:
    """A null distribution: its histogram, or where it is exact its mean less and plus its sd."""

    name: str
    p: float | None
    draws: int
    middle: Interval | None
    low: float | None = None
    high: float | None = None
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Part:
    """One of several effects that a claim is judged on."""

    name: str
    effect: float
    ci: Interval | None
    n: int | None


@dataclass(frozen=True)
class Control:
    """A quantity in a model, or in several copies of one."""

    name: str
    values: tuple[float, ...]
    kind: Kind


def finite(value: object) -> float | None:
    """Return a number, or None where there is none that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def interval(value: object) -> Interval | None:
    """Return an interval with finite ends, or None."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = finite(value[0]), finite(value[1])
    return None if low is None or high is None else (low, high)


def numbers(value: object) -> tuple[float, ...]:
    """Return a list's numbers if it holds nothing else; empty otherwise."""
    if not isinstance(value, list | tuple):
        return ()
    found = [finite(item) for item in value]
    return tuple(item for item in found if item is not None) if None not in found else ()


def drawn_nulls(line: Mapping[str, Any]) -> list[DrawnNull]:
    """Return the null distributions of a line that have a shape."""
    found = []
    for null in line["diagnostics"].get("nulls") or ():
        mean, sd, shape = finite(null.get("mean")), finite(null.get("sd")), null.get("histogram")
        middle = (mean - sd, mean + sd) if mean is not None and sd else None
        named = {"name": null["name"], "p": finite(null.get("p")), "draws": null.get("draws") or 0, "middle": middle}
        ends = interval([shape["low"], shape["high"]]) if shape else None
        if shape and ends and ends[0] < ends[1] and any(shape["counts"]):
            found.append(DrawnNull(**named, low=ends[0], high=ends[1], counts=tuple(shape["counts"])))
        elif middle is not None:
            found.append(DrawnNull(**named))
    return found


def parts(line: Mapping[str, Any]) -> list[Part]:
    """Return the effects of a claim that is judged on several, by model, set or training."""
    diagnostics = line["diagnostics"]
    several = diagnostics.get("models") or diagnostics.get("trainings") or {}
    found = []
    for name, one in several.items() if isinstance(several, Mapping) else ():
        effect = finite(one.get("effect")) if isinstance(one, Mapping) else None
        if effect is not None:
            found.append(Part(str(name), effect, interval(one.get("ci")), one.get("n")))
    return found[:MOST_PARTS] if len(found) > 1 else []


def draws(line: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the effect in each draw of control cells or list of knockdowns, where the effect is their mean."""
    effect = finite(line["effect"])
    for name in _DRAWS:
        found = numbers(line["diagnostics"].get(name))
        if effect is not None and len(found) > 1 and math.isclose(sum(found) / len(found), effect, rel_tol=1e-6):
            return found
    return ()


def controls(line: Mapping[str, Any]) -> list[Control]:
    """Return what a claim's quantity is in the trained model and beside it in copies or in another training.

    Empty where nothing was measured beside it. The trained model's own value stands first; it is over the knockdowns
    kept for copies, and so not always the effect.
    """
    diagnostics, effect = line["diagnostics"], finite(line["effect"])
    given: Mapping[str, Any] = _mapping(diagnostics.get("controls"))
    trained = finite(given.get("this model"))
    found: list[Control] = []
    for name, one in given.items():
        nested = _mapping(one)
        copies = numbers(nested.get("copies")) or numbers(one)
        single = finite(one)
        if copies:
            trained = trained if trained is not None else finite(nested.get("trained"))
            kind: Kind = "reference" if name in _RIVALS else "random"
            found.append(Control(_plural(name, len(copies)), copies, kind))
        elif single is not None and name in ("seed replicate", "seed_replicate_difference"):
            found.append(Control(_words(name), (single,), "replicate"))
    found, trained = _of_others(diagnostics, found, trained)
    trained = trained if trained is not None else effect
    if not found or trained is None:
        return []
    return [Control("trained model", (trained,), "trained"), *found]


def _of_others(
    diagnostics: Mapping[str, Any], found: list[Control], trained: float | None
) -> tuple[list[Control], float | None]:
    """Return controls with those that measures keep elsewhere in their diagnostics."""
    copies, own = numbers(diagnostics.get("copies")), finite(diagnostics.get("trained"))
    if copies and own is not None:
        found, trained = [Control(_plural("randomised", len(copies)), copies, "random"), *found], own
    folds, fold = numbers(diagnostics.get("untrained_folds")), finite(diagnostics.get("fold"))
    if folds and fold is not None:
        return [*found, Control(_plural("untrained", len(folds)), folds, "random")], fold
    largest = numbers(diagnostics.get("untrained_largest"))
    if largest:
        found = [*found, Control(_plural("untrained", len(largest)), largest, "random")]
    units = _mapping(diagnostics.get("single_units"))
    untrained = _mapping(units.get("untrained"))
    if untrained and finite(untrained.get("trained")) is not None:
        copies = numbers(untrained.get("copies"))
        found, trained = [*found, Control(_plural("untrained", len(copies)), copies, "random")], untrained["trained"]
    per_unit = numbers(list(_mapping(diagnostics.get("per_unit")).values()))
    if per_unit:
        trained = sum(per_unit) / len(per_unit)
        for key, name in (("mismatched_mean", "mismatched units"), ("ceiling", "other control cells")):
            value = finite(diagnostics.get(key))
            found = found if value is None else [*found, Control(name, (value,), "reference")]
    for key in ("seed_replicate_mean", "seed_replicate_effect"):
        value = finite(diagnostics.get(key))
        found = found if value is None else [*found, Control("seed replicate", (value,), "replicate")]
    for name, value in _mapping(diagnostics.get("ceilings")).items():
        single = finite(value)
        kind = "replicate" if "seed" in str(name) else "reference"
        found = found if single is None else [*found, Control(f"ceiling: {name}", (single,), kind)]
    return found, trained


def sesoi(line: Mapping[str, Any]) -> float | None:
    """Return the smallest effect of interest that a positive claim states, with the sign of its side."""
    found = re.search(r"^([<>]) 0, SESOI ([\d.e+-]+)", line["criterion"])
    return None if found is None else float(found[2]) * (1 if found[1] == ">" else -1)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plural(name: str, copies: int) -> str:
    return f"{_words(name)}, {copies} cop{'y' if copies == 1 else 'ies'}"
