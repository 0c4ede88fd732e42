"""Ways of computing the same numbers, as a pytest plugin that the variable JACPROBE_NUMERICS chooses from.

Settings that no user has a switch for are made where the code takes its constants from; nothing of what is computed is
another formula.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jacprobe.jacobian.gemm import Way

VARIABLE = "JACPROBE_NUMERICS"


@dataclass(frozen=True)
class Setting:
    """A way of computing: what it is in words, what makes it so, threads of each process, how products are taken."""

    meaning: str
    make: Callable[[], None]
    threads: int = 1
    way: Way = "torch"

    def refused(self) -> str:
        """Return why jacprobe itself would never compute so on this machine; nothing where it might."""
        from jacprobe.jacobian.gemm import WORST_ERROR, probe

        error = next(found.error for found in probe() if found.way == self.way)
        return f"products by {self.way} are off by {error:.0e} here" if error > WORST_ERROR else ""


def kernel(way: Way, onednn: bool = True) -> None:
    """Take all products one way, unprobed, and switch oneDNN off where it shall not serve."""
    import torch

    from jacprobe.jacobian import gemm

    only = gemm.Gemm(way)
    gemm.probe = lambda *_: (only,)
    gemm.fastest = lambda _: only
    torch.backends.mkldnn.set_flags(onednn)


def passes(cells: int, at_once: int) -> None:
    """Send so many cells through a model in one pass, and take Jacobians of so many cells or directions at once."""
    from jacprobe.jacobian.engine import Engine
    from jacprobe.models import surrogates
    from jacprobe.probes import sets

    sets.CELLS_AT_ONCE = surrogates._CELLS_AT_ONCE = cells
    made = Engine.__init__

    @wraps(made)
    def make(self: Engine, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        self.at_once = at_once

    Engine.__init__ = make


def float64() -> None:
    """Compute and keep everything in float64."""
    import torch

    from jacprobe.models.adapters import Adapter
    from jacprobe.store import fill

    load = Adapter.loaded

    def loaded(self: Adapter, run: Path, checkpoint: str, mask: str, device: str) -> Any:
        model: Any = load(self, run, checkpoint, mask, device)
        return model.to(dtype=torch.float64)

    Adapter.loaded = loaded
    fill.evidence = partial(fill.evidence, dtype="float64")


def plain() -> None:
    """Take products by torch's default, whatever would be faster here."""
    kernel("torch")


def small() -> None:
    """Compute in passes of one control set."""
    kernel("torch")
    passes(64, 1)


def large() -> None:
    """Compute in passes of sixteen control sets, Jacobians of sixteen cells."""
    kernel("torch")
    passes(1024, 16)


SETTINGS = {
    "plain": Setting("torch's own products, one thread, float32", plain),
    "two-threads": Setting("two threads to a process", plain, threads=2),
    "onednn": Setting("products by oneDNN", lambda: kernel("onednn"), way="onednn"),
    "no-onednn": Setting(
        "oneDNN switched off, products by NumPy's BLAS", lambda: kernel("numpy", onednn=False), way="numpy"
    ),
    "small-passes": Setting("64 cells a pass, Jacobians cell by cell", small),
    "large-passes": Setting("1,024 cells a pass, Jacobians of 16 cells at once", large),
    "float64": Setting("float64 from the weights to the store", float64),
}


def pytest_configure() -> None:
    """Make the setting that the environment names."""
    SETTINGS[os.environ[VARIABLE]].make()
