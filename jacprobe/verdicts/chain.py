"""The hash chain of a ledger: what was changed, removed or moved since it was written shows.

Each line's hash covers its content (but for the seconds it took, which differ from run to run), its place, the number
of lines and the hash before it. The last hash therefore stands for the whole ledger.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.verdicts.ledger import Entry

CHAIN = "chain"
_FIRST = ""


def chained(lines: Sequence[Entry]) -> list[Entry]:
    """Return ledger lines with `provenance["chain"]`: their place, how many there are, and both hashes."""
    made: list[Entry] = []
    previous = _FIRST
    for place, line in enumerate(lines, 1):
        link = {"line": place, "of": len(lines), "previous": previous}
        previous = _hash(line, link)
        made.append({**line, "provenance": {**line["provenance"], CHAIN: {**link, "hash": previous}}})
    return made


def head(lines: Sequence[Entry]) -> str:
    """Return the last hash, which stands for the whole ledger; empty where the lines are not chained."""
    return str((lines[-1]["provenance"].get(CHAIN) or {}).get("hash", "")) if lines else ""


def broken(lines: Sequence[Entry]) -> str | None:
    """Return in words the first place at which the chain of a ledger does not hold, or None where all of it does."""
    previous = _FIRST
    for place, line in enumerate(lines, 1):
        link, name = line["provenance"].get(CHAIN), f"line {place} ({line['id']})"
        if not isinstance(link, dict) or set(link) != {"line", "of", "previous", "hash"}:
            return f"{name} has no chain: it was added, or the ledger was written before ledgers were chained"
        if link["hash"] != _hash(line, {key: link[key] for key in ("line", "of", "previous")}):
            return f"{name} was changed: its content does not have the hash that it states"
        if link["line"] != place or link["previous"] != previous:
            return _displaced(lines, place, name)
        previous = link["hash"]
    if lines and lines[-1]["provenance"][CHAIN]["of"] != len(lines):
        of = lines[-1]["provenance"][CHAIN]["of"]
        return f"line {len(lines) + 1} of {of} was removed, and all that followed"
    return None


def _displaced(lines: Sequence[Entry], place: int, name: str) -> str:
    """Return what happened at the first line that stands unchanged in a place that is not its own."""
    stated = lines[place - 1]["provenance"][CHAIN]["line"]
    if stated == place:
        return f"{name} follows another line than it did: one of another ledger stands before it"
    elsewhere = {(other["provenance"].get(CHAIN) or {}).get("line") for other in lines[place:]}
    if isinstance(stated, int) and stated > place and place not in elsewhere:
        return f"line {place} was removed: here stands {name.partition(' (')[2].removesuffix(')')}, once line {stated}"
    return f"{name} was moved: it once was line {stated}"


def _hash(line: Entry, link: dict[str, object]) -> str:
    provenance = {name: value for name, value in line["provenance"].items() if name != CHAIN}
    content = {**line, "provenance": provenance, CHAIN: link}
    content.pop("seconds", None)
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
