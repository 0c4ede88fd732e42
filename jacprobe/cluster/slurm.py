"""Workers that are Slurm jobs: what --slurm may say, submitting them, and noticing that all of them have ended."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jacprobe.cluster.devices import KEEP_MEMORY, ONE_THREAD
from jacprobe.cluster.schedulers import client_of, require_dask
from jacprobe.cluster.workers import Patience
from jacprobe.errors import ClusterError, InputError, unknown_names
from jacprobe.suite import read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from distributed import Client

_QUEUED_SECONDS = 24 * 3600.0  # jobs may queue for so long
_LOOK_SECONDS = 10.0  # between two looks at the queue, which others share
_SLURM_OPTIONS = {
    "jobs": int,
    "processes": int,
    "memory": str,
    "walltime": str,
    "queue": str,
    "account": str,
    "gpus": int,
    "directives": list,
    "prologue": list,
    "interface": str,
    "log_directory": str,
}


@contextmanager
def slurm(options: Path) -> Iterator[tuple[Client, Patience]]:
    """Yield a client of a scheduler of our own whose workers are Slurm jobs, cancelled in the end.

    With it comes how long to wait for them: a day, for jobs queue, and no longer than one of them is queued or runs.

    Raises
    ------
    ClusterError
        The extra is not installed, there is no Slurm, or Slurm refuses the jobs.
    InputError
        Options that are none, or of another type.
    """
    require_dask()
    given = slurm_options(read_toml(options), options)
    if shutil.which("sbatch") is None:
        raise ClusterError(
            "no sbatch on this machine",
            "a login node of a Slurm cluster",
            "Elsewhere: --scheduler local, --scheduler tcp://HOST:PORT, or array jobs of --shard i/n.",
            "--slurm",
        )
    jobs = given.pop("jobs")
    with slurm_cluster(given) as cluster:
        ended = _Ended(_submitted(cluster, jobs, options))
        with client_of(cluster) as client:
            yield client, Patience(_QUEUED_SECONDS, ended)


def slurm_options(table: dict[str, Any], where: object) -> dict[str, Any]:
    """Return the options of a --slurm file, checked; `jobs` is 1 where it is not given.

    Raises
    ------
    InputError
        An unknown option, one of another type, or no `memory` or `walltime`.
    """
    if unknown := [name for name in table if name not in _SLURM_OPTIONS]:
        raise unknown_names("option", unknown, list(_SLURM_OPTIONS), where=where)
    for name, kind in _SLURM_OPTIONS.items():
        if name in table and (type(table[name]) is not kind or (kind is int and table[name] < 1)):
            wanted = {int: "a whole number from 1", str: "a text", list: "a list of texts"}[kind]
            raise InputError(f"{name} = {table[name]!r}", wanted, where=where)
    if absent := [name for name in ("memory", "walltime") if name not in table]:
        raise InputError(f"no {' and no '.join(absent)}", 'such as memory = "4GB", walltime = "04:00:00"', where=where)
    return {"jobs": 1, **table}


def slurm_cluster(given: dict[str, Any]) -> Any:
    """Return dask-jobqueue's cluster for checked options; nothing is submitted before it is scaled.

    A job is `processes` worker processes of one thread each; with `gpus`, Slurm gives each job so many, and as many
    processes should share them.
    """
    before = signal.getsignal(signal.SIGINT)
    from dask_jobqueue.slurm import SLURMCluster

    signal.signal(signal.SIGINT, before)  # importing it makes of every interrupt a silent exit with code 0
    processes = given.get("processes", 1)
    exported = [f"export {name}={value}" for name, value in (ONE_THREAD | KEEP_MEMORY).items()]
    gres = [f"--gres=gpu:{given['gpus']}"] if "gpus" in given else []
    passed = {name: given[name] for name in ("queue", "account", "interface", "log_directory") if name in given}
    return SLURMCluster(
        cores=processes,
        processes=processes,
        memory=given["memory"],
        walltime=given["walltime"],
        python=sys.executable,
        # Slurm watches over memory; Dask would pause a worker at 80 % of its part, and nothing would ever wake it.
        worker_extra_args=["--memory-limit", "0"],
        job_extra_directives=[*gres, *given.get("directives", ())],
        job_script_prologue=[*exported, *given.get("prologue", ())],
        scheduler_options={"dashboard": False, "dashboard_address": ":0"},
        silence_logs="error",
        **passed,
    )


def _submitted(cluster: Any, jobs: int, options: Path) -> frozenset[str]:
    """Submit the jobs and return their numbers.

    `cluster.scale` submits behind our back: where Slurm refuses, it leaves a traceback and no jobs to wait for.
    """
    from distributed import Status

    for _ in range(jobs):
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(cluster._correct_state)
    except RuntimeError as error:
        for job in cluster.workers.values():
            if job.job_id is None:
                job.status = Status.failed  # else closing the cluster takes it for one that was forgotten
        _, _, said = str(error).rpartition("stderr:")
        raise ClusterError(
            f"Slurm refuses the jobs ({' '.join(said.split()) or error})",
            "options that sbatch takes",
            "See queue, account, memory, walltime and directives in this file; sinfo lists what there is.",
            options,
        ) from error
    return frozenset(str(job.job_id) for job in cluster.workers.values())


class _Ended:
    """Tells why no worker will come any more: none of the jobs is queued or running."""

    def __init__(self, jobs: Collection[str], queued: Callable[[], Collection[str] | None] | None = None) -> None:
        self._jobs, self._queued, self._looked = frozenset(jobs), queued or _queue, time.monotonic()

    def __call__(self) -> str:
        """Return the reason, or nothing; the queue is looked at every ten seconds at most."""
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return ""
        self._looked = time.monotonic()
        queued = self._queued()
        if queued is None or self._jobs & set(queued):
            return ""
        return f"all Slurm jobs have ended ({', '.join(sorted(self._jobs))})"


def _queue() -> list[str] | None:
    """Return the numbers of our jobs in the queue; None where Slurm does not answer, which says nothing."""
    if (squeue := shutil.which("squeue")) is None:
        return None
    try:
        command = [squeue, "--me", "-h", "-o", "%A"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60)  # noqa: S603 - no shell, no input
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.split() if found.returncode == 0 else None
