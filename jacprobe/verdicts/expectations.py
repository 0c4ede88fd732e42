"""What a study, or an earlier run, expects of each claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe import texts
from jacprobe.errors import StudyError, unknown_names
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from jacprobe.verdicts.ledger import Entry

ANY = tuple(word for word in Verdict if word is not Verdict.ERROR)


@dataclass(frozen=True)
class Expectation:
    """Admissible verdicts of a claim and why; without a stated one every verdict is expected.

    `criterion` is the hash of the criterion that they were stated for; by another one they say nothing. `earlier` is
    the ledger line that they are taken from, where they are an earlier run's: rule M then tells what is a flip.
    """

    verdicts: tuple[Verdict, ...] = ANY
    reason: str = ""
    criterion: str = ""
    earlier: Entry | None = None

    def admits(self, verdict: Verdict) -> bool:
        """Whether `verdict` is an expected one."""
        return verdict in self.verdicts


def read_expectations(path: Path, rows: Collection[str]) -> dict[str, Expectation]:
    """Read expected.toml: a table per claim id with `expected` (a verdict or a list), `reason` and `criterion`.

    Raises
    ------
    StudyError
        Where an id is none of `rows` (a stale expectation), a verdict is no verdict or a reason is missing.
    """
    try:
        table = texts.read_toml(path)
    except (OSError, ValueError) as error:
        raise StudyError(f"not readable as TOML: {error}", "a TOML file of expectations", where=path) from error
    check_ids(list(table), rows, path)
    return {claim_id: _expectation(claim_id, entry, path) for claim_id, entry in table.items()}


def study_expectations(folder: Path, rows: Collection[str]) -> dict[str, Expectation]:
    """Return what a study states in its expected.toml; a study without one expects nothing in particular."""
    path = folder / "expected.toml"
    return read_expectations(path, rows) if path.is_file() else {}


def expectations_from_ledger(
    path: Path, rows: Collection[str], study: str, lines: list[Entry] | None = None
) -> dict[str, Expectation]:
    """Return the verdicts of an earlier run as expectations; an ERROR there was no verdict and expects nothing.

    `lines` are those of the ledger at `path`, where they have been read.

    Raises
    ------
    StudyError
        Where the ledger is of another study or of a quick look, or has a claim that no row states any more.
    """
    lines = read_ledger(path) if lines is None else lines
    if any(line["provenance"].get("quick") for line in lines):
        raise StudyError("a ledger of a quick look", "one of a full run", "Run pytest claims/ without --quick.", path)
    other = sorted({line["study"] for line in lines} - {study})
    if other:
        raise StudyError(f"a ledger of the study {', '.join(other)}", f"one of {study}", where=path)
    check_ids([line["id"] for line in lines], rows, path)
    judged = [line for line in lines if line["verdict"] != Verdict.ERROR]
    because = f"so it came out in {path.name}"
    return {
        line["id"]: Expectation((Verdict(line["verdict"]),), because, line["criterion_hash"], line) for line in judged
    }


def check_ids(ids: list[str], rows: Collection[str], where: object) -> None:
    """Refuse expectations of claims that no row states any more."""
    stale = [claim_id for claim_id in ids if claim_id not in rows]
    if stale:
        error = unknown_names("claim id", stale, list(rows), where=where)
        raise StudyError(f"stale expectation: {error.given}", error.wanted, "Remove or rename it.", where=where)


def _expectation(claim_id: str, entry: object, path: Path) -> Expectation:
    if not isinstance(entry, dict) or "expected" not in entry or not str(entry.get("reason", "")).strip():
        raise StudyError(f"[{claim_id}] is incomplete", "`expected` and a `reason`", where=path)
    words = entry["expected"] if isinstance(entry["expected"], list) else [entry["expected"]]
    known = [str(word) for word in ANY]
    if not words or any(word not in known for word in words):
        raise StudyError(f"[{claim_id}] expects {entry['expected']!r}", f"of {', '.join(known)}", where=path)
    return Expectation(tuple(Verdict(word) for word in words), entry["reason"], str(entry.get("criterion", "")))
