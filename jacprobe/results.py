"""The results folder: always the newest run; an earlier complete one is moved to `history/` first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from jacprobe.errors import JacprobeError
from jacprobe.verdicts.chain import chained
from jacprobe.verdicts.ledger import Entry, write_ledger

LEDGER = "verdicts.jsonl"
ALLURE = "allure"
HISTORY = "history"
FIGURES = "figures"


class Results:
    """One run's results on their way to disk.

    Nothing is touched before a claim was collected. The ledger appears under its name only when the run is over; until
    then its lines stand in `verdicts.jsonl.partial` in the order of their arrival, so that a killed run loses none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: dict[str, Entry] = {}
        self.crashes: dict[str, str] = {}
        self._expected: dict[str, None] = {}

    def require_writable(self) -> None:
        """Make the folder and try it, before anything is computed for it.

        Raises
        ------
        JacprobeError
            Where it cannot be made or written.
        """
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=self.folder).close()

    def expect(self, claim_ids: Iterable[str]) -> None:
        """State which claims were collected: each of them gets a line.

        The first ones begin the results: an earlier complete run moves to the history, what an incomplete one left is
        cleared. Errors as of `require_writable`.
        """
        ids = dict.fromkeys(claim_ids)
        if ids and not self._expected:
            with _writing(self.folder):
                self._begin()
        self._expected.update(ids)

    def _begin(self) -> None:
        ledger = self.folder / LEDGER
        if ledger.is_file():
            _move_to_history(self.folder, datetime.fromtimestamp(ledger.stat().st_mtime, tz=UTC))
        shutil.rmtree(self.folder / ALLURE, ignore_errors=True)
        (self.folder / f"{LEDGER}.partial").write_text("", encoding="utf-8")

    def add(self, line: Entry) -> None:
        """Keep a judged claim's line."""
        self.lines[line["id"]] = line
        text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        with suppress(OSError), (self.folder / f"{LEDGER}.partial").open("a", encoding="utf-8") as file:
            file.write(text)  # what a killed run leaves; of a full disk the ledger tells, at the end

    def finish(self, order: Iterable[str], missing: Callable[[str, str], Entry]) -> list[Entry]:
        """Write the ledger in the suite's order and return its lines; nothing where no claim was collected.

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
        if not lines:
            return []
        chain = chained(lines)
        self.lines = {line["id"]: line for line in chain}
        write_ledger(self.folder / LEDGER, chain)
        return chain

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of claims by verdict."""
        found: dict[str, int] = {}
        for line in self.lines.values():
            found[line["verdict"]] = found.get(line["verdict"], 0) + 1
        return found


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JacprobeError(
            f"not writable: {error}", "a folder that can be made and written", "Choose another with --results.", folder
        ) from error


def _move_to_history(folder: Path, when: datetime) -> None:
    """Move everything into history/<time of that run>, but the history itself and figures, which any run may need."""
    stamp = when.strftime("%Y-%m-%dT%H-%M-%SZ")
    target, again = folder / HISTORY / stamp, 1
    while target.exists():
        again += 1
        target = folder / HISTORY / f"{stamp}-{again}"
    target.mkdir(parents=True)
    for item in folder.iterdir():
        if item.name not in (HISTORY, FIGURES):
            item.replace(target / item.name)
