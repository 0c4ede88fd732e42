"""Options and fixtures of the suite's own tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not item.get_closest_marker("xdist_group"):  # what a module makes for its tests is made by one worker
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if config.option.run_slow:
        return
    skip = pytest.mark.skip(reason="slow: give --run-slow")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


class ToySuite:
    """A suite of its own in a temporary folder: claims without models, and a study that has none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        study = folder / "fixtures" / "studies" / "toy"
        study.mkdir(parents=True)
        (folder / "claims").mkdir()
        (folder / "fixtures" / "gene_sets").mkdir()
        (folder / "fixtures" / "gene_sets" / "published.toml").touch()
        (study / "study.toml").write_text('name = "toy"\n[models]\n[data]\ncontrol_cells = "cells"\nn_cells = 1\n')
        (study / "cells").touch()
        (folder / "conftest.py").write_text('pytest_plugins = ["jacprobe.plugin"]\n')
        (folder / "pytest.ini").write_text((ROOT / "pytest.ini").read_text())
        (folder / "toy.py").write_text(TOY_MEASURES)
        self.study = study

    def claims(self, source: str) -> None:
        """Write claims/test_toy.py from rows; `row(id, measure, ...)` is at hand."""
        (self.folder / "claims" / "test_toy.py").write_text(TOY_HEAD + dedent(source) + TOY_TEST)

    def rename(self, name: str) -> None:
        """Give the study another name, which may hold anything."""
        path = self.study / "study.toml"
        path.write_text(path.read_text().replace('name = "toy"', f"name = {json.dumps(name)}"))

    def expect(self, **expected: str) -> None:
        """Write expected.toml, with underscores for the dashes of ids."""
        lines = [
            f'[{name.replace("_", "-")}]\nexpected = "{word}"\nreason = "planted"\n' for name, word in expected.items()
        ]
        (self.study / "expected.toml").write_text("".join(lines))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pytest on the toy claims in a process of its own."""
        command = [sys.executable, "-m", "pytest", "claims", "--study", "toy", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160"}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run jacprobe's command line where the suite stands."""
        program = "from jacprobe.cli import main; main()"
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120)

    def ledger(self, folder: str = "results") -> dict[str, dict]:
        """Read the ledger by claim id, in its order."""
        text = (self.folder / folder / "verdicts.jsonl").read_text(encoding="utf-8")
        return {line["id"]: line for line in map(json.loads, text.splitlines())}


TOY_HEAD = """
from jacprobe.plugin import claims
from jacprobe.requests import *
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import *

def row(id, measure, criterion=Above(0, sesoi=0.1), **more):
    return Claim(id, "A finding.", "a mean", more.pop("evidence", {}), criterion, measure and "toy." + measure, **more)
"""
TOY_TEST = """

@claims(CLAIMS)
def test_toy(claim, study, rng):
    return claim.measure(**study.evidence(claim), rng=rng)
"""
TOY_MEASURES = """
import os
from jacprobe.estimate import Estimate, Null


def _made(effect, p, rng):
    return Estimate(effect, 20, (effect - .1, effect + .1), (effect - .08, effect + .08), p,
                    nulls=(Null("shuffled", p, 0.0, 0.1, 99, 0.01, rng.normal(0, 0.1, 99)),))


def present(rng):
    return _made(0.5 + rng.uniform(0, 0.01), 0.01, rng)


def absent(rng):
    return _made(0.0 + rng.uniform(0, 0.01), 0.9, rng)


def switching(rng):
    return present(rng) if os.path.exists("new-weights") else absent(rng)


def wavering(rng):
    return _made(0.3, 0.01 if os.path.exists("new-weights") else 0.06, rng)


def borderline(rng):
    return _made(0.3, 0.03, rng)


def broken(rng):
    raise ZeroDivisionError("the harness, not the model")


def nothing(rng):
    return None


def dying(rng):
    os._exit(3)
"""


@pytest.fixture
def toy_suite(tmp_path: Path) -> ToySuite:
    """A suite of claims without models, run in processes of its own."""
    return ToySuite(tmp_path)
