"""Expectations are data: complete, of known claims, of known verdicts."""

from __future__ import annotations

import json

import pytest

from jacprobe.errors import StudyError
from jacprobe.verdicts.expectations import ANY, Expectation, expectations_from_ledger, study_expectations
from jacprobe.verdicts.judge import Verdict
from tests.report.ledgers import BLANK

ROWS = ("nb02-a", "nb02-b")


def test_one_verdict_or_several(tmp_path):
    (tmp_path / "expected.toml").write_text(
        '[nb02-a]\nexpected = "REFUTED"\nreason = "planted absent"\n'
        '[nb02-b]\nexpected = ["SUPPORTED", "INCONCLUSIVE"]\nreason = "power .6"\n'
    )
    read = study_expectations(tmp_path, ROWS)
    assert read["nb02-a"].verdicts == (Verdict.REFUTED,)
    assert read["nb02-b"].admits(Verdict.INCONCLUSIVE)
    assert not read["nb02-b"].admits(Verdict.REFUTED)


def test_without_a_stated_expectation_every_verdict_is_expected(tmp_path):
    assert study_expectations(tmp_path, ROWS) == {}
    assert Expectation().verdicts == ANY
    assert Verdict.ERROR not in ANY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[nb02-c]\nexpected = "REFUTED"\nreason = "x"\n', "stale expectation.*nb02-c"),
        ('[nb02-a]\nexpected = "MAYBE"\nreason = "x"\n', "MAYBE"),
        ('[nb02-a]\nexpected = "ERROR"\nreason = "x"\n', "ERROR"),
        ('[nb02-a]\nexpected = []\nreason = "x"\n', "expects"),
        ('[nb02-a]\nexpected = "REFUTED"\n', "incomplete"),
        ("[nb02-a\n", "not readable as TOML"),
    ],
)
def test_what_no_study_may_state(tmp_path, text, message):
    (tmp_path / "expected.toml").write_text(text)
    with pytest.raises(StudyError, match=message):
        study_expectations(tmp_path, ROWS)


def ledger(path, *lines):
    path.write_text("".join(json.dumps(BLANK | line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_an_earlier_ledger_becomes_the_expectation(tmp_path):
    path = ledger(
        tmp_path / "old.jsonl",
        {"id": "nb02-a", "study": "toy", "verdict": "REFUTED"},
        {"id": "nb02-b", "study": "toy", "verdict": "ERROR"},
    )
    read = expectations_from_ledger(path, ROWS, "toy")
    assert read["nb02-a"].verdicts == (Verdict.REFUTED,)
    assert "nb02-b" not in read


def test_a_ledger_of_another_study_or_of_claims_that_are_gone_is_refused(tmp_path):
    with pytest.raises(StudyError, match="of the study other"):
        expectations_from_ledger(
            ledger(tmp_path / "o", {"id": "nb02-a", "study": "other", "verdict": "REFUTED"}), ROWS, "toy"
        )
    with pytest.raises(StudyError, match="stale expectation"):
        expectations_from_ledger(
            ledger(tmp_path / "g", {"id": "nb02-z", "study": "toy", "verdict": "REFUTED"}), ROWS, "toy"
        )
    with pytest.raises(StudyError, match="not readable"):
        expectations_from_ledger(tmp_path / "none.jsonl", ROWS, "toy")
