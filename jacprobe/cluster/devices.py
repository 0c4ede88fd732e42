"""What each worker process of ours sees of its machine: one thread, and of several GPUs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def worker_environment(index: int, gpus: Sequence[str]) -> dict[str, str]:
    """Return the environment of the `index`-th worker; where there are GPUs, they are dealt out in turn."""
    return ONE_THREAD | ({"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else {})


def visible_gpus(count: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of `count` GPUs, as CUDA_VISIBLE_DEVICES gives them where it already chose some."""
    chosen = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(chosen[:count]) if chosen else tuple(map(str, range(count)))


def default_workers(gpus: Sequence[str], cores: int) -> int:
    """Return how many workers a machine gets: one for each GPU, or where there is none for each core."""
    return len(gpus) or cores
