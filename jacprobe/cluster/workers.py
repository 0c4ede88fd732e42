"""How long workers are waited for, and which are fit: one thread each, and the versions that numbers depend on."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from jacprobe.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Client

PACKAGES = ("jacprobe", "torch", "arc-state", "transformers", "numpy", "distributed")


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Patience:
    """How long to wait while there is no worker at all.

    Attributes
    ----------
    seconds
        At most.
    ended
        Returns why none will come any more, or nothing while one may.
    """

    seconds: float = 60.0
    ended: Callable[[], str] = _nothing


def own_versions() -> dict[str, str]:
    """Return the versions of this process."""
    return _reader()()


def require_fit(client: Client) -> None:
    """Raise `ClusterError`, naming them, where workers have several threads or other versions than this process.

    What they run to tell is sent whole, for workers that have no jacprobe at all.
    """
    info = client.scheduler_info(n_workers=-1)["workers"]
    if crowded := {address: worker["nthreads"] for address, worker in info.items() if worker["nthreads"] != 1}:
        said = ", ".join(f"{address} has {threads} threads" for address, threads in crowded.items())
        raise ClusterError(said, "one thread in each worker process", "Start workers with: --nworkers N --nthreads 1")
    found: Any = client.run(_reader())
    require_same_versions(found, own_versions())


def require_same_versions(found: Mapping[str, Mapping[str, str]], own: Mapping[str, str]) -> None:
    """Raise `ClusterError`, naming worker and package, where a worker has another version."""
    said = [
        f"worker {address} has {package} {have}"
        for address, versions in found.items()
        for package, have in versions.items()
        if have != own[package]
    ]
    if said:
        wanted = ", ".join(f"{package} {own[package]}" for package in own if any(f" has {package} " in s for s in said))
        raise ClusterError("; ".join(said), f"{wanted}, as here", "Start workers in the same environment.")


def _reader() -> Callable[[], dict[str, str]]:
    packages, absent, of, python = PACKAGES, PackageNotFoundError, version, platform.python_version

    def read() -> dict[str, str]:
        found: dict[str, Any] = {"python": python()}
        for package in packages:
            try:
                found[package] = of(package)
            except absent:
                found[package] = "none"
        return found

    return read
