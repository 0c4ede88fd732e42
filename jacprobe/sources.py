"""Which entries of the evidence store were read: noted as evidence is resolved, by name and by checksums.

A checksum is not made of the values but of what stands behind each chunk on disk, its CRC-32C: four bytes a chunk.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jacprobe.store.chunks import LabelledChunks

NAME_LENGTH = 16  # hex digits of an entry's name that a ledger line gives


class Sources:
    """Notes what is read meanwhile: {name of an entry: its chunks and their checksum}."""

    def __init__(self) -> None:
        self._open: list[dict[str, str]] = []
        self._of: dict[Any, dict[str, str]] = {}

    @contextmanager
    def noting(self, what: Any = None) -> Iterator[dict[str, str]]:
        """Gather what is read inside, which is also read by whoever notes around it; kept under `what`, if given."""
        found: dict[str, str] = {}
        self._open.append(found)
        try:
            yield found
        finally:
            self._open.pop()
        if what is not None:
            self._of[what] = found
        self._add(found)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Leave out what is read inside: ingredients of an entry that is itself noted."""
        self._open.append({})
        try:
            yield
        finally:
            self._open.pop()

    def again(self, what: Any) -> None:
        """Note once more what was read for `what`, which is now in memory."""
        self._add(self._of.get(what, {}))

    def note(self, entry: LabelledChunks, labels: Sequence[Any]) -> bool:
        """Note that the chunks of `labels` were read from an entry; False where it does not have them all."""
        places = [entry.place(label) for label in labels]
        found = checksum(entry, places)
        if found is not None:
            self._add({entry.where.rpartition("/")[2][:NAME_LENGTH]: f"{_spans(places)}:{found}"})
        return found is not None

    def _add(self, found: Mapping[str, str]) -> None:
        if self._open:
            self._open[-1].update(found)


def checksum(entry: LabelledChunks, places: Sequence[int]) -> str | None:
    """Return 16 hex digits over the checksums of an entry's chunks; None where one is not there."""
    digest = hashlib.sha256()
    for place in sorted(places):
        label = entry.names[place]
        if not entry.is_there(label):
            return None
        digest.update(place.to_bytes(8, "big") + entry.chunk_end(label))
    return digest.hexdigest()[:16]


def places_of(spans: str) -> list[int]:
    """Return the chunks that spans such as "0-3,7" stand for.

    Raises
    ------
    ValueError
        Where they are no spans.
    """
    found: list[int] = []
    for span in spans.split(","):
        first, _, last = span.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def _spans(places: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for place in sorted(set(places)):
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
