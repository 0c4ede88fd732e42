"""The plugin as people use it: pytest run on claims, its words, exit codes and ledger."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from fixtures.run_folders import write_run_folder

ROWS = """
CLAIMS = [
    row("nb01-present", "present", family="nb01/toy"),
    row("nb01-absent", "absent", family="nb01/toy"),
    row("nb01-missing", "present", evidence={"x": Delta("zeroshot/hepg2")}),
    row("nb02-both", None, AllOf(("nb01-present", "nb01-absent"))),
]
"""
VERDICTS = {
    "nb01-present": "SUPPORTED",
    "nb01-absent": "REFUTED",
    "nb01-missing": "NOT EVALUATED",
    "nb02-both": "REFUTED",
}


def timeless(ledger: dict[str, dict]) -> list[dict]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in ledger.values()]


def unchained(ledger: dict[str, dict]) -> list[dict]:
    """Return lines without the chain, which holds all lines of a run together."""
    return [{**line, "provenance": line["provenance"] | {"chain": None}} for line in timeless(ledger)]


def test_verdicts_are_words_in_terminal_ledger_and_allure(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.expect(nb01_present="SUPPORTED", nb01_absent="REFUTED")
    run = toy_suite.run()
    assert run.returncode == 0, run.stdout
    assert {claim: line["verdict"] for claim, line in toy_suite.ledger().items()} == VERDICTS
    for claim, verdict in VERDICTS.items():
        assert f"[{claim}] {verdict}" in run.stdout
    assert "study: toy" in run.stdout
    assert "4 claims: 1 SUPPORTED, 2 REFUTED, 1 NOT EVALUATED; 0 unexpected" in run.stdout
    results = [json.loads(path.read_text()) for path in (toy_suite.folder / "results" / "allure").glob("*-result.json")]
    assert sorted(result["status"] for result in results) == ["failed", "failed", "passed", "skipped"]


def test_an_unexpected_verdict_fails_with_a_line_that_reads_alone(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.expect(nb01_present="REFUTED")
    run = toy_suite.run("-k", "present")
    assert run.returncode == 1
    line = next(line for line in run.stdout.splitlines() if line.startswith("unexpected"))
    for part in (
        "nb01-present: SUPPORTED",
        "effect 0.5",
        "claimed > 0, SESOI 0.1",
        "n = 20",
        "null: shuffled",
        "Expected REFUTED, because planted",
    ):
        assert part in line


def test_not_evaluated_fails_where_evaluation_is_required(toy_suite):
    toy_suite.claims(ROWS)
    run = toy_suite.run("--require-evaluated")
    assert run.returncode == 1
    assert "no model for the role zeroshot/hepg2" in toy_suite.ledger()["nb01-missing"]["reason"]


@pytest.mark.parametrize("measure", ["broken", "nothing"])
def test_an_exception_is_an_error_and_no_verdict(toy_suite, measure):
    toy_suite.claims(f'CLAIMS = [row("nb01-a", "{measure}"), row("nb01-b", "present")]')
    run = toy_suite.run()
    assert run.returncode == 1
    assert {claim: line["verdict"] for claim, line in toy_suite.ledger().items()} == {
        "nb01-a": "ERROR",
        "nb01-b": "SUPPORTED",
    }
    assert "1 error" in run.stdout


def test_a_crashed_workers_claim_is_an_error_and_the_rest_go_on(toy_suite):
    toy_suite.claims('CLAIMS = [row("nb01-a", "dying"), row("nb01-b", "present"), row("nb01-c", "absent")]')
    run = toy_suite.run("-n", "2")
    assert run.returncode == 1
    ledger = toy_suite.ledger()
    assert {claim: line["verdict"] for claim, line in ledger.items()} == {
        "nb01-a": "ERROR",
        "nb01-b": "SUPPORTED",
        "nb01-c": "REFUTED",
    }
    assert "crashed" in ledger["nb01-a"]["reason"]
    assert len(list((toy_suite.folder / "results" / "allure").glob("*-result.json"))) == 3


def test_workers_selection_and_order_do_not_change_a_line(toy_suite):
    ids = [f"nb01-c{i}" for i in range(6)]
    rows = ", ".join(f'row("{name}", "borderline", family="nb01/toy")' for name in ids)
    toy_suite.claims(f'CLAIMS = [{rows}, row("nb01-p", "present", family="nb01/toy")]')
    runs = {"alone": (), "workers": ("-n", "2"), "selected": ("-k", "c3 or nb01-p")}
    ledgers = {}
    for name, arguments in runs.items():
        toy_suite.run(*arguments, "--results", name)
        ledgers[name] = toy_suite.ledger(name)
    shuffled = [f"claims/test_toy.py::test_toy[{name}]" for name in [*ids, "nb01-p"]]
    random.Random(1).shuffle(shuffled)
    toy_suite.run("--results", "shuffled", *shuffled, "--deselect", "claims/none")
    ledgers["shuffled"] = toy_suite.ledger("shuffled")
    assert timeless(ledgers["workers"]) == timeless(ledgers["alone"])
    assert timeless(ledgers["shuffled"]) == timeless(ledgers["alone"])
    assert unchained(ledgers["selected"]) == [
        line for line in unchained(ledgers["alone"]) if line["id"] in ("nb01-c3", "nb01-p")
    ]
    assert ledgers["alone"]["nb01-c3"]["p_adjusted"] > 0.05 > ledgers["alone"]["nb01-c3"]["p"]


def test_an_earlier_complete_run_moves_to_the_history(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.run()
    first = (toy_suite.folder / "results" / "verdicts.jsonl").read_text()
    toy_suite.run("-k", "present")
    (kept,) = (toy_suite.folder / "results" / "history").iterdir()
    assert (kept / "verdicts.jsonl").read_text() == first
    assert list(toy_suite.ledger()) == ["nb01-present"]


def test_a_selection_of_nothing_leaves_an_earlier_run_as_it_is(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.run()
    before = sorted(path.relative_to(toy_suite.folder) for path in (toy_suite.folder / "results").rglob("*"))
    for arguments in ((), ("-n", "1")):
        assert toy_suite.run("-k", "no_such_claim", *arguments).returncode == 5
        after = sorted(path.relative_to(toy_suite.folder) for path in (toy_suite.folder / "results").rglob("*"))
        assert after == before


def test_an_earlier_ledger_as_expectation_finds_what_flipped(toy_suite):
    toy_suite.claims(ROWS.replace('"nb01-absent", "absent"', '"nb01-absent", "switching"'))
    toy_suite.run()
    assert toy_suite.run("--expect", "results/verdicts.jsonl", "--results", "same").returncode == 0
    (toy_suite.folder / "new-weights").touch()
    run = toy_suite.run("--expect", "results/verdicts.jsonl", "--results", "retrained")
    assert run.returncode == 1
    assert "nb01-absent: SUPPORTED" in run.stdout
    assert "so it came out in verdicts.jsonl (flip: the effects differ by 0.5" in run.stdout


def test_a_verdict_that_changed_within_the_margin_is_no_flip(toy_suite):
    """An effect of 0.3 that is significant only with the new weights: another verdict, and the same effect."""
    toy_suite.claims(
        'CLAIMS = [row("nb01-near", "wavering"), row("nb02-all", None, AllOf(("nb01-near",)))]',
    )
    toy_suite.run()
    (toy_suite.folder / "new-weights").touch()
    run = toy_suite.run("--expect", "results/verdicts.jsonl", "--results", "retrained")
    assert run.returncode == 0, run.stdout
    before, after = toy_suite.ledger(), toy_suite.ledger("retrained")
    for claim in ("nb01-near", "nb02-all"):
        assert (before[claim]["verdict"], after[claim]["verdict"]) == ("INCONCLUSIVE", "SUPPORTED")
        assert after[claim]["expected"] == ["INCONCLUSIVE", "SUPPORTED"]
        assert any(flag.startswith("changed, no flip: ") for flag in after[claim]["flags"])


def test_the_accepted_baseline_is_what_later_runs_are_held_against(toy_suite):
    toy_suite.claims(ROWS.replace('"nb01-absent", "absent"', '"nb01-absent", "switching"'))
    run = toy_suite.run("--expect", "baseline")
    assert run.returncode == 4
    assert "no baseline; wanted an accepted ledger. Accept one: jacprobe accept LEDGER" in run.stderr
    toy_suite.run()
    accepted = toy_suite.command("accept", "results/verdicts.jsonl", "--reason", "the first")
    assert accepted.returncode == 0, accepted.stderr
    assert toy_suite.run("--expect", "baseline").returncode == 0
    (toy_suite.folder / "new-weights").touch()
    assert toy_suite.run("--expect", "baseline").returncode == 1
    compared = toy_suite.command("compare", "fixtures/studies/baselines/toy.jsonl", "results/verdicts.jsonl")
    assert compared.returncode == 1, compared.stderr
    assert "flip (unpaired)" in compared.stdout
    verified = toy_suite.command("verify", "results/verdicts.jsonl")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--study", "tay"), "unknown study tay (nearest: toy)"),
        (("--expect", "none.jsonl"), "not readable"),
        (("--results", "pytest.ini"), "not writable"),
        (("--seed", "-1"), "wanted a whole number, 0 or more"),
    ],
)
def test_bad_options_end_the_run_before_anything_is_touched(toy_suite, arguments, message):
    toy_suite.claims(ROWS)
    run = toy_suite.run(*arguments)
    assert run.returncode == 4
    assert message in run.stderr
    assert not (toy_suite.folder / "results" / "verdicts.jsonl").exists()


def test_a_broken_run_folder_ends_the_run_and_names_the_file(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.run()
    before = toy_suite.ledger()
    (toy_suite.study / "run" / "checkpoints").mkdir(parents=True)
    (toy_suite.study / "run" / "checkpoints" / "best.ckpt").write_bytes(b"PK\x03\x04 cut short")
    with (toy_suite.study / "study.toml").open("a") as file:
        file.write('[models."fewshot/hepg2"]\nrun = "run"\ncell_line = "hepg2"\n')
    run = toy_suite.run()
    assert run.returncode == 4
    assert "ERROR: fewshot/hepg2: " in run.stderr
    assert "best.ckpt" in run.stderr
    assert toy_suite.ledger() == before


def test_control_cells_that_cannot_be_read_end_the_run_and_name_the_file(toy_suite):
    toy_suite.claims(ROWS)
    write_run_folder(toy_suite.study / "run", rng=np.random.default_rng(0))
    with (toy_suite.study / "study.toml").open("a") as file:
        file.write('[models."fewshot/hepg2"]\nrun = "run"\ncell_line = "hepg2"\n')
    run = toy_suite.run()
    assert run.returncode == 4
    assert "toy/cells: not readable as h5ad" in run.stderr
    assert not (toy_suite.folder / "results").exists()
    assert "device abacus" in toy_suite.run("--device", "abacus").stderr.replace("'", "")


@pytest.mark.parametrize(("source", "found"), [("import none_such", "ModuleNotFoundError"), ("def (", "SyntaxError")])
def test_a_claim_module_that_cannot_be_imported_is_named(toy_suite, source, found):
    toy_suite.claims(ROWS)
    (toy_suite.folder / "claims" / "test_other.py").write_text(source)
    run = toy_suite.run()
    assert run.returncode == 4
    assert f"test_other.py: cannot be imported ({found}" in run.stderr


def test_stale_expectations_and_ids_used_twice_are_refused(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.expect(nb01_gone="SUPPORTED")
    run = toy_suite.run()
    assert (run.returncode, "stale expectation" in run.stderr) == (4, True)
    toy_suite.claims('CLAIMS = [row("nb01-a", "present"), row("nb01-a", "absent")]')
    run = toy_suite.run()
    assert (run.returncode, "used twice" in run.stderr) == (4, True)


def test_an_unknown_claim_id_is_refused_by_name(toy_suite):
    toy_suite.claims(ROWS)
    run = toy_suite.run("--claim", "nb01-presant")
    assert run.returncode == 4
    assert "unknown claim id nb01-presant (nearest: nb01-present" in run.stderr


def test_names_with_escapes_and_markup_are_shown_inert(toy_suite):
    toy_suite.claims('CLAIMS = [row("nb01-a", "present", unit="\\x1b[31mcells<script>alert(1)</script>")]')
    toy_suite.expect(nb01_a="REFUTED")
    toy_suite.rename("\x1b[31mtoy<b>")
    run = toy_suite.run()
    assert "\x1b" not in run.stdout
    assert "\x1b" not in (toy_suite.folder / "results" / "allure" / "environment.properties").read_text()
    (result,) = (toy_suite.folder / "results" / "allure").glob("*-result.json")
    described = json.loads(result.read_text())["descriptionHtml"]
    assert "<script>" not in described
    assert "&lt;script&gt;" in described


def test_collecting_computes_and_writes_nothing(toy_suite):
    toy_suite.claims(ROWS)
    run = toy_suite.run("--collect-only", "-q")
    assert run.returncode == 0
    assert not (toy_suite.folder / "results").exists()


def test_a_quick_look_expects_nothing_and_is_no_baseline(toy_suite):
    toy_suite.claims(ROWS)
    toy_suite.expect(nb01_present="REFUTED")
    run = toy_suite.run("--quick", "--results", "quick")
    assert run.returncode == 0, run.stdout
    lines = toy_suite.ledger("quick").values()
    assert all(line["provenance"]["quick"] == 40 for line in lines)
    assert all(any("quick look" in flag for flag in line["flags"]) for line in lines)
    again = toy_suite.run("--expect", "quick/verdicts.jsonl")
    assert again.returncode != 0
    assert "a ledger of a quick look" in again.stdout + again.stderr


def test_a_criterion_that_changed_since_is_said_and_is_no_flip(toy_suite):
    toy_suite.claims(ROWS)
    assert toy_suite.run("--results", "before").returncode == 0
    toy_suite.claims(ROWS.replace('"nb01-absent", "absent"', '"nb01-absent", "absent", Above(0, sesoi=0.01)'))
    run = toy_suite.run("--expect", "before/verdicts.jsonl")
    assert run.returncode == 0, run.stdout
    said, of_composite = [line for line in run.stdout.splitlines() if line.startswith("changed")]
    assert "nb02-both" in of_composite
    before, now = toy_suite.ledger("before")["nb01-absent"], toy_suite.ledger()["nb01-absent"]
    assert before["criterion_hash"] in said
    assert now["criterion_hash"] in said


def test_a_store_that_cannot_be_written_is_told_before_the_run(toy_suite):
    toy_suite.claims(ROWS)
    (toy_suite.folder / "file").touch()
    run = toy_suite.run("--store", str(toy_suite.folder / "file" / "store"))
    assert run.returncode == 4
    assert "the store cannot be written" in run.stderr
    assert "Give --store DIR" in run.stderr
    assert not (toy_suite.folder / "results" / "verdicts.jsonl").exists()


def test_every_line_of_a_quick_look_says_so_errors_too(toy_suite):
    toy_suite.claims(
        'CLAIMS = [row("nb01-a", "broken"), row("nb01-b", "present"), row("nb01-c", None, AllOf(("nb01-b",)))]'
    )
    toy_suite.run("--quick")
    assert {line["provenance"]["quick"] for line in toy_suite.ledger().values()} == {40}
