"""Allure results: complete, identified by claim, inert, with the key figure inline."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from typing import Any

import numpy as np
import pytest

from jacprobe.estimate import Estimate, Null
from jacprobe.report import allure
from jacprobe.report.allure import write_allure
from jacprobe.report.figures import key_figure
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import Above
from jacprobe.verdicts.expectations import Expectation
from jacprobe.verdicts.judge import Judgement, Verdict
from jacprobe.verdicts.ledger import entry
from tests.report.ledgers import composite, few

DRAWS = np.random.default_rng(0).normal(0, 0.1, 9999)
NULLS = tuple(Null(name, 1e-4, 0.0, 0.1, 9999, 1e-4, DRAWS) for name in ("random sets", "matched sets"))
ESTIMATE = Estimate(0.56, 13, (0.39, 0.73), (0.42, 0.7), 1e-4, nulls=NULLS)
STATUS = {
    Verdict.SUPPORTED: "passed",
    Verdict.REFUTED: "failed",
    Verdict.INCONCLUSIVE: "unknown",
    Verdict.NOT_EVALUATED: "skipped",
    Verdict.ERROR: "broken",
}


def line(
    claim_id: str = "nb02-toy", verdict: Verdict = Verdict.SUPPORTED, finding: str = "It holds."
) -> dict[str, Any]:
    claim = Claim(claim_id, finding, "a mean", {}, Above(0, 0.1), "toy.measure", "KDs", published_effect=0.314)
    measured = ESTIMATE if verdict in list(Verdict)[:3] else None
    expectation = Expectation((Verdict.SUPPORTED,), "planted")
    return entry(
        claim, Judgement(verdict, "because"), expectation, study="demo", models=["fewshot/hepg2"],
        provenance={"versions": {"torch": "2"}}, estimate=measured, seconds=0.5,
    )  # fmt: skip


def written(folder, lines) -> dict[str, dict[str, Any]]:
    write_allure(folder, lines, started_ms=1_000)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*-result.json")]
    return {result["fullName"].removeprefix("claims."): result for result in results}


def test_one_result_per_claim_with_the_status_of_its_verdict(tmp_path):
    results = written(tmp_path, [line(f"nb02-{i}", verdict) for i, verdict in enumerate(STATUS)])
    assert [results[f"nb02-{i}"]["status"] for i in range(5)] == list(STATUS.values())
    assert all(result["stop"] - result["start"] == 500 for result in results.values())
    assert min(result["start"] for result in results.values()) == 1_000


def test_identity_is_the_claims_and_nothing_elses(tmp_path):
    first = written(tmp_path / "a", [line("nb02-a"), line("nb02-b")])
    again = written(tmp_path / "b", [line("nb02-a", Verdict.REFUTED)])
    assert first["nb02-a"]["historyId"] == again["nb02-a"]["historyId"] != first["nb02-b"]["historyId"]
    assert all(parameter["excluded"] for parameter in first["nb02-a"]["parameters"])


def test_title_and_labels_make_the_tree_a_verdict_table(tmp_path):
    result = written(tmp_path, [line()])["nb02-toy"]
    assert result["name"] == "nb02-toy · fewshot/hepg2 · SUPPORTED [0.56 against 0.314]"
    labels = {label["name"]: label["value"] for label in result["labels"] if label["name"] != "tag"}
    assert labels["verdict"] == "SUPPORTED"
    assert labels["feature"] == "NB02"


def test_the_description_holds_what_a_reviewer_needs(tmp_path):
    described = written(tmp_path, [line()])["nb02-toy"]["descriptionHtml"]
    for part in ("It holds.", "0.314", "0.56 [0.39, 0.73]", "1.0e-04", "13 KDs", "planted", "SESOI 0.1"):
        assert part in described
    (png,) = re.findall(r'src="data:image/png;base64,([^"]+)"', described)
    assert base64.b64decode(png).startswith(b"\x89PNG")


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b[31mred"])
def test_hostile_text_is_inert(tmp_path, hostile):
    result = written(tmp_path, [line(finding=hostile)])["nb02-toy"]
    assert "<script" not in result["descriptionHtml"]
    assert "<img src=x" not in result["descriptionHtml"]
    assert "\x1b" not in result["descriptionHtml"]


def test_a_ledger_hostile_everywhere_brings_no_tag_and_no_escape_into_any_result(tmp_path):
    for result in written(tmp_path, few()).values():
        assert not re.search(r"<script|<img src=x", result["descriptionHtml"])
        assert "\x1b" not in str(result)


def test_the_difference_of_what_was_expected_and_found_is_shown(tmp_path):
    details = written(tmp_path, [line(verdict=Verdict.REFUTED)])["nb02-toy"]["statusDetails"]
    assert details["expected"].splitlines()[:2] == ["verdict: SUPPORTED", "effect: > 0, SESOI 0.1"]
    assert details["actual"].splitlines()[:2] == ["verdict: REFUTED", "effect: 0.56 [0.39, 0.73]"]
    assert details["expected"].endswith("because: planted")


def test_the_parts_of_a_composite_are_its_steps(tmp_path):
    lines = [line("nb02-a"), composite("conclusion-all", ("nb02-a", "nb02-elsewhere"), Verdict.INCONCLUSIVE)]
    result = written(tmp_path, lines)["conclusion-all"]
    assert [step["status"] for step in result["steps"]] == ["passed"]
    assert result["steps"][0]["name"].startswith("nb02-a · fewshot/hepg2 · SUPPORTED")
    assert "nb02-elsewhere" in result["descriptionHtml"]
    assert {"name": "severity", "value": "critical"} in result["labels"]


def test_tables_hold_the_unrounded_numbers_and_no_formula(tmp_path):
    hostile = line()
    hostile["diagnostics"]["=cmd()"] = [1 / 3, "@sum"]
    result = written(tmp_path, [hostile])["nb02-toy"]
    found = {one["name"]: tmp_path / one["source"] for one in result["attachments"]}
    assert set(found) == {"null distributions.csv", "diagnostics.csv", "ledger line"}
    nulls = list(csv.DictReader(io.StringIO(found["null distributions.csv"].read_text(encoding="utf-8"))))
    assert [(row["null"], float(row["p"])) for row in nulls] == [("random sets", 1e-4), ("matched sets", 1e-4)]
    rows = list(csv.reader(io.StringIO(found["diagnostics.csv"].read_text(encoding="utf-8"))))
    assert ["'=cmd()", "1", repr(1 / 3)] in rows
    assert ["'=cmd()", "2", "'@sum"] in rows
    assert json.loads(found["ledger line"].read_text(encoding="utf-8")) == hostile


def test_effects_are_measurements_whose_trend_is_drawn(tmp_path):
    written(tmp_path, [line("nb02-a"), line("nb03-b", Verdict.ERROR)])
    (path,) = tmp_path.glob("*-perf.json")
    (metric,) = json.loads(path.read_text(encoding="utf-8"))
    assert (metric["key"], metric["group"], metric["value"]) == ("nb02-a", "NB02", 0.56)


def test_the_executor_says_what_ran_and_when(tmp_path):
    written(tmp_path, [line()])
    executor = json.loads((tmp_path / "executor.json").read_text(encoding="utf-8"))
    assert executor["buildOrder"] == 1
    assert executor["buildName"] == "study demo, 1970-01-01 00:00 UTC"


def test_two_writings_of_one_run_differ_in_file_names_alone(tmp_path):
    first, again = written(tmp_path / "a", few()), written(tmp_path / "b", few())
    assert first == again
    assert len(first) == len(few())


def test_figures_beyond_what_a_report_holds_are_left_out_the_largest_first(tmp_path, monkeypatch):
    lines = [line("nb02-a"), line("nb02-b"), line("nb02-c")]
    lines[1]["diagnostics"]["nulls"] = []
    small, large = (len(key_figure(one) or b"") for one in (lines[1], lines[0]))
    assert small < large
    monkeypatch.setattr(allure, "INLINE", small + large)
    results = written(tmp_path, lines)
    shown = [name for name, result in results.items() if "<img" in result["descriptionHtml"]]
    assert sorted(shown) == ["nb02-a", "nb02-b"]


def test_figures_are_kept_for_the_next_report(tmp_path):
    write_allure(tmp_path / "allure", [line()], keep=tmp_path)
    (kept,) = (tmp_path / "figures").glob("nb02-toy-*.png")
    assert kept.read_bytes() == key_figure(line())


def test_figures_are_small_and_only_drawn_where_something_is_random():
    figure = key_figure(line())
    assert figure is not None
    assert len(figure) <= 40_000
    assert key_figure(line(verdict=Verdict.ERROR)) is None


def test_figures_are_the_same_bytes_each_time():
    assert key_figure(line()) == key_figure(line())


def test_the_environment_names_study_and_versions(tmp_path):
    written(tmp_path, [line()])
    assert (tmp_path / "environment.properties").read_text() == "study=demo\nversion.torch=2\n"
