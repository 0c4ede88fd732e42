"""Runs that are interrupted, whose model gives NaN, or whose packages are others than when evidence was collected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from jacprobe.kept_chunks import versions
from tests.conftest import ROOT
from tests.store.test_fill import chunks, start

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """

def sleeping(rng):
    open("begun", "a").close()
    import time
    time.sleep(60)


def nan(rng):
    from pathlib import Path
    import numpy as np
    from jacprobe.store.fill import evidence
    from jacprobe.store.store import Store
    evidence(Store.at(Path("nan-store")), {"probe": "Delta"}, {"kd": ["TP53"], "gene": ["A"]},
             lambda kd: np.full(1, np.nan, np.float32))
"""


def begin(suite, *arguments: str) -> subprocess.Popen[str]:
    """Start the claims of a toy suite; returns once its first one is being judged."""
    with (suite.folder / "toy.py").open("a") as file:
        file.write(SLOW)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "claims", "--study", "toy", *arguments]
    running = subprocess.Popen(
        command, cwd=suite.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for _ in range(600):
        if (suite.folder / "begun").exists():
            return running
        time.sleep(0.1)
    running.kill()
    raise AssertionError(running.communicate()[0])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_of_claims_in_five_seconds(toy_suite, number: signal.Signals, workers: tuple[str, ...]):
    toy_suite.claims('CLAIMS = [row("nb01-a", "present"), row("nb01-b", "sleeping"), row("nb01-c", "present")]')
    running = begin(toy_suite, *workers)
    begun = time.monotonic()
    running.send_signal(number)
    said, _ = running.communicate(timeout=30)
    assert time.monotonic() - begun < 5, said
    assert running.returncode != 0
    assert {line["verdict"] for line in toy_suite.ledger().values()} <= {"SUPPORTED", "ERROR"}
    assert len(toy_suite.ledger()) == 3, "one line for each claim that was collected"
    (toy_suite.folder / "toy.py").write_text(
        (toy_suite.folder / "toy.py").read_text().replace("time.sleep(60)", "return present(rng)")
    )
    assert toy_suite.run().returncode == 0
    assert {line["verdict"] for line in toy_suite.ledger().values()} == {"SUPPORTED"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_collector_in_five_seconds_with_the_store_whole(tmp_path: Path, number: signal.Signals):
    whole = start(tmp_path / "whole", tmp_path / "log", 30, 0)
    assert whole.wait(timeout=60) == 0
    process = start(tmp_path / "stopped", tmp_path / "log", 30, 0.05)
    while len(chunks(tmp_path / "stopped")) < 5:
        time.sleep(0.01)
    begun = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=30) != 0
    assert time.monotonic() - begun < 5
    kept = chunks(tmp_path / "stopped")
    assert 5 <= len(kept) < 30
    assert kept.items() <= chunks(tmp_path / "whole").items()
    assert start(tmp_path / "stopped", tmp_path / "log", 30, 0).wait(timeout=60) == 0
    assert chunks(tmp_path / "stopped") == chunks(tmp_path / "whole")


def test_nan_from_a_model_leaves_its_claim_not_evaluated_and_the_rest_go_on(toy_suite):
    with (toy_suite.folder / "toy.py").open("a") as file:
        file.write(SLOW)
    toy_suite.claims('CLAIMS = [row("nb01-a", "present"), row("nb01-nan", "nan"), row("nb01-c", "absent")]')
    toy_suite.run()
    ledger = toy_suite.ledger()
    assert [line["verdict"] for line in ledger.values()] == ["SUPPORTED", "NOT EVALUATED", "REFUTED"]
    assert "not finite for 'TP53'" in ledger["nb01-nan"]["reason"]


def test_a_half_written_ledger_is_no_expectation(toy_suite):
    toy_suite.claims('CLAIMS = [row("nb01-a", "present"), row("nb01-b", "absent")]')
    toy_suite.run()
    ledger = toy_suite.folder / "results" / "verdicts.jsonl"
    (toy_suite.folder / "cut.jsonl").write_bytes(ledger.read_bytes()[:-40])
    run = toy_suite.run("--expect", "cut.jsonl")
    assert run.returncode == 4
    assert "line 2 is not of a ledger" in run.stderr + run.stdout


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_another_version_of_a_package_is_another_entry(package: str):
    found = {"torch": "2.7", "arc-state": "0.11", "transformers": "4.57"}
    identity = SimpleNamespace(packages=("arc-state", "transformers"), provenance=found)
    before = versions(identity)
    identity.provenance = {**found, package: "99"}
    assert versions(identity) != before
    assert versions(identity)[package] == "99"
