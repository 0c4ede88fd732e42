"""Whether the evidence that a ledger was judged on is still there, and still the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from jacprobe.errors import StoreError, UnreachableStoreError
from jacprobe.sources import NAME_LENGTH, checksum, places_of
from jacprobe.store.layers import layers_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jacprobe.store.layers import Layer
    from jacprobe.store.objects import ObjectStore
    from jacprobe.store.store import Store
    from jacprobe.verdicts.ledger import Entry


def entries_of(lines: Sequence[Entry]) -> dict[tuple[str, str, str], str]:
    """Return the evidence of a ledger: (kind, name, checksum) and the first claim that was judged on it."""
    found: dict[tuple[str, str, str], str] = {}
    for line in lines:
        for kind in ("entries", "evidence"):
            for name, stated in (line["provenance"].get(kind) or {}).items():
                found.setdefault((kind, str(name), str(stated)), line["id"])
    return found


def faults(lines: Sequence[Entry], store: Store | ObjectStore, folder: Path | None = None) -> list[str]:
    """Return in words what of a ledger's evidence is missing or differs.

    Parameters
    ----------
    lines
        Ledger lines.
    store
        Where entries are looked for.
    folder
        Where files of evidence computed by others are looked for; None leaves them unchecked, and says so.

    Raises
    ------
    UnreachableStoreError
        An object store that does not answer: nothing can be said of what it holds.
    """
    # The own store last, so that its entries win.
    layers = reversed(layers_of(store))
    known = {name[:NAME_LENGTH]: (layer, name) for layer in layers for name in layer.names()}
    said, unchecked = [], 0
    for (kind, name, stated), claim_id in entries_of(lines).items():
        if kind == "evidence" and folder is None:
            unchecked += 1
            continue
        fault = _of_file(folder / name, stated) if kind == "evidence" and folder else _of_entry(known.get(name), stated)
        if fault is not None:
            said.append(f"{name}, evidence of {claim_id}: {fault}")
    if unchecked:
        said.append(
            f"{unchecked} files of evidence computed by others are not checked: give their folder by --evidence"
        )
    return said


def _of_entry(found: tuple[Layer, str] | None, stated: str) -> str | None:
    if found is None:
        return "missing: no such entry in the store"
    spans, _, wanted = stated.partition(":")
    try:
        entry, places = found[0].opened(found[1]), places_of(spans)
        absent = [place for place in places if not entry.is_there(entry.names[place])]
        if absent:
            return f"missing: {len(absent)} of {len(places)} chunks"
        if checksum(entry, places) != wanted:
            return "another one: its checksum differs"
        damaged = [place for place in places if entry.damage(entry.names[place]) is not None]
    except UnreachableStoreError:
        raise
    except (StoreError, ValueError, IndexError) as error:
        return f"not readable: {error}"
    return f"damaged: {len(damaged)} of {len(places)} chunks" if damaged else None


def _of_file(path: Path, wanted: str) -> str | None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"missing: {error}"
    return None if found == wanted else "another one: its checksum differs"
