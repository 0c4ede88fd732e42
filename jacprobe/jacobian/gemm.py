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

SWITCHES: tuple[Way, ...] = ("torch", "onednn")  # the ways that a model's own modules can be switched to
PROBE_SHAPE = (328, 3072, 328)  # the largest product of the published model's MLP rule
# Other kernels are faster by a factor of two or not at all; on a busy machine a probe is off by up to a third.
CLEARLY_FASTER = 1.5
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


def choose(
    device: torch.device,
    dtype: torch.dtype,
    way: Way | Literal["auto"] = "auto",
    among: tuple[Way, ...] = get_args(Way),
) -> Gemm:
    """Return the way to multiply on `device` in `dtype`.

    Only fp32 on a CPU has a choice; elsewhere torch's default is taken as it stands, TF32 off unless the user set it.

    Parameters
    ----------
    device, dtype
        Where and in what precision the products are taken.
    way
        "auto" probes; a name is taken unprobed if it exists here (so that two runs are bit for bit alike).
    among
        What "auto" chooses from: all ways, or `SWITCHES` for products that a model's own modules take.

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
    return fastest(tuple(found for found in probe() if found.way in among))


def fastest(found: tuple[Gemm, ...]) -> Gemm:
    """Return the default, or the fastest other way that is accurate enough and clearly faster."""
    default, *others = found
    fit = [g for g in others if g.error <= WORST_ERROR and g.gflops >= CLEARLY_FASTER * default.gflops]
    return max(fit, key=lambda g: g.gflops, default=default)


@cache
def probe(seconds: float = 0.2) -> tuple[Gemm, ...]:
    """Return rate and error of every way of multiplying fp32 on this CPU, torch's default first.

    The rate is of this thread's CPU time, the best of at least three products. The ways take turns, so that other
    work on the machine slows down all of them.
    """
    m, k, n = PROBE_SHAPE
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in ((m, k), (k, n)))
    exact = a.double() @ b.double()
    out = torch.empty(m, n)
    ways: tuple[Way, ...] = get_args(Way)
    best, errors = dict.fromkeys(ways, float("inf")), dict.fromkeys(ways, 0.0)
    spent, times = 0.0, 0
    while spent < seconds or times < 4:
        for way in ways:
            gemm = Gemm(way)
            with gemm.switched():
                start = time.process_time()
                gemm.matmul(a, b, out)
                took = time.process_time() - start
            spent += took
            if times:
                best[way] = min(best[way], took)
            else:  # warms caches and just-in-time kernels
                errors[way] = float((out.double() - exact).norm() / exact.norm())
        times += 1
    return tuple(Gemm(way, 2e-9 * m * k * n / best[way], errors[way]) for way in ways)
