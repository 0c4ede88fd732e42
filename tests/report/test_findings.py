"""The page of what the findings became: rows from ledgers, nothing of a quick look."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jacprobe.errors import StudyError
from jacprobe.report.findings import findings_page
from tests.report.ledgers import BLANK


def line(claim_id: str, verdict: str = "SUPPORTED", **changes: Any) -> dict[str, Any]:
    return {
        "id": claim_id,
        "group": claim_id.partition("-")[0],
        "study": "real",
        "finding": "A | B.",
        "criterion": "> 0, SESOI 0.1",
        "effect": 0.25,
        "ci": [0.2, 0.3],
        "p_adjusted": 0.01,
        "published": [{"value": 0.12, "source": "NB05", "id": f"F{i}"} for i in range(5)],
        "as_published": {"test": {"p": 0.947, "fold": 0.53, "of": 2024}},
        "verdict": verdict,
        "expected": ["SUPPORTED", "NOT EVALUATED"],
        "reason": "because",
        "flags": ["one draw"],
        "provenance": {"quick": None, "evidence": {"nb05_clusters.csv": "0" * 64}},
        **changes,
    }


def cells(page, claim_id):
    (row,) = [text for text in page.splitlines() if f"`{claim_id}`" in text]
    return [cell.strip() for cell in row.replace("\\|", "/").strip("|").split("|")]


def test_a_judged_claim_has_both_statistics_the_verdict_why_and_the_demos():
    page = findings_page([line("nb05-a", "REFUTED")], [line("nb05-a", study="demo")])
    assert cells(page, "nb05-a") == [
        "A / B. `nb05-a`",
        "SUPPORTED; 0.12 (NB05); 0.12 (NB05); 0.12 (NB05); 2 more",
        "p 0.947, fold 0.53, of 2024",
        "0.25 [0.2, 0.3], claimed > 0, SESOI 0.1",
        "**REFUTED**",
        "because. one draw",
        "SUPPORTED",
    ]
    assert "1 of 1 claims judged, from nb05_clusters.csv. Beside it the study demo, 1 claims." in page


def test_what_was_not_evaluated_stands_apart_with_what_it_lacks():
    waiting = line("nb02-b", "NOT EVALUATED", reason="no model", effect=None, expected=["A", "B", "NOT EVALUATED"])
    page = findings_page([line("nb05-a"), waiting], [line("nb02-b", "REFUTED", study="demo")])
    assert page.index("## NB05") < page.index("## Not evaluated")
    assert "## NB02" not in page
    assert cells(page, "nb02-b")[1].startswith("not stated")
    assert cells(page, "nb02-b")[2:] == ["no model", "0.25 [0.2, 0.3], 0.0100", "REFUTED"]
    assert cells(page, "nb05-a")[-1] == "-"


def test_quick_looks_and_empty_ledgers_are_no_findings():
    with pytest.raises(StudyError, match="an empty ledger"):
        findings_page([])
    with pytest.raises(StudyError, match="a quick look"):
        findings_page([line("nb05-a", provenance={"quick": 40})])


def test_the_command_prints_the_page(tmp_path):
    from typer.testing import CliRunner

    from jacprobe.cli import app

    whole: dict[str, Any] = {**BLANK, **line("nb05-a")}
    (tmp_path / "verdicts.jsonl").write_text(json.dumps(whole) + "\n")
    found = CliRunner().invoke(app, ["findings", str(tmp_path / "verdicts.jsonl")])
    assert found.exit_code == 0
    assert found.stdout == findings_page([whole])
