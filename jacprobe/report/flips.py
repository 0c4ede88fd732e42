"""What became of every claim since the run before, as a table for a report."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from jacprobe.errors import StudyError, inert
from jacprobe.verdicts.comparison import Outcome, compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.verdicts.comparison import Change
    from jacprobe.verdicts.ledger import Entry

HEAD = ("outcome", "claim", "before", "now", "effect before", "effect now", "why")


def flips_table(before: Sequence[Entry], now: Sequence[Entry]) -> str:
    """Return what flipped and what else changed from one ledger to the next, as comma-separated values.

    Flips are judged from the ledgers alone (rule M, unpaired); ledgers that cannot be compared leave one row that says
    why.
    """
    try:
        changes = compare(before, now).changes
    except StudyError as error:
        rows: list[Sequence[Any]] = [("not compared", "", "", "", "", "", inert(error))]
    else:
        order = {outcome: place for place, outcome in enumerate(Outcome)}
        changed = [change for change in changes if change.outcome is not Outcome.SAME]
        rows = [_row(change) for change in sorted(changed, key=lambda change: order[change.outcome])]
        rows = rows or [("same", "every claim", "", "", "", "", "no verdict changed since the run before")]
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(rows)
    return page.getvalue()


def _row(change: Change) -> Sequence[Any]:
    old, new = change.old, change.new
    return (
        change.outcome,
        inert(change.id),
        old["verdict"] if old else "",
        new["verdict"] if new else "",
        old["effect"] if old else "",
        new["effect"] if new else "",
        inert(change.why),
    )
