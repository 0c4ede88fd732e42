"""`kill -9` of a Dask scheduler and of workers at seeded moments: an error in time, and no chunk lost or another."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.random_study import write_random_study
from tests.cluster.conftest import ONE_THREAD, ROOT, SMALL, Command, chunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
SCHEDULERS, WORKERS, SECONDS = 5, 5, 30
JACOBIANS = ("--probe", "jacobian")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 60 Jacobians that take long enough for something to happen meanwhile."""
    shape = replace(SMALL, perturbations=61, hidden=128, heads=4, head_dim=32, intermediate=512, cell_set_len=48)
    return write_random_study(tmp_path_factory.mktemp("kills"), shape)


@pytest.fixture(scope="module")
def whole(study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The chunks of an uninterrupted run of one process."""
    store = tmp_path_factory.mktemp("whole")
    run = Command()("collect", study, *JACOBIANS, "--store", store)
    assert run.returncode == 0, run.stderr
    return chunks(store)


class Processes:
    """A Dask scheduler and its workers, each a process that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[Any]] = []

    def scheduler(self) -> tuple[subprocess.Popen[bytes], str]:
        """Start a scheduler; returns it and its address."""
        file = self.folder / f"scheduler-{len(self.running)}.json"
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        process = self._start("scheduler", *options)
        ended = time.monotonic() + 120
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < ended
            time.sleep(0.05)
        return process, json.loads(file.read_text())["address"]

    def worker(self, address: str) -> subprocess.Popen[bytes]:
        """Start a worker of a scheduler, which ends where it loses it."""
        return self._start("worker", address, "--no-nanny", "--no-dashboard", "--nthreads", "1", "--death-timeout", "5")

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, env=environment, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.running.append(process)
        return process


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    for process in reversed(found.running):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(timeout=60)


def wait_for_growth(store: Path, collecting: subprocess.Popen[str], seconds: float = 900) -> int:
    """Return how many chunks there are as soon as there are more than at first."""
    before, ended = len(chunks(store)), time.monotonic() + seconds
    while (now := len(chunks(store))) == before:
        assert collecting.poll() is None, collecting.communicate()
        assert time.monotonic() < ended, f"{before} chunks after {seconds} s"
        time.sleep(0.02)
    return now


def test_a_killed_scheduler_is_told_in_time_and_what_was_collected_is_kept(jacprobe, study, whole, tmp_path, processes):
    store, dice, there = tmp_path / "store", random.Random(6), [0]
    for _ in range(SCHEDULERS):
        scheduler, address = processes.scheduler()
        worker = processes.worker(address)
        collecting = jacprobe.start("collect", study, *JACOBIANS, "--store", store, "--scheduler", address)
        processes.running.append(collecting)
        wait_for_growth(store, collecting)
        moment = dice.uniform(0, 0.5)
        time.sleep(moment)
        scheduler.kill()
        begun = time.monotonic()
        _, said = collecting.communicate(timeout=4 * SECONDS)
        took = time.monotonic() - begun
        assert collecting.returncode == 2, f"{moment:.3f} s: {said}"
        assert took < SECONDS, f"{moment:.3f} s: ended after {took:.0f} s"
        assert "Traceback" not in said
        assert said.splitlines()[-1].startswith(f"jacprobe: {address}: the scheduler is gone"), said
        assert worker.wait(timeout=120) is not None
        found = chunks(store)
        assert found.items() <= whole.items(), f"another chunk after {moment:.3f} s"
        there.append(len(found))
    assert all(later > earlier for earlier, later in pairwise(there)), there
    assert there[-1] < len(whole), "killed until the end, not after it"
    again = jacprobe("collect", study, *JACOBIANS, "--store", store)
    assert again.returncode == 0, again.stderr
    assert chunks(store) == whole
    assert f"({len(whole) - there[-1]} computed)" in again.stderr
    assert not list(store.rglob("*.partial"))


def test_workers_killed_one_after_the_other_cost_nothing_but_time(jacprobe, study, whole, tmp_path, processes):
    store, dice, there = tmp_path / "store", random.Random(7), []
    _, address = processes.scheduler()
    worker = processes.worker(address)
    collecting = jacprobe.start("collect", study, *JACOBIANS, "--store", store, "--scheduler", address)
    processes.running.append(collecting)
    for _ in range(WORKERS):
        wait_for_growth(store, collecting)
        time.sleep(dice.uniform(0, 0.5))
        worker.kill()
        worker.wait(timeout=60)
        there.append(len(chunks(store)))
        worker = processes.worker(address)
    _, said = collecting.communicate(timeout=900)
    assert collecting.returncode == 0, said
    assert all(later > earlier for earlier, later in pairwise(there)), there
    assert there[-1] < len(whole), "killed in the middle"
    assert chunks(store) == whole
    assert not list(store.rglob("*.partial"))
