"""The command line: exit codes, JSON for machines, errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from jacprobe.cli import app
from jacprobe.commands.exit_codes import EXIT_CODES
from jacprobe.verdicts.chain import chained, head
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import few

ROOT = Path(__file__).parent.parent
COMMANDS = {
    "init", "demo", "demo build", "doctor", "plan", "collect", "store", "store list", "store size", "store missing",
    "store verify", "store gc", "claims", "report", "compare", "accept", "verify", "findings",
}  # fmt: skip


def jacprobe(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from jacprobe.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True)


def commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by the words that call it, groups included."""
    found = {}
    for name, command in getattr(group, "commands", {}).items():
        found |= {f"{prefix}{name}": command} | commands(command, f"{prefix}{name} ")
    return found


def test_every_command_shows_an_example_that_calls_it():
    there = commands(typer.main.get_command(app))
    assert set(there) == COMMANDS
    for name, command in there.items():
        if not hasattr(command, "commands"):
            assert f"\n\nExample: jacprobe {name}" in command.help, name


def test_help_comes_at_once_and_states_the_exit_codes():
    shown = " ".join(jacprobe("--help").stdout.split())
    page = " ".join((ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in shown
        assert f"| {code} | {meaning} |" in page
    # A time would be the machine's; what --help takes is what it imports, typer for the most part.
    program = (
        "import sys; sys.argv[1:] = ['--help']; from jacprobe.cli import main\n"
        "try: main()\nfinally: print(len(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout.splitlines()[-1]) < 400


@pytest.mark.parametrize(("words", "completed"), [("collect de", "demo"), ("claims --with few", "fewshot/jurkat")])
def test_a_shell_completes_studies_and_roles(words, completed):
    asked = {"_JACPROBE_COMPLETE": "complete_bash", "COMP_WORDS": f"jacprobe {words}", "COMP_CWORD": "2"}
    asked["COMP_CWORD"] = str(len(words.split()))
    program = "import sys; sys.argv[0] = 'jacprobe'; from jacprobe.cli import app; app(prog_name='jacprobe')"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **asked}
    )
    assert completed in run.stdout.split()


def test_claims_are_listed_for_machines_with_what_they_rest_on():
    rows = {row["id"]: row for row in json.loads(jacprobe("claims", "--json").stdout)}
    splicing = rows["nb02-splicing-coherent"]
    assert set(splicing) == {"id", "group", "family", "kind", "finding", "criterion", "evidence", "published"}
    figure = splicing["published"][0]
    assert (figure["value"], figure["id"]) == (0.581, "NB02-012")
    assert figure["source"].endswith("NB02 table")


def test_claims_are_listed_by_group_and_a_group_by_itself():
    listed = jacprobe("claims").stdout.splitlines()
    groups = [line for line in listed if line and not line.startswith(" ")][:-1]
    assert groups == sorted(set(groups))
    assert {"nb01", "nb10", "conclusion", "instrument"} <= set(groups)
    of_one = json.loads(jacprobe("claims", "--group", "nb02", "--json").stdout)
    assert {row["group"] for row in of_one} == {"nb02"}
    assert listed[-1] == f"{len(json.loads(jacprobe('claims', '--json').stdout))} claims"
    unknown = jacprobe("claims", "--group", "nb22")
    assert unknown.returncode == 2
    assert "unknown group nb22 (nearest: nb02)" in unknown.stderr


def test_the_doctor_finds_nothing_wrong_with_the_demo_and_says_what_is_wrong_elsewhere(tmp_path):
    good = jacprobe("doctor", "fixtures/studies/demo/models/fewshot-hepg2")
    assert good.returncode == 0, good.stderr
    assert "checkpoints/best.ckpt" in good.stdout
    bad = jacprobe("doctor", str(tmp_path), "--json")
    assert bad.returncode == 1
    assert any(remark["kind"] == "fault" for remark in json.loads(bad.stdout)["remarks"])


def test_errors_are_one_line_and_exit_code_2(tmp_path):
    run = jacprobe("doctor", str(tmp_path / "none"))
    assert run.returncode == 2
    assert run.stderr.startswith("jacprobe: ")
    assert len(run.stderr.splitlines()) == 1


def test_a_study_is_collected_listed_verified_and_cleared(tmp_path):
    collect = ("collect", "demo", "--probe", "delta", "--kds", "2", "--store", str(tmp_path))
    first, again = jacprobe(*collect), jacprobe(*collect)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "delta fewshot/hepg2 draw 0: 2/2 (2 computed), there, 0.0 MiB" in first.stderr.splitlines()
    seed, *lines = again.stderr.splitlines()
    assert seed == "seed 0"
    assert len(lines) == again.stderr.count("2/2 (0 computed)") == first.stderr.count("2 computed")
    listed = json.loads(jacprobe("store", "list", "--json", "--store", str(tmp_path)).stdout)
    assert {(entry["key"]["probe"], entry["chunks"], entry["shared"]) for entry in listed} == {("delta", 2, False)}
    damaged = next(tmp_path.glob("*/values/c/0/0"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    verify = jacprobe("store", "verify", "--mend", "--store", str(tmp_path))
    assert verify.returncode == 1
    assert verify.stdout.startswith(f"{damaged}: ")
    assert jacprobe("store", "verify", "--store", str(tmp_path)).stdout == "0 damaged\n"
    assert json.loads(jacprobe("store", "verify", "--json", "--store", str(tmp_path)).stdout) == []
    assert str(tmp_path) in jacprobe("store", "size", "--store", str(tmp_path)).stdout
    assert json.loads(jacprobe("store", "size", "--json", "--store", str(tmp_path)).stdout)[str(tmp_path)] > 0
    assert jacprobe("store", "gc", "--store", str(tmp_path)).stdout == ""


def test_too_many_draws_are_refused_before_anything_is_computed(tmp_path):
    run = jacprobe("collect", "demo", "--probe", "delta", "--kds", "1", "--draws", "100", "--store", str(tmp_path))
    assert run.returncode == 2
    assert "control cells for draw 99 of 32 each" in run.stderr
    assert not list(tmp_path.iterdir())


def test_ledgers_that_cannot_be_compared_end_with_exit_code_2(tmp_path):
    (tmp_path / "verdicts.jsonl").write_text("{}\n")
    for command in (("compare", "none.jsonl", "none.jsonl"), ("verify", str(tmp_path / "verdicts.jsonl"))):
        run = jacprobe(*command)
        assert run.returncode == 2
        assert len(run.stderr.splitlines()) == 1
    assert jacprobe("accept", str(tmp_path / "verdicts.jsonl"), "--reason", "x").returncode == 2


def test_ledgers_are_verified_and_compared_for_machines(tmp_path):
    lines = chained(few())
    write_ledger(tmp_path / "old.jsonl", lines)
    write_ledger(tmp_path / "new.jsonl", [{**lines[0], "effect": 0.4}, *lines[1:]])
    good, bad = (
        jacprobe("verify", str(tmp_path / name), "--chain-only", "--json") for name in ("old.jsonl", "new.jsonl")
    )
    assert (good.returncode, bad.returncode) == (0, 1)
    assert json.loads(good.stdout) == {"lines": len(lines), "entries": 0, "wrong": [], "head": head(lines)}
    assert "was changed" in json.loads(bad.stdout)["wrong"][0]
    pair = ("compare", str(tmp_path / "old.jsonl"), str(tmp_path / "old.jsonl"), "--unpaired")
    as_json, by_format = jacprobe(*pair, "--json"), jacprobe(*pair, "--format", "json")
    assert as_json.returncode == 0
    assert as_json.stdout == by_format.stdout
    assert json.loads(as_json.stdout)["flips"] == 0
