"""Which scheduler is meant: processes of this machine, one that runs already, or Slurm's."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.cluster.devices import ONE_THREAD, default_workers, visible_gpus, worker_environment
from jacprobe.errors import ClusterError, InputError, unknown_names
from jacprobe.suite import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import Client

CONNECT_SECONDS = 8  # an unreachable scheduler is told within ten
_INSTALL = "pip install 'jacprobe[cluster]'"
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


@dataclass(frozen=True)
class Local:
    """Worker processes on this machine; one for each core or GPU where `workers` is None."""

    workers: int | None = None


@dataclass(frozen=True)
class Remote:
    """A scheduler that runs already, with workers that were started by others."""

    address: str


def parse_scheduler(text: str) -> Local | Remote:
    """Return what --scheduler means.

    Raises
    ------
    InputError
        Neither local, local:N with N of at least 1, nor tcp://HOST:PORT (or tls://).
    """
    kind, _, rest = text.partition(":")
    if kind == "local" and (not rest or (rest.isdecimal() and int(rest) >= 1)):
        return Local(int(rest) if rest else None)
    host, _, port = rest.removeprefix("//").rpartition(":")
    if kind in ("tcp", "tls") and rest.startswith("//") and host and port.isdecimal():
        return Remote(text)
    raise InputError(f"--scheduler {text}", "local, local:N or tcp://HOST:PORT", where="collect")


@contextmanager
def connected(scheduler: Local | Remote, device: str = "auto") -> Iterator[Client]:
    """Yield a client of the scheduler, its own processes started and in the end stopped.

    Raises
    ------
    ClusterError
        The extra is not installed; the scheduler does not answer within ten seconds.
    """
    _require_dask()
    if isinstance(scheduler, Remote):
        with _client(scheduler.address) as client:
            yield client
        return
    from distributed import Nanny, Scheduler
    from distributed.deploy.spec import SpecCluster

    gpus = _gpus(device)
    count = scheduler.workers or default_workers(gpus, os.cpu_count() or 1)
    quiet: Any = logging.ERROR  # a level, which Dask's annotations do not know of
    shared = {"nthreads": 1, "memory_limit": 0, "preload": ["jacprobe.cluster.preload"], "silence_logs": quiet}
    options = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": ":0"}
    workers = {
        i: {"cls": Nanny, "options": {**shared, "host": "127.0.0.1", "env": worker_environment(i, gpus)}}
        for i in range(count)
    }
    with (
        SpecCluster(workers, {"cls": Scheduler, "options": options}, silence_logs=quiet) as cluster,
        _client(cluster) as client,
    ):
        yield client


@contextmanager
def slurm(options: Path) -> Iterator[Client]:
    """Yield a client of a scheduler of our own whose workers are Slurm jobs, cancelled in the end.

    Raises
    ------
    ClusterError
        The extra is not installed, or there is no Slurm.
    InputError
        Options that are none, or of another type.
    """
    _require_dask()
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
        cluster.scale(jobs=jobs)
        with _client(cluster) as client:
            yield client


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
    from dask_jobqueue.slurm import SLURMCluster

    processes = given.get("processes", 1)
    threads = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
    gres = [f"--gres=gpu:{given['gpus']}"] if "gpus" in given else []
    passed = {name: given[name] for name in ("queue", "account", "interface", "log_directory") if name in given}
    return SLURMCluster(
        cores=processes,
        processes=processes,
        memory=given["memory"],
        walltime=given["walltime"],
        python=sys.executable,
        job_extra_directives=[*gres, *given.get("directives", ())],
        job_script_prologue=[*threads, *given.get("prologue", ())],
        scheduler_options={"dashboard": False, "dashboard_address": ":0"},
        silence_logs="error",
        **passed,
    )


def _client(scheduler: Any) -> Client:
    from distributed import Client

    try:
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"no scheduler answers ({error})",
            f"one that does within {CONNECT_SECONDS} seconds",
            "Start it with: dask scheduler, and workers with: dask worker ADDRESS --nworkers N --nthreads 1",
            scheduler,
        ) from error


def _gpus(device: str) -> tuple[str, ...]:
    if device not in ("auto", "cuda"):
        return ()
    import torch

    return visible_gpus(torch.cuda.device_count(), os.environ)


def _require_dask() -> None:
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise ClusterError("Dask distributed is not installed", "the extra `cluster`", _INSTALL, "--scheduler")
