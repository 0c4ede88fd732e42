"""The command line: exit codes, JSON for machines, errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def jacprobe(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from jacprobe.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_claims_are_listed_for_machines_with_what_they_rest_on():
    rows = {row["id"]: row for row in json.loads(jacprobe("claims", "--json").stdout)}
    splicing = rows["nb02-splicing-coherent"]
    assert set(splicing) == {"id", "group", "family", "kind", "finding", "criterion", "evidence", "published"}
    assert splicing["published"][0] == {"value": 0.581, "source": "NB02 table", "id": "NB02-012"}


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
