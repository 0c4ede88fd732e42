"""The results folder: always the newest run; an earlier complete one is moved to `history/` first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from jacprobe.errors import JacprobeError
from jacprobe.verdicts.ledger import Entry, write_ledger

LEDGER = "verdicts.jsonl"
ALLURE = "allure"
HISTORY = "history"


class Results:
    """One run's results on their way to disk.

    The ledger appears under its name only when the run is over; until then its lines stand in `verdicts.jsonl.partial`
    in the order of their arrival, so that a killed run loses none of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: dict[str, Entry] = {}
        self.crashes: dict[str, str] = {}
        self._expected: dict[str, None] = {}

    def begin(self) -> None:
        """Make the folder, move an earlier complete run to the history, clear what an incomplete one left.

        Raises
        ------
        JacprobeError
            Where the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ledger = self.folder / LEDGER
            if ledger.is_file():
                _move_to_history(self.folder, datetime.fromtimestamp(ledger.stat().st_mtime, tz=UTC))
            shutil.rmtree(self.folder / ALLURE, ignore_errors=True)
            (self.folder / f"{LEDGER}.partial").write_text("", encoding="utf-8")
        except OSError as error:
            raise JacprobeError(
                f"not writable: {error}",
                "a folder that can be made and written",
                "Choose another with --results.",
                self.folder,
            ) from error

    def expect(self, claim_ids: Iterable[str]) -> None:
        """State which claims were collected: each of them gets a line."""
        self._expected.update(dict.fromkeys(claim_ids))

    def add(self, line: Entry) -> None:
        """Keep a judged claim's line."""
        self.lines[line["id"]] = line
        with (self.folder / f"{LEDGER}.partial").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def finish(self, order: Iterable[str], missing: Callable[[str, str], Entry]) -> list[Entry]:
        """Write the ledger in the suite's order and return its lines.

        `missing(claim_id, reason)` makes the line of a claim that was collected and never reported.
        """
        place = {claim_id: position for position, claim_id in enumerate(order)}
        for claim_id in self._expected:
            if claim_id not in self.lines:
                reason = self.crashes.get(claim_id, "the run ended before this claim was judged")
                self.lines[claim_id] = missing(claim_id, reason)
        ids = sorted(self.lines, key=lambda claim_id: place.get(claim_id, len(place)))
        self.lines = {claim_id: self.lines[claim_id] for claim_id in ids}
        lines = list(self.lines.values())
        write_ledger(self.folder / LEDGER, lines)
        return lines

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of claims by verdict."""
        found: dict[str, int] = {}
        for line in self.lines.values():
            found[line["verdict"]] = found.get(line["verdict"], 0) + 1
        return found


def _move_to_history(folder: Path, when: datetime) -> None:
    """Move everything but the history itself into history/<time of that run>."""
    stamp = when.strftime("%Y-%m-%dT%H-%M-%SZ")
    target, again = folder / HISTORY / stamp, 1
    while target.exists():
        again += 1
        target = folder / HISTORY / f"{stamp}-{again}"
    target.mkdir(parents=True)
    for item in folder.iterdir():
        if item.name != HISTORY:
            item.replace(target / item.name)
