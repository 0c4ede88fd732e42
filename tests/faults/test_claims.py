"""A run of claims whose store can only be read, or whose disk fills meanwhile: what is there is judged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ToySuite

pytestmark = pytest.mark.slow  # several whole runs of pytest in each

MEASURES = """

def _mean(store, names):
    import numpy as np
    from jacprobe.store.fill import evidence
    labels = {"kd": [f"KD{i}" for i in range(40)], "gene": [f"G{i}" for i in range(5000)]}

    def compute(kd):
        with open("computed", "a") as file:
            file.write(kd + "\\n")
        return np.random.default_rng(int(kd[2:])).normal(0.5, 0.1, 5000).astype("float32")

    x = evidence(store, {"probe": "Delta"}, labels, compute, only=names).values.mean(1)
    half = 1.96 * x.std() / len(x) ** 0.5
    interval = (float(x.mean() - half), float(x.mean() + half))
    return Estimate(float(x.mean()), len(x), interval, interval, 0.01)


def few(store, rng):
    return _mean(store, ["KD0", "KD1", "KD2"])


def all(store, rng):
    return _mean(store, [f"KD{i}" for i in range(40)])


def none(store, rng):
    return present(rng)


def filling(store, rng):
    with open(os.path.join(os.environ["DISK"], "film"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            return present(rng)
"""
ROWS = 'CLAIMS = [row("nb01-few", "few"), row("nb01-all", "all"), row("nb01-none", "none")]'


@pytest.fixture
def storing(toy_suite: ToySuite) -> ToySuite:
    """A toy suite whose measures read evidence of the store that the run is given."""
    with (toy_suite.folder / "toy.py").open("a") as file:
        file.write(MEASURES)
    toy_suite.claims(ROWS)
    path = toy_suite.folder / "claims" / "test_toy.py"
    path.write_text(path.read_text().replace("**study.evidence(claim)", "store=study.store"))
    return toy_suite


def computed(suite: ToySuite) -> list[str]:
    """What was computed since this was last asked."""
    path = suite.folder / "computed"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def verdicts(suite: ToySuite, results: str = "results") -> list[str]:
    return [line["verdict"] for line in suite.ledger(results).values()]


def judged(suite: ToySuite, results: str) -> list[tuple]:
    return [(line["verdict"], line["effect"], line["ci"]) for line in suite.ledger(results).values()]


def test_claims_on_a_store_that_can_only_be_read_take_what_it_has(storing: ToySuite, read_only):
    whole = storing.run("--store", "whole", "--results", "whole-results")
    assert whole.returncode == 0, whole.stdout
    assert len(computed(storing)) == 40
    first = storing.run("--store", "store", "--claim", "nb01-few")
    assert first.returncode == 0, first.stdout
    assert computed(storing) == ["KD0", "KD1", "KD2"]
    kept = {path: path.read_bytes() for path in (storing.folder / "store").rglob("*") if path.is_file()}
    read_only(storing.folder / "store")
    run = storing.run("--store", "store")
    assert run.returncode == 1
    assert verdicts(storing) == ["SUPPORTED", "ERROR", "SUPPORTED"]
    assert "which it lacks" in storing.ledger()["nb01-all"]["reason"]
    assert "Give --store DIR" in storing.ledger()["nb01-all"]["reason"]
    assert "Give --store DIR" in run.stdout
    assert {path: path.read_bytes() for path in (storing.folder / "store").rglob("*") if path.is_file()} == kept
    computed(storing)
    beside = storing.run("--store", "own", "--shared-store", "store")
    assert beside.returncode == 0, beside.stdout
    assert len(computed(storing)) == 37, "what the store has is taken from there"
    assert judged(storing, "results") == judged(storing, "whole-results")


def test_a_disk_that_fills_up_with_evidence_costs_the_claims_that_need_more(storing: ToySuite, small_disk: Path):
    whole = storing.run("--store", "whole", "--results", "whole-results")
    assert whole.returncode == 0, whole.stdout
    computed(storing)
    run = storing.run("--store", str(small_disk / "store"))
    assert run.returncode == 1
    assert verdicts(storing) == ["SUPPORTED", "ERROR", "SUPPORTED"]
    reason = storing.ledger()["nb01-all"]["reason"]
    assert "Errno 28" in reason
    assert "Make room or give --store" in reason
    there = len(list((small_disk / "store").rglob("c/*/0")))
    assert 3 <= there < 40
    assert not list(small_disk.rglob("*.partial"))
    computed(storing)
    shutil.copytree(small_disk / "store", storing.folder / "roomy")
    again = storing.run("--store", "roomy")
    assert again.returncode == 0, again.stdout
    assert len(computed(storing)) == 40 - there, "what was whole is not computed again"
    assert judged(storing, "results") == judged(storing, "whole-results")


def test_a_disk_that_fills_up_under_the_results_keeps_the_earlier_ledger(
    storing: ToySuite, small_disk: Path, monkeypatch
):
    monkeypatch.setenv("DISK", str(small_disk))
    assert storing.run("--store", "store", "--results", str(small_disk / "results")).returncode == 0
    earlier = (small_disk / "results" / "verdicts.jsonl").read_bytes()
    path = storing.folder / "claims" / "test_toy.py"
    path.write_text(path.read_text().replace('"none")', '"filling")'))
    run = storing.run("--store", "store", "--results", str(small_disk / "results"))
    assert run.returncode == 3, run.stdout
    assert "No space left on device" in run.stdout + run.stderr
    assert "the verdicts cannot be kept" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert "INTERNALERROR" not in run.stdout + run.stderr
    kept = [path.read_bytes() for path in (small_disk / "results").rglob("verdicts.jsonl")]
    assert earlier in kept
