"""Matrix multiplication in the model's precision, through whichever public way is fastest on this machine.

fp32 GEMM differs two-fold between libraries on some CPUs. The way is chosen once per process by a probe of speed
*and* accuracy; the default stays unless another is clearly faster, so that the choice does not flicker.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch

from jacprobe.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

Way = Literal["torch", "numpy", "onednn"]

PROBE_SHAPE = (328, 3072, 328)  # the largest product of the published model's MLP rule
CLEARLY_FASTER = 1.25
WORST_ERROR = 1e-6  # relative, against float64; plain fp32 is at 2e-7 to 6e-7, bf16 or TF32 at 1e-3


@dataclass(frozen=True)
class Gemm:
    """A way to multiply, with what the probe found.

    Attributes
    ----------
    way
        "torch" (torch's default), "numpy" (NumPy's BLAS on the tensors' own memory) or "onednn" (torch with the public
        switch `torch.backends.mkldnn.matmul.fp32_precision`).
    gflops
        Rate that the probe measured, in 1e9 floating-point operations per CPU second; NaN where nothing was probed.
    error
        Relative Frobenius error of the probed product against float64; NaN where nothing was probed.
    """

    way: Way = "torch"
    gflops: float = float("nan")
    error: float = float("nan")

    def matmul(self, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
        """Write `a @ b` into `out` and return it; leading dimensions broadcast, no tensor may require grad."""
        if self.way == "numpy":
            np.matmul(a.numpy(), b.numpy(), out=out.numpy())
            return out
        if a.dim() == 2 and b.dim() == 3:  # torch.matmul would fold b by a transposed copy
            a = a.expand(b.shape[0], *a.shape)
        return torch.matmul(a, b, out=out)

    def switched(self) -> AbstractContextManager[None]:
        """Return a context in which torch's own products take this way, as far as torch can."""
        return _onednn() if self.way == "onednn" else nullcontext()

    def __str__(self) -> str:
        return self.way if isnan(self.error) else f"{self.way} (error {self.error:.0e})"


@contextmanager
def _onednn() -> Iterator[None]:
    """Let oneDNN choose its fp32 arithmetic: on CPUs without bf16 hardware that is a faster kernel of plain fp32."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)  # since torch 2.9
    if matmul is None:
        yield
        return
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def choose(device: torch.device, dtype: torch.dtype, way: Way | Literal["auto"] = "auto") -> Gemm:
    """Return the way to multiply on `device` in `dtype`.

    Only fp32 on a CPU has a choice; elsewhere torch's default is taken as it stands, TF32 off unless the user set it.

    Parameters
    ----------
    device, dtype
        Where and in what precision the products are taken.
    way
        "auto" probes; a name is taken unprobed if it exists here (so that two runs are bit for bit alike).

    Raises
    ------
    InputError
        `way` is unknown, or cannot serve this device.
    """
    if way != "auto":
        if way not in get_args(Way):
            raise InputError(given=f"gemm {way!r}", wanted=f"auto or one of {', '.join(get_args(Way))}")
        if way != "torch" and device.type != "cpu":
            raise InputError(given=f"gemm {way!r} on {device}", wanted="torch", mend="Other ways exist on CPUs only.")
        return Gemm(way)
    if device.type != "cpu" or dtype is not torch.float32:
        return Gemm()
    return fastest(probe())


def fastest(found: tuple[Gemm, ...]) -> Gemm:
    """Return the default, or the fastest other way that is accurate enough and clearly faster."""
    default, *others = found
    fit = [g for g in others if g.error <= WORST_ERROR and g.gflops >= CLEARLY_FASTER * default.gflops]
    return max(fit, key=lambda g: g.gflops, default=default)


@cache
def probe(seconds: float = 0.06) -> tuple[Gemm, ...]:
    """Return rate and error of every way of multiplying fp32 on this CPU, torch's default first.

    The rate is of this thread's CPU time, the best of at least three products.
    """
    m, k, n = PROBE_SHAPE
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in ((m, k), (k, n)))
    exact = a.double() @ b.double()
    out = torch.empty(m, n)
    found = []
    for way in get_args(Way):
        gemm = Gemm(way)
        with gemm.switched():
            gemm.matmul(a, b, out)  # warms caches and just-in-time kernels
            error = float((out.double() - exact).norm() / exact.norm())
            best, spent, times = float("inf"), 0.0, 0
            while spent < seconds or times < 3:
                start = time.process_time()
                gemm.matmul(a, b, out)
                took = time.process_time() - start
                best, spent, times = min(best, took), spent + took, times + 1
        found.append(Gemm(way, 2e-9 * m * k * n / best, error))
    return tuple(found)
