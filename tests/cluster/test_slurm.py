"""Workers that are Slurm jobs: refused ones, ended ones, and on a working Slurm the same chunks as by one process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jacprobe.cluster import slurm
from tests.cluster.conftest import ROOT, Command, chunks

JOBS = 'jobs = 2\nprocesses = 1\nmemory = "1GB"\nwalltime = "00:10:00"\n'


def slurms_fault():
    """Return why no job can be submitted here, or nothing."""
    if (sinfo := shutil.which("sinfo")) is None:
        return "no Slurm on this machine"
    try:
        found = subprocess.run([sinfo, "-h", "-o", "%a %T"], capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return "sinfo does not answer"
    usable = ("up idle", "up mixed", "up allocated", "up completing")
    if found.returncode or not any(line in usable for line in found.stdout.splitlines()):
        return f"no node of this Slurm takes jobs: {(found.stderr or found.stdout).strip()}"
    return ""


@pytest.fixture
def real_slurm():
    """A Slurm that takes jobs; its nodes must see the temporary folders of the tests (pytest --basetemp)."""
    if fault := slurms_fault():
        pytest.skip(fault)


@pytest.fixture
def jobs(tmp_path):
    """A file of options."""

    def write(more=""):
        (tmp_path / "jobs.toml").write_text(f'{JOBS}log_directory = "{tmp_path / "logs"}"\n{more}')
        return tmp_path / "jobs.toml"

    return write


@pytest.fixture
def stand_in(tmp_path):
    """Commands of Slurm that say what a test wants them to, on a PATH of their own."""

    def make(**scripts):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        return Command({"PATH": f"{folder}:{Path(sys.executable).parent}:/usr/bin:/bin"})

    return make


def test_jobs_that_slurm_refuses_are_told_with_its_reason(stand_in, jobs, small_study, tmp_path):
    jacprobe = stand_in(sbatch="echo sbatch: error: invalid partition specified: nosuch >&2; exit 1", scancel="exit 9")
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--slurm", jobs('queue = "nosuch"'))
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    told = run.stderr.splitlines()[-1]
    assert "jobs.toml: Slurm refuses the jobs (sbatch: error: invalid partition specified: nosuch)" in told
    assert "See queue, account, memory" in told


@pytest.mark.slow
def test_jobs_that_end_without_a_worker_are_not_waited_for(stand_in, jobs, small_study, tmp_path):
    jacprobe = stand_in(sbatch="echo Submitted batch job 7", squeue="echo 17", scancel="exit 0")
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--slurm", jobs())
    assert run.returncode == 2
    assert "--slurm: all Slurm jobs have ended (7), and no worker is left" in run.stderr.splitlines()[-1]


def test_an_interrupt_stays_one_when_slurm_is_used():
    program = (
        "import signal; from jacprobe.cluster.slurm import slurm_cluster\n"
        "with slurm_cluster({'memory': '1GB', 'walltime': '00:10:00'}): signal.raise_signal(signal.SIGINT)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert run.returncode != 0


def test_jobs_have_ended_when_none_is_queued_and_not_when_slurm_is_silent(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(slurm.time, "monotonic", lambda: now[0])
    queue = iter([["7", "9"], None, ["70"]])
    ended = slurm._Ended(["7", "8"], lambda: next(queue))
    said = []
    for now[0] in (105, 111, 112, 122, 133):
        said.append(ended())
    assert said == ["", "", "", "", "all Slurm jobs have ended (7, 8)"]


@pytest.mark.slow
@pytest.mark.usefixtures("real_slurm")
def test_jobs_of_a_real_slurm_write_what_one_process_writes(jacprobe, jobs, small_study, tmp_path):
    assert jacprobe("collect", small_study, "--store", tmp_path / "alone").returncode == 0
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--slurm", jobs())
    assert run.returncode == 0, run.stderr
    assert "jacobian small draw 0: 11/11 (11 computed), there" in run.stderr
    assert chunks(tmp_path / "store") == chunks(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.usefixtures("real_slurm")
def test_an_array_job_of_shards_writes_what_one_process_writes(jacprobe, small_study, tmp_path):
    assert jacprobe("collect", small_study, "--store", tmp_path / "alone").returncode == 0
    collect = f"{sys.executable} -c 'from jacprobe.cli import main; main()' collect {small_study}"
    script = tmp_path / "array.sh"
    script.write_text(
        f"#!/bin/sh\nexport OMP_NUM_THREADS=1\n"
        f'exec {collect} --store {tmp_path / "store"} --shard "$SLURM_ARRAY_TASK_ID/3"\n'
    )
    sbatch = ["sbatch", "--wait", "--array=1-3", f"--chdir={ROOT}", f"--output={tmp_path}/%a.out", script]
    done = subprocess.run(sbatch, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr + "".join(file.read_text() for file in tmp_path.glob("*.out"))
    missing = jacprobe("store", "missing", small_study, "--store", tmp_path / "store")
    assert (missing.returncode, missing.stdout) == (0, "0 missing\n")
    assert chunks(tmp_path / "store") == chunks(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.usefixtures("real_slurm")
def test_jobs_of_a_real_slurm_that_cannot_start_are_told_and_none_is_left(jacprobe, jobs, small_study, tmp_path):
    begun = time.monotonic()
    dead = jobs('prologue = ["exit 3"]\ndirectives = ["--job-name=jacprobe-dead"]')
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--slurm", dead)
    assert run.returncode == 2
    assert "and no worker is left; wanted one until the work is done" in run.stderr.splitlines()[-1]
    assert time.monotonic() - begun < 300
    queued = subprocess.run(["squeue", "-h", "--name=jacprobe-dead"], capture_output=True, text=True, timeout=60)
    assert not [line for line in queued.stdout.splitlines() if " CG " not in line]
