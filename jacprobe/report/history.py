"""Runs of a study over time, as Allure keeps them: made from the ledgers, so that nothing is there twice or missing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jacprobe.errors import StudyError, inert
from jacprobe.report.allure import STATUS, anchor, identity, labels
from jacprobe.report.describe import title
from jacprobe.results import HISTORY, LEDGER
from jacprobe.terminal import quantity
from jacprobe.verdicts.ledger import read_cut_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jacprobe.verdicts.ledger import Entry

RUNS = 20  # earlier runs that a report looks back on
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(?:-(\d+))?$")
_SHOWN = ("verdict", "feature", "severity")  # labels by which a run is charted


@dataclass(frozen=True)
class Run:
    """A finished run: when its ledger was written, and the ledger's lines."""

    when: datetime
    lines: tuple[Entry, ...]


def earlier_runs(results: Path, study: str, *, quick: object = None) -> list[Run]:
    """Return the runs of a study before that of a results folder, the oldest first.

    A folder that stands in a history itself has those before it. Left out are ledgers that cannot be read, and quick
    looks beside full runs, of which they say nothing.
    """
    within = results.resolve().parent.name == HISTORY
    past = results.resolve().parent if within else results / HISTORY
    folders = sorted((ledger.parent for ledger in past.glob(f"*/{LEDGER}")), key=_order)
    if within:
        folders = [folder for folder in folders if _order(folder) < _order(results.resolve())]
    found: list[Run] = []
    for folder in reversed(folders):
        if len(found) == RUNS:
            break
        try:
            run = read_run(folder / LEDGER)
        except StudyError:
            continue
        if run.lines and all(of_kind(line, study, quick) for line in run.lines):
            found.append(run)
    return found[::-1]


def read_run(ledger: Path) -> Run:
    """Return the run of a ledger; errors as of `read_cut_ledger`.

    Its time is that in the name of a history's folder, which outlives copying, or that of the file.
    """
    lines, _ = read_cut_ledger(ledger)
    stamp = _STAMP.match(ledger.resolve().parent.name)
    if stamp:
        when = datetime.strptime(stamp.group(1), "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)
    else:
        when = datetime.fromtimestamp(ledger.stat().st_mtime, tz=UTC)
    return Run(when, tuple(lines))


def _order(folder: Path) -> tuple[str, int]:
    """Return what sorts a history's folders: their time, then the number that tells runs of one second apart."""
    stamp = _STAMP.match(folder.name)
    return (stamp.group(1), int(stamp.group(2) or 1)) if stamp else (folder.name, 1)


def of_kind(line: Entry, study: str, quick: object) -> bool:
    """Whether a line is of a study, and of a full run or a quick look as asked for."""
    return line["study"] == study and line["provenance"].get("quick") == quick


def history(runs: Sequence[Run]) -> str:
    """Return runs as Allure's history: a line of JSON for each."""
    return "".join(f"{json.dumps(_point(run), ensure_ascii=False)}\n" for run in runs)


def _point(run: Run) -> dict[str, Any]:
    moment = round(1000 * run.when.timestamp())
    stamp = f"{run.when:%Y-%m-%d %H:%M} UTC"
    content = json.dumps(run.lines, sort_keys=True)
    return {
        "uuid": hashlib.sha256(f"{moment} {content}".encode()).hexdigest()[:32],
        "name": stamp,
        "timestamp": moment,
        "knownTestCaseIds": [_md5(identity(line["id"])) for line in run.lines],
        "testResults": {_history_id(line): _item(line, moment) for line in run.lines},
        "metrics": {inert(line["id"]): line["effect"] for line in run.lines if line["effect"] is not None},
        "url": "",
    }


def _item(line: Entry, moment: int) -> dict[str, Any]:
    duration = round(1000 * line["seconds"])
    return {
        "id": _md5(f"{anchor(line['id'])} {moment}"),
        "name": title(line),
        "fullName": f"claims.{inert(line['id'])}",
        "environment": "default",
        "status": STATUS[line["verdict"]],
        "message": f"{line['verdict']}: {quantity(line)}, claimed {inert(line['criterion'])}",
        "start": moment - duration,
        "stop": moment,
        "duration": duration,
        "labels": [{"name": name, "value": value} for name, value in labels(line) if name in _SHOWN],
        "url": "",
        "historyId": _history_id(line),
        "reportLinks": [],
    }


def _history_id(line: Entry) -> str:
    """Return what Allure computes: its own hash of the identity, and of the parameters, which are all excluded."""
    return f"{_md5(identity(line['id']))}.{_md5('')}"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
