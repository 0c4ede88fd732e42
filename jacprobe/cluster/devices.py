"""What each worker process of ours sees of its machine: one thread, and of several GPUs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

# Dask has its workers give memory back at once, by a variable that also keeps glibc from learning what is allocated
# again and again: every array above 128 KiB is mapped and cleared anew, a fifth of the processor time of a Jacobian.
# These are what glibc comes to by itself. They count only where they are set before the process begins.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(64 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20)}


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
