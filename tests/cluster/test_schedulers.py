"""What --scheduler and --slurm mean, what a worker sees of its machine, and which workers are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jacprobe.cluster.devices import default_workers, visible_gpus, worker_environment
from jacprobe.cluster.schedulers import Local, Remote, parse_scheduler
from jacprobe.cluster.slurm import slurm_cluster, slurm_options
from jacprobe.cluster.work import require_same
from jacprobe.cluster.workers import require_same_versions
from jacprobe.errors import ClusterError, InputError, UnknownNameError
from tests.cluster.conftest import Command

JOBS = {"jobs": 4, "processes": 8, "memory": "16GB", "walltime": "04:00:00", "queue": "cpu", "account": "lab"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("local", Local()),
        ("local:3", Local(3)),
        ("tcp://node7:8786", Remote("tcp://node7:8786")),
        ("tls://10.0.0.1:1", Remote("tls://10.0.0.1:1")),
    ],
)
def test_schedulers_by_their_words(text, meant):
    assert parse_scheduler(text) == meant


@pytest.mark.parametrize("text", ["", "local:0", "local:x", "node7:8786", "tcp://node7", "tcp://:8786", "http://a:1"])
def test_what_is_no_scheduler_is_refused(text):
    with pytest.raises(InputError, match=r"wanted local, local:N or tcp://HOST:PORT"):
        parse_scheduler(text)


def test_gpus_are_dealt_out_in_turn_and_every_worker_has_one_thread():
    gpus = visible_gpus(2, {})
    assert [worker_environment(i, gpus)["CUDA_VISIBLE_DEVICES"] for i in range(4)] == ["0", "1", "0", "1"]
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment(0, ())
    assert worker_environment(5, ())["OMP_NUM_THREADS"] == "1"
    assert (default_workers(gpus, 64), default_workers((), 64)) == (2, 64)


def test_gpus_that_were_chosen_for_us_keep_their_names():
    assert visible_gpus(2, {"CUDA_VISIBLE_DEVICES": "3, GPU-8a5c"}) == ("3", "GPU-8a5c")
    assert visible_gpus(0, {"CUDA_VISIBLE_DEVICES": ""}) == ()
    assert visible_gpus(0, {"CUDA_VISIBLE_DEVICES": "3"}) == (), "what torch does not see is no GPU of ours"


def test_the_job_script_asks_slurm_for_what_the_options_say():
    options = slurm_options(
        {**JOBS, "gpus": 1, "directives": ["--qos=long"], "prologue": ["source env.sh"]}, "jobs.toml"
    )
    with slurm_cluster({name: value for name, value in options.items() if name != "jobs"}) as cluster:
        script = cluster.job_script()
    for line in (
        "#SBATCH -p cpu",
        "#SBATCH -A lab",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH -t 04:00:00",
        "#SBATCH --gres=gpu:1",
        "#SBATCH --qos=long",
        "export OMP_NUM_THREADS=1",
        "source env.sh",
    ):
        assert line in script.splitlines()
    assert "--nthreads 1" in script
    assert "--nworkers 8" in script
    assert script.rpartition("--memory-limit ")[2].split()[0] == "0", "the last one holds: no worker is paused"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"job": 3}, UnknownNameError, r"unknown option job \(nearest: jobs\)"),
        ({"jobs": "4"}, InputError, "wanted a whole number from 1"),
        ({"jobs": True}, InputError, "wanted a whole number from 1"),
        ({"processes": 0}, InputError, "wanted a whole number from 1"),
        ({"queue": 1}, InputError, "wanted a text"),
        ({"directives": "--qos=long"}, InputError, "wanted a list of texts"),
    ],
)
def test_options_of_slurm_that_cannot_be_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        slurm_options({**JOBS, **changes}, "jobs.toml")


def test_options_of_slurm_need_memory_and_time():
    with pytest.raises(InputError, match="no memory and no walltime"):
        slurm_options({"jobs": 2}, "jobs.toml")


def test_where_there_is_no_slurm_it_is_said(small_study, tmp_path):
    jacprobe = Command({"PATH": str(Path(sys.executable).parent)})
    (tmp_path / "jobs.toml").write_text('memory = "4GB"\nwalltime = "01:00:00"\n')
    run = jacprobe("collect", small_study, "--store", tmp_path / "store", "--slurm", tmp_path / "jobs.toml")
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("jacprobe: --slurm: no sbatch on this machine")
    assert "--shard i/n" in run.stderr


def test_two_ways_to_distribute_at_once_are_refused(jacprobe, small_study, tmp_path):
    run = jacprobe("collect", small_study, "--scheduler", "local", "--slurm", tmp_path / "jobs.toml")
    assert run.returncode == 2
    assert "--scheduler and --slurm; wanted one of them" in run.stderr


def test_other_versions_are_named_with_their_worker():
    own = {"torch": "2.13.0", "jacprobe": "0.1.0"}
    require_same_versions({"tcp://a:1": own}, own)
    with pytest.raises(ClusterError, match=r"worker tcp://b:1 has torch 2.7.0; wanted torch 2.13.0, as here"):
        require_same_versions({"tcp://a:1": own, "tcp://b:1": own | {"torch": "2.7.0"}}, own)


def test_other_numbers_are_named_with_their_worker():
    own = (("gemm", "torch"), ("weights", "abc"))
    require_same(own, own, "worker a")
    with pytest.raises(
        ClusterError, match=r"worker a: evidence with gemm numpy; wanted gemm torch, as the others have it"
    ):
        require_same((("gemm", "numpy"), ("weights", "abc")), own, "worker a")
