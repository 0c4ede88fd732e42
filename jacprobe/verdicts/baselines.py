"""Baselines: the ledger of each study that later runs are held against, and those that it replaced.

baselines/STUDY.jsonl              the ledger accepted last, beside the study's folder
baselines/STUDY.accepted.jsonl     when, why and by which hash each was accepted, one line each, oldest first
baselines/history/STUDY-*.jsonl    every ledger that was ever accepted, whole
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.errors import InputError, JacprobeError, StudyError
from jacprobe.verdicts.chain import broken, head
from jacprobe.verdicts.comparison import require_comparable
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import read_ledger

if TYPE_CHECKING:
    from datetime import datetime

    from jacprobe.verdicts.ledger import Entry

BASELINE = "baseline"
_FOLDER, _HISTORY = "baselines", "history"


@dataclass(frozen=True)
class Accepted:
    """An accepted ledger: where it stands now, where it is kept for good, and what it replaced (None: nothing)."""

    path: Path
    kept: Path
    replaced: str | None


def baseline_path(study_folder: Path, study: str) -> Path:
    """Return where the baseline of a study stands: beside its folder."""
    return study_folder.parent / _FOLDER / f"{study}.jsonl"


def require_baseline(study_folder: Path, study: str) -> Path:
    """Return the baseline of a study.

    Raises
    ------
    StudyError
        Where none was accepted.
    """
    path = baseline_path(study_folder, study)
    if not path.is_file():
        raise StudyError("no baseline", "an accepted ledger", "Accept one: jacprobe accept LEDGER --reason TEXT", path)
    return path


def accept(ledger: Path, study_folder: Path, reason: str, now: datetime) -> Accepted:
    """Make a ledger the baseline of its study; the one that it replaces stays in the history.

    Each file appears whole or not at all, the baseline last: a run that is killed leaves the old one.

    Parameters
    ----------
    ledger
        A whole ledger of a full run.
    study_folder
        Folder of its study.
    reason
        Why it is accepted.
    now
        When, with a time zone.

    Raises
    ------
    InputError
        Where the reason is empty.
    StudyError
        Where the ledger is cut or changed, of a quick look, has an ERROR, or lacks claims of the present baseline.
    JacprobeError
        Where the folder cannot be written.
    """
    if not reason.strip():
        raise InputError("an empty reason", "why this ledger is right", where="--reason")
    lines = read_ledger(ledger)
    _require_acceptable(lines, ledger)
    study = str(lines[0]["study"])
    path = baseline_path(study_folder, study)
    before = read_ledger(path) if path.is_file() else None
    lost = sorted({line["id"] for line in before or ()} - {line["id"] for line in lines})
    if lost:
        raise StudyError(
            f"{len(lost)} claims of the present baseline are not in it, such as {lost[0]}",
            "all of them",
            f"Judge all claims; or delete {path} if they are gone for good.",
            ledger,
        )
    content = ledger.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    kept = path.parent / _HISTORY / f"{study}-{now:%Y-%m-%dT%H-%M-%SZ}-{sha256[:8]}.jsonl"
    log = path.with_suffix(".accepted.jsonl")
    counts = Counter(str(line["verdict"]) for line in lines)
    record = {
        "accepted": now.isoformat(timespec="seconds"), "reason": reason.strip(), "sha256": sha256, "head": head(lines),
        "ledger": f"{_HISTORY}/{kept.name}", "claims": len(lines), "verdicts": dict(sorted(counts.items())),
    }  # fmt: skip
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        earlier = log.read_bytes() if log.is_file() else b""
        _write(kept, content)
        _write(log, earlier + (json.dumps(record, ensure_ascii=False) + "\n").encode())
        _write(path, content)
    except OSError as error:
        raise JacprobeError(
            f"not writable: {error}", "a folder that can be written", "Give the study's own folder by --study.", path
        ) from error
    return Accepted(path, kept, None if before is None else head(before))


def _require_acceptable(lines: list[Entry], ledger: Path) -> None:
    require_comparable(lines)
    fault = broken(lines)
    if fault is not None:
        raise StudyError(fault, "a ledger as it was written", "Judge the study again.", ledger)
    errors = [line["id"] for line in lines if line["verdict"] == Verdict.ERROR]
    if errors:
        raise StudyError(f"{len(errors)} claims with ERROR, such as {errors[0]}", "a run without errors", where=ledger)


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
