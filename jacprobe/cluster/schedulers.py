"""Which Dask scheduler is meant: one of our own with processes of this machine, or one that runs already."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.cluster.devices import KEEP_MEMORY, default_workers, visible_gpus, worker_environment
from jacprobe.errors import ClusterError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

CONNECT_SECONDS = 5  # an unreachable scheduler is told within ten, start and end of the command included
_INSTALL = "pip install 'jacprobe[cluster]'"


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
    require_dask()
    if isinstance(scheduler, Remote):
        require_answer(scheduler.address)
        with client_of(scheduler.address) as client:
            yield client
        return
    import dask.config
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
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in KEEP_MEMORY.items()}),
        SpecCluster(workers, {"cls": Scheduler, "options": options}, silence_logs=quiet) as cluster,
        client_of(cluster) as client,
    ):
        yield client


def client_of(scheduler: Any) -> Client:
    """Return a client of a scheduler, or raise `ClusterError` where it does not answer."""
    from distributed import Client

    try:
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise _silent(scheduler, error) from error


def require_answer(address: str) -> None:
    """Raise `ClusterError` unless a Dask scheduler answers at an address in time.

    A `Client` waits for ever for one that accepts and says nothing, and takes the words of a web server for a length.
    """
    from distributed.comm.core import connect
    from distributed.security import Security

    async def ask() -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            told = Security().get_connection_args("client")
            (await connect(address, timeout=CONNECT_SECONDS - 1, **told)).abort()

    try:
        asyncio.run(ask())
    except Exception as error:  # whatever Dask raises of what is no answer of a scheduler
        raise _silent(address, error) from error


def _silent(scheduler: object, error: Exception) -> ClusterError:
    secured = " Certificates of tls:// are named in Dask's configuration (distributed.comm.tls)."
    return ClusterError(
        f"no scheduler answers ({str(error) or 'something there says nothing'})",
        f"one that does within {CONNECT_SECONDS} seconds",
        "Start it with: dask scheduler, and workers with: dask worker ADDRESS --nworkers N --nthreads 1."
        f"{secured if str(scheduler).startswith('tls:') else ''}",
        scheduler,
    )


def _gpus(device: str) -> tuple[str, ...]:
    if device not in ("auto", "cuda"):
        return ()
    import torch

    return visible_gpus(torch.cuda.device_count(), os.environ)


def require_dask() -> None:
    """Raise `ClusterError` unless the extra is installed."""
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise ClusterError("Dask distributed is not installed", "the extra `cluster`", _INSTALL, "--scheduler")
