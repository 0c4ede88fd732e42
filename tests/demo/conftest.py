from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[Path], dict[str, str]]:
    """Judges all claims on a study, in a process of its own: the verdict by claim id."""

    def run(study: Path) -> dict[str, str]:
        results = tmp_path / "results"
        command = [sys.executable, "-m", "pytest", "claims", "-q", "--study", str(study), "--results", str(results)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        ledger = results / "verdicts.jsonl"
        assert ledger.is_file(), done.stdout[-3000:] + done.stderr[-3000:]
        lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
        return {line["id"]: line["verdict"] for line in lines}

    return run
