"""Ledger lines as tables of comma-separated values, numbers unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jacprobe.errors import inert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jacprobe.verdicts.ledger import Entry

# What other tables or the description hold.
_ELSEWHERE = ("unit", "expected_because", "published_effect", "alternative", "nulls", "parts", "published")
_FORMULA = ("=", "+", "-", "@")  # a spreadsheet would compute what begins so


def tables(line: Entry, known: Mapping[str, Entry]) -> dict[str, str]:
    """Return the tables of a ledger line by name: null distributions, parts of a composite, diagnostics.

    Parameters
    ----------
    line
        A ledger line.
    known
        All lines of its ledger by id, among which parts are found.
    """
    more = line["diagnostics"]
    nulls = [
        [null["name"], null["draws"], null["mean"], null["sd"], null["p"], null["least_p"]]
        for null in more.get("nulls") or ()
    ]
    parts = [_part(part, known.get(part)) for part in more.get("parts") or ()]
    leaves = [
        [name, position, value]
        for key, content in (*more.items(), *line["as_published"].items())
        if key not in _ELSEWHERE
        for name, position, value in _leaves(str(key), content)
    ]
    found = {
        "null distributions.csv": (["null", "draws", "mean", "sd", "p", "least p"], nulls),
        "parts.csv": (["claim", "verdict", "effect", "criterion", "reason"], parts),
        "diagnostics.csv": (["name", "position", "value"], leaves),
    }
    return {name: _csv(head, rows) for name, (head, rows) in found.items() if rows}


def _part(claim_id: str, line: Entry | None) -> list[Any]:
    if line is None:
        return [claim_id, "not in this ledger", None, None, None]
    return [claim_id, line["verdict"], line["effect"], line["criterion"], line["reason"]]


def _leaves(name: str, content: Any, position: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield every number and word of nested data with the name it stands under and its place there."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _leaves(f"{name}.{key}", value)
    elif isinstance(content, list | tuple):
        for place, value in enumerate(content, 1):
            yield from _leaves(name, value, f"{position}.{place}" if position else str(place))
    elif content is not None:
        yield name, position, content


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return page.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    text = inert(value, 2000)
    return f"'{text}" if text.startswith(_FORMULA) else text
