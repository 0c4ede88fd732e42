"""Collecting by Dask workers: the same chunks as by one process, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fixtures.random_study import write_random_study
from tests.cluster.conftest import ROOT, SMALL, Command, chunks

BOTH = ("--probe", "delta", "--probe", "jacobian")


@pytest.fixture(scope="module")
def alone(small_study, tmp_path_factory):
    """The chunks of an uninterrupted run of one process."""
    store = tmp_path_factory.mktemp("alone")
    run = Command()("collect", small_study, "--store", store)
    assert run.returncode == 0, run.stderr
    return chunks(store)


@pytest.mark.slow
def test_two_workers_write_what_one_process_writes_and_nothing_twice(jacprobe, small_study, alone, tmp_path):
    collect = ("collect", small_study, "--store", tmp_path, "--scheduler", "local:2")
    first = jacprobe(*collect)
    assert first.returncode == 0, first.stderr
    assert chunks(tmp_path) == alone
    assert "jacobian small draw 0: 11/11 (11 computed), there" in first.stderr
    again = jacprobe(*collect)
    assert again.returncode == 0, again.stderr
    assert "jacobian small draw 0: 11/11 (0 computed), there" in again.stderr


@pytest.fixture(scope="module")
def long_study(tmp_path_factory):
    """A study whose Jacobians take long enough for something to happen meanwhile."""
    from dataclasses import replace

    shape = replace(SMALL, perturbations=81, hidden=128, heads=4, head_dim=32, intermediate=512, cell_set_len=48)
    return write_random_study(tmp_path_factory.mktemp("long"), shape)


def processes_below(pid):
    """Return the pids of all descendants of a process."""
    below = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            below.setdefault(parent, []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        children = below.get(left.pop(), [])
        found, left = found + children, left + children
    return found


def workers_of(pid):
    """Return the worker processes: those that hold torch."""
    found = []
    for child in processes_below(pid):
        with contextlib.suppress(OSError):
            if "libtorch_cpu" in Path(f"/proc/{child}/maps").read_text():
                found.append(child)
    return found


def wait_for_chunks(store, number, process, seconds=600):
    ended = time.monotonic() + seconds
    while len(chunks(store)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ended, f"{len(chunks(store))} chunks after {seconds} s"
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="finds worker processes in /proc")
def test_a_worker_killed_in_mid_collection_costs_nothing_but_time(jacprobe, long_study, tmp_path):
    jacobians = ("--probe", "jacobian")
    whole = jacprobe("collect", long_study, *jacobians, "--store", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    store = tmp_path / "killed"
    process = jacprobe.start("collect", long_study, *jacobians, "--store", store, "--scheduler", "local:2")
    wait_for_chunks(store, 10, process)
    victim = workers_of(process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    at_kill = len(chunks(store))
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    assert 10 <= at_kill < 80, "killed in the middle"
    assert chunks(store) == chunks(tmp_path / "whole")
    assert not list(store.rglob("*.partial"))


@pytest.mark.slow
def test_an_interrupt_finishes_what_is_computed_and_the_same_command_goes_on(jacprobe, long_study, tmp_path):
    collect = ("collect", long_study, "--probe", "jacobian", "--store", tmp_path, "--scheduler", "local:2")
    process = jacprobe.start(*collect)
    wait_for_chunks(tmp_path, 5, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Interrupted. The same command goes on where this one was." in err
    assert "Traceback" not in err
    stopped = len(chunks(tmp_path))
    assert 5 <= stopped < 80
    assert not list(tmp_path.rglob("*.partial"))
    again = jacprobe(*collect)
    assert again.returncode == 0, again.stderr
    assert len(chunks(tmp_path)) == 80
    assert f"80/80 ({80 - stopped} computed)" in again.stderr


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler of its own, and a function that starts a worker with options and an environment."""
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", str(file)]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    ended = time.monotonic() + 120
    while not file.exists() or not file.read_text().strip():
        assert time.monotonic() < ended
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]

    def worker(*options, **environment):
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
        path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(ROOT)]).strip(os.pathsep)
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | environment
        running.append(
            subprocess.Popen(
                [*command, *options], env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )

    yield address, worker
    for process in reversed(running):
        process.terminate()
        process.wait(timeout=120)


def test_workers_of_a_running_scheduler_collect(jacprobe, scheduler, small_study, alone, tmp_path):
    address, worker = scheduler
    worker("--nthreads", "1")
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--scheduler", address)
    assert run.returncode == 0, run.stderr
    assert chunks(tmp_path / "store") == alone


def fake_version(folder, package, version):
    """Make a folder that, first on the path, gives a package another version."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    return str(folder)


@pytest.mark.parametrize("package", ["torch", "jacprobe"])
def test_a_worker_of_another_version_is_refused_by_name(jacprobe, scheduler, small_study, tmp_path, package):
    address, worker = scheduler
    worker("--nthreads", "1", PYTHONPATH=fake_version(tmp_path / "other", package, "0.0.7"))
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--scheduler", address)
    assert run.returncode == 2
    line = run.stderr.splitlines()[-1]  # what is said of the seed stands before it
    assert line.startswith("jacprobe: worker tcp://127.0.0.1:")
    assert f"has {package} 0.0.7; wanted {package} " in line
    assert not list(tmp_path.glob("store/*"))


def test_a_worker_of_several_threads_is_refused_by_name(jacprobe, scheduler, small_study, tmp_path):
    address, worker = scheduler
    worker("--nthreads", "3")
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--scheduler", address)
    assert run.returncode == 2
    assert "has 3 threads; wanted one thread in each worker process" in run.stderr


def test_an_unreachable_scheduler_is_told_within_ten_seconds(small_study):
    from jacprobe.cluster.schedulers import Remote, connected
    from jacprobe.errors import ClusterError

    begun = time.monotonic()
    with (
        pytest.raises(ClusterError, match=r"tcp://127.0.0.1:9: no scheduler answers"),
        connected(Remote("tcp://127.0.0.1:9")),
    ):
        pass
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("said", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n"], ids=["nothing", "of the web"])
def test_something_else_at_the_address_is_told_within_ten_seconds(said):
    from jacprobe.cluster.schedulers import require_answer
    from jacprobe.errors import ClusterError

    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def answer():
            taken.append(server.accept()[0])
            taken[0].sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ClusterError, match=r"no scheduler answers \(.+\).*Start it with: dask scheduler"):
            require_answer(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        taken[0].close()
    assert time.monotonic() - begun < 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
def test_workers_write_to_an_object_store(jacprobe, s3, small_study, alone):
    from jacprobe.store.objects import ObjectStore

    collect = ("collect", small_study, "--store", s3.address)
    run = jacprobe(*collect, "--scheduler", "local:2")
    assert run.returncode == 0, run.stderr
    store = ObjectStore.at(s3.address)
    found = {name: store.get(name) for name in store.sizes("") if "/values/c/" in name}
    assert found == alone
