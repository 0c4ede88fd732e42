"""`kill -9` at fifty seeded moments: no chunk is lost, damaged or another, and no verdict changes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.store.test_fill import chunks, finish, start

MOMENTS, CHUNKS = 50, 400
PROBE = """

def stored(rng):
    import os, time
    from pathlib import Path
    import numpy as np
    from jacprobe.store.fill import evidence
    from jacprobe.store.store import Store
    labels = {"kd": [f"KD{i}" for i in range(60)], "gene": ["A", "B"]}

    def compute(kd):
        time.sleep(0.02)
        return np.random.default_rng(int(kd[2:])).normal(0.5, 0.1, 2).astype("float32")

    x = evidence(Store.at(Path("store")), {"probe": "Delta"}, labels, compute).values.mean(1)
    half = 1.96 * x.std() / len(x) ** 0.5
    interval = (float(x.mean() - half), float(x.mean() + half))
    return Estimate(float(x.mean()), len(x), interval, interval, 0.01)
"""


@pytest.mark.slow
def test_collectors_killed_at_fifty_moments_leave_what_an_uninterrupted_one_leaves(tmp_path: Path):
    finish(start(tmp_path / "whole", tmp_path / "whole.log", CHUNKS, 0))
    dice, grew, moments = random.Random(50), 0, []
    for _ in range(MOMENTS):
        process = start(tmp_path / "killed", tmp_path / "log", CHUNKS, 0.01)
        before = len(chunks(tmp_path / "killed"))
        while len(chunks(tmp_path / "killed")) == before:
            time.sleep(0.001)
        moment = dice.uniform(0.0, 0.05)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        after = chunks(tmp_path / "killed")
        assert after.items() <= chunks(tmp_path / "whole").items(), f"another chunk after {moment:.3f} s"
        grew += len(after) - before
        moments.append((moment, len(after)))
    assert grew >= MOMENTS, f"work was in progress at every moment: {moments}"
    assert len(chunks(tmp_path / "killed")) < CHUNKS, "killed until the end, not after it"
    finish(start(tmp_path / "killed", tmp_path / "log", CHUNKS, 0))
    assert chunks(tmp_path / "killed") == chunks(tmp_path / "whole")
    assert len((tmp_path / "log").read_text().split()) <= CHUNKS + MOMENTS, "what was kept was computed again"
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_pytest_killed_at_ten_moments_ends_with_the_same_verdict(toy_suite):
    with (toy_suite.folder / "toy.py").open("a") as file:
        file.write(PROBE)
    toy_suite.claims('CLAIMS = [row("nb01-a", "stored"), row("nb01-b", "absent")]')
    toy_suite.run("--results", "whole")
    whole = toy_suite.ledger("whole")
    kept = _kept(toy_suite.folder)
    (toy_suite.folder / "store").rename(toy_suite.folder / "whole-store")
    dice, sizes = random.Random(10), [0]
    for _ in range(10):
        running = subprocess.Popen(
            [sys.executable, "-m", "pytest", "claims", "--study", "toy"], cwd=toy_suite.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stop = sizes[-1] + dice.randint(1, 5)
        while running.poll() is None and _there(toy_suite.folder) < stop:
            time.sleep(0.002)
        running.kill()
        assert running.wait(timeout=60) == -signal.SIGKILL
        sizes.append(_there(toy_suite.folder))
    assert all(later > earlier for earlier, later in pairwise(sizes)), sizes
    assert sizes[-1] < 60
    toy_suite.run()
    ended = toy_suite.ledger()
    assert [(line["verdict"], line["effect"], line["ci"]) for line in ended.values()] == [
        (line["verdict"], line["effect"], line["ci"]) for line in whole.values()
    ]
    assert _kept(toy_suite.folder) == kept


def _kept(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (folder / "store").rglob("c/*/0")}


def _there(folder: Path) -> int:
    return len(list((folder / "store").rglob("c/*/0")))
