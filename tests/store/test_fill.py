from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jacprobe.errors import StoreError
from jacprobe.store.fill import Progress, evidence, fill
from jacprobe.store.store import Store

WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from jacprobe.store.fill import fill
from jacprobe.store.store import Store

root, log, n, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])

def compute(label):
    time.sleep(seconds)
    with log.open("a") as file:
        file.write(label + chr(10))
    return np.random.default_rng(int(label[2:])).normal(size=(500, 20)).astype("float32")

labels = {"kd": [f"KD{i}" for i in range(n)], "gene": [f"G{i}" for i in range(500)], "latent": list(range(20))}
entry = Store.at(root).entry({"probe": "Routing"}, labels, "float32", {})
print("ready", flush=True)
fill(entry, compute)
"""


HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 2)
print("held", flush=True)
time.sleep(60)
"""


def start(root, log, n, seconds):
    command = [sys.executable, "-c", WORKER, str(root), str(log), str(n), str(seconds)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path})
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def chunks(root):
    return {path.parts[-3]: path.read_bytes() for path in root.rglob("values/c/*/0/0")}


def finish(process):
    assert process.wait(timeout=120) == 0


def test_kill_9_in_the_middle_loses_and_repeats_nothing(tmp_path):
    n, kills = 60, 3
    finish(start(tmp_path / "whole", tmp_path / "whole.log", n, 0))
    sizes = []
    for _ in range(kills):
        process = start(tmp_path / "killed", tmp_path / "killed.log", n, 0.01)
        before = len(chunks(tmp_path / "killed"))
        while len(chunks(tmp_path / "killed")) < before + 8:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
        sizes.append(len(chunks(tmp_path / "killed")))
    assert 0 < sizes[0] < sizes[1] < sizes[2] < n, "each process was killed in the middle, after chunks had grown"
    finish(start(tmp_path / "killed", tmp_path / "killed.log", n, 0))
    assert chunks(tmp_path / "killed") == chunks(tmp_path / "whole")
    assert len((tmp_path / "killed.log").read_text().split()) <= n + kills
    assert not list(tmp_path.rglob("*.partial"))


def test_two_processes_share_the_work_and_compute_nothing_twice(tmp_path):
    log = tmp_path / "log"
    both = [start(tmp_path / "store", log, 40, 0.02) for _ in range(2)]
    for process in both:
        finish(process)
    assert sorted(log.read_text().split()) == sorted(f"KD{i}" for i in range(40))
    assert len(chunks(tmp_path / "store")) == 40


def test_a_chunk_that_another_process_holds_is_taken_over_when_it_dies(tmp_path, labels, key, values, store):
    entry = store.entry(key, labels, "float32", {})
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            str(entry.path / "values" / "chunks.lock"),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    seen = []

    def progress(p):
        seen.append(p.done)
        if p.done == len(labels["kd"]) - 1:
            assert not entry.has("KD2")
            holder.kill()
            holder.wait(timeout=60)

    assert fill(entry, values, progress=progress) == 6
    holder.stdout.close()
    assert seen == list(range(7))
    assert entry.has("KD2")


def test_a_flipped_byte_is_found_named_and_computed_again(store, key, labels, values, caplog):
    evidence(store, key, labels, values)
    (entry,) = store.find(key)
    chunk = entry.chunk_path("KD4")
    for position in (0, 5, -1):
        whole = bytearray(chunk.read_bytes())
        whole[position] ^= 0x10
        chunk.write_bytes(whole)
        with pytest.raises(StoreError, match="damaged chunk for 'KD4'"):
            entry.read("KD4")
        calls = []
        found = evidence(store, key, labels, lambda label: calls.append(label) or values(label))  # noqa: B023
        assert calls == ["KD4"]
        assert "damaged chunk for 'KD4'" in caplog.text
        assert entry.path.name in caplog.text
        np.testing.assert_array_equal(found.sel(kd="KD4"), values("KD4"))


@pytest.mark.parametrize("keep", [0, 3])
def test_a_truncated_chunk_is_computed_again(store, key, labels, values, keep):
    evidence(store, key, labels, values)
    (entry,) = store.find(key)
    chunk = entry.chunk_path("KD4")
    chunk.write_bytes(chunk.read_bytes()[:keep])
    assert fill(entry, values) == 1
    np.testing.assert_array_equal(entry.read("KD4"), values("KD4"))


def test_a_chunk_of_zeros_is_written_like_any_other(store, key, labels, values):
    evidence(store, key, labels, values, only=["KD0"])
    assert store.find(key)[0].chunk_path("KD0").is_file()
    assert fill(store.find(key)[0], values, ["KD0"]) == 0


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from jacprobe.errors import StoreError
from jacprobe.store.fill import fill
from jacprobe.store.store import Store

labels = {"kd": ["KD0", "KD1", "KD2"], "gene": [f"G{i}" for i in range(5000)]}
entry = Store.at(Path(sys.argv[1])).entry({"probe": "Delta"}, labels, "float32", {})

def compute(label):
    if label == "KD1":
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))  # bytes of any file, less than half a chunk
    return np.ones(5000, dtype="float32")

try:
    fill(entry, compute)
except StoreError as error:
    print(error)
"""


def test_a_disk_that_fills_up_in_mid_write_leaves_what_was_there(tmp_path):
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", FULL, str(tmp_path / "store")]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert "'KD1' cannot be written ([Errno 27]" in done.stdout
    assert "Make room or give --store DIR" in done.stdout
    assert [p.parts[-2] for p in (tmp_path / "store").rglob("values/c/*/0")] == ["0"]
    assert not list(tmp_path.rglob("*.partial"))
    (entry,) = Store.at(tmp_path / "store").find({"probe": "Delta"})
    assert fill(entry, lambda _: np.ones(5000, dtype=np.float32)) == 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((2, 2), np.float32), r"shape \(2, 2\) for 'KD0'; wanted float32 of shape \(3, 2\)"),
        (np.ones((3, 2)), "float64 values"),
        (np.full((3, 2), np.nan, np.float32), "not finite for 'KD0'"),
    ],
)
def test_values_that_do_not_belong_are_refused(store, key, labels, value, message):
    with pytest.raises(StoreError, match=message):
        evidence(store, key, labels, lambda _: value)
    assert not list(store.root.rglob("values/c/*/0/0"))


def test_unknown_labels_are_refused(store, key, labels, values):
    with pytest.raises(StoreError, match="no 'KD9' in this entry"):
        evidence(store, key, labels, values, only=["KD9"])


def test_progress_tells_done_rate_time_left_and_bytes(store, key, labels, values):
    seen = []
    evidence(store, key, labels, values, only=["KD1"])
    evidence(store, key, labels, values, progress=seen.append)
    assert [p.done for p in seen] == [1, 2, 3, 4, 5, 6]
    assert {p.total for p in seen} == {6}
    assert [p.computed for p in seen] == [0, 1, 2, 3, 4, 5]
    assert (seen[0].rate, seen[0].seconds_left) == (0, math.inf)
    assert seen[-1].rate > 0
    assert seen[-1].seconds_left == 0
    assert [p.nbytes for p in seen] == [done * (6 * 4 + 4) for done in (1, 2, 3, 4, 5, 6)]


def test_progress_tells_once_of_what_is_there_already(store, key, labels, values):
    evidence(store, key, labels, values)
    seen = []
    evidence(store, key, labels, values, progress=seen.append)
    assert seen == [Progress(done=6, total=6, computed=0, rate=0, seconds_left=0, nbytes=6 * (6 * 4 + 4))]
