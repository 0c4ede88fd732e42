"""Regular expressions of strangers: only such as cannot take exponential time, whatever name they are tried on.

Python's engine cannot be stopped from outside in a thread, so a time limit would not be sound; instead a pattern's
work is bounded before it is ever tried. The engine goes back over at most as many ways as there are to choose a branch
and a number of repeats at every place; these are counted, for a name of `LONGEST` characters, and too many refused.
"""

from __future__ import annotations

import re
import warnings
from re import _parser as parser  # type: ignore[attr-defined] - what `re.compile` itself reads patterns with
from typing import TYPE_CHECKING, Any

from jacprobe.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 200  # characters of a name that patterns are tried on
MOST_WAYS = 50_000  # the suite's own patterns have up to 1,011
_MOST_STEPS = 2_000
_SINGLE = ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "CATEGORY", "GROUPREF")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern ready for use.

    Raises
    ------
    ValueError
        If it is no regular expression, or could take too long.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets that a later version of Python may read otherwise
            ways, steps = _of_sequence(parser.parse(pattern))
            ready = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if ways > MOST_WAYS or steps > _MOST_STEPS:
        raise ValueError(f"it can match in more than {MOST_WAYS:,} ways, as repeats within repeats do")
    return ready


def fitting(patterns: Sequence[str], names: Iterable[str]) -> set[str]:
    """Return the names in which one of the patterns is found.

    Raises
    ------
    InputError
        If a name is longer than `LONGEST`.
    ValueError
        As `compiled`.
    """
    ready = [compiled(pattern) for pattern in patterns]
    found = set()
    for name in names if ready else ():
        if len(name) > LONGEST:
            raise InputError(f"a name of {len(name):,} characters: {name[:40]}", f"at most {LONGEST}", where="patterns")
        if any(pattern.search(name) for pattern in ready):
            found.add(name)
    return found


def _of_sequence(items: Any) -> tuple[int, int]:
    """Return in how many ways a sequence can match, at most, and in how many steps each."""
    ways, steps = 1, 0
    for operator, argument in items:
        more, further = _of_one(str(operator), argument)
        ways, steps = ways * more, steps + further
    return ways, steps


def _of_one(operator: str, argument: Any) -> tuple[int, int]:
    if operator in _SINGLE:
        return 1, 1
    if operator == "SUBPATTERN":
        return _of_sequence(argument[3])
    if operator == "ATOMIC_GROUP":
        return _of_sequence(argument)
    if operator in ("ASSERT", "ASSERT_NOT"):
        return _of_sequence(argument[1])
    if operator == "BRANCH":
        return _of_branches(argument[1])
    if operator == "GROUPREF_EXISTS":
        return _of_branches([part for part in argument[1:] if part is not None])
    if operator in _REPEATS:
        return _of_repeat(*argument)
    raise re.error(f"{operator.lower()} is not covered")


def _of_branches(branches: Sequence[Any]) -> tuple[int, int]:
    each = [_of_sequence(branch) for branch in branches]
    return sum(ways for ways, _ in each), max((steps for _, steps in each), default=0)


def _of_repeat(least: Any, most: Any, item: Any) -> tuple[int, int]:
    ways, steps = _of_sequence(item)
    least, most = int(least), min(int(most), LONGEST)
    total = 0
    for times in range(min(least, most), most + 1):
        total += ways**times
        if total > MOST_WAYS:
            break
    return total, max(least, most) * max(steps, 1)
