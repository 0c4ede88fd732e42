"""Baselines are replaced whole, with date and reason, and never by a run that is less than the one before."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from jacprobe.errors import InputError, JacprobeError, StudyError
from jacprobe.verdicts import baselines
from jacprobe.verdicts.baselines import accept, baseline_path, require_baseline
from jacprobe.verdicts.chain import chained
from jacprobe.verdicts.ledger import read_ledger, write_ledger
from tests.verdicts.test_comparison import line

NOW = datetime(2025, 11, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "studies" / "toy").mkdir(parents=True)
    return tmp_path / "studies" / "toy"


def ledger(path, *lines, chain=True):
    write_ledger(path, chained(lines) if chain else lines)
    return path


def test_the_old_baseline_stays_with_date_and_reason(folder, tmp_path):
    first = ledger(tmp_path / "first.jsonl", line("nb01-a"))
    second = ledger(tmp_path / "second.jsonl", line("nb01-a", "REFUTED", 0.0), line("nb01-b"))
    assert accept(first, folder, "the first", NOW).replaced is None
    path = require_baseline(folder, "toy")
    assert path == baseline_path(folder, "toy") == tmp_path / "studies" / "baselines" / "toy.jsonl"
    accept(second, folder, "retrained, \x1b[31mred", NOW.replace(day=3))
    assert path.read_bytes() == second.read_bytes()
    log = [json.loads(text) for text in path.with_suffix(".accepted.jsonl").read_text().splitlines()]
    assert [(one["accepted"], one["reason"]) for one in log] == [
        ("2025-11-02T10:00:00+00:00", "the first"),
        ("2025-11-03T10:00:00+00:00", "retrained, \x1b[31mred"),
    ]
    kept = [read_ledger(path.parent / one["ledger"]) for one in log]
    assert [len(lines) for lines in kept] == [1, 2]


def test_what_is_no_baseline_is_refused_and_nothing_is_touched(folder, tmp_path):
    path = tmp_path / "verdicts.jsonl"
    accept(ledger(path, line("nb01-a"), line("nb01-b")), folder, "first", NOW)
    before = sorted(file.read_bytes() for file in (tmp_path / "studies" / "baselines").rglob("*.jsonl"))
    for lines, chain, message in (
        ([line("nb01-a")], True, "1 claims of the present baseline are not in it, such as nb01-b"),
        ([line("nb01-a"), line("nb01-b", "ERROR")], True, "1 claims with ERROR, such as nb01-b"),
        ([line("nb01-a"), line("nb01-b")], False, "line 1 .* has no chain"),
        ([line("nb01-a", provenance={"quick": 40}), line("nb01-b")], True, "quick look"),
    ):
        with pytest.raises(StudyError, match=message):
            accept(ledger(path, *lines, chain=chain), folder, "second", NOW)
    with pytest.raises(InputError, match="an empty reason"):
        accept(path, folder, " ", NOW)
    assert before == sorted(file.read_bytes() for file in (tmp_path / "studies" / "baselines").rglob("*.jsonl"))


def test_a_run_that_dies_on_the_way_leaves_the_old_baseline(folder, tmp_path, monkeypatch):
    path = ledger(tmp_path / "verdicts.jsonl", line("nb01-a"))
    accept(path, folder, "first", NOW)
    before = baseline_path(folder, "toy").read_bytes()

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(baselines.os, "fsync", full)
    with pytest.raises(JacprobeError, match="not writable: no space left"):
        accept(ledger(path, line("nb01-a", "REFUTED")), folder, "second", NOW)
    assert baseline_path(folder, "toy").read_bytes() == before
    assert not list((tmp_path / "studies").rglob("*.partial"))


def test_a_study_without_a_baseline_says_how_to_accept_one(folder):
    with pytest.raises(StudyError, match="jacprobe accept LEDGER --reason TEXT"):
        require_baseline(folder, "toy")
