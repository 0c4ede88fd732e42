"""The parts of a differentiable prediction, and its derivative by the perturbation vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from jacprobe.conformance.subject import Broken, Subject, close, difference, require
from jacprobe.jacobian.engine import prepare
from jacprobe.models.protocol import Castable

if TYPE_CHECKING:
    from torch import Tensor

SLOPE_TOLERANCE = 1e-5
_STEP = 1e-3  # of central differences in float64; extrapolated from half of it, their own error is of order step^4
_DIRECTIONS = 4


def _parts(subject: Subject) -> None:
    """Require encode_cells to give [B, S, E], pert_vectors [K, D] with D = latent_dim, and forward [B, S, G]."""
    model = subject.model
    encoded, vectors, batch = subject.differentiable([subject.knockdowns[0], subject.control])
    sets = (2, len(subject.cells))
    require(encoded.ndim == 3 and tuple(encoded.shape[:2]) == sets, _wrong("encode_cells", encoded, f"{sets} and E"))
    wanted = (2, model.latent_dim)
    require(tuple(vectors.shape) == wanted, _wrong("pert_vectors", vectors, f"{wanted}, D = latent_dim"))
    y = model.forward(encoded, vectors, batch)
    require(y.shape == (2, *subject.cells.shape), _wrong("forward", y, f"{(2, *subject.cells.shape)}"))
    for name, part in (("encode_cells", encoded), ("pert_vectors", vectors), ("forward", y)):
        require(part.dtype == model.dtype, Broken(f"{name} gives {part.dtype}", f"{model.dtype}, the model's dtype"))
        require(not part.requires_grad, Broken(f"{name} records gradients", "none of the weights'", "Switch them off"))


def _parity(subject: Subject) -> None:
    """Require forward(encode_cells(x), pert_vectors(k), batch) to be predict_step(x, k, batch)."""
    which = [subject.knockdowns[0], subject.control]
    close(
        subject,
        subject.model.forward(*subject.differentiable(which)),
        subject.predicted(which),
        "forward is another function than predict_step",
        "Write forward out of the model's own modules, with every residual and activation",
    )


def _backward(subject: Subject) -> None:
    """Require gradients to reach cells and perturbation vectors, when they are asked for."""
    model = subject.model
    cells = subject.cells[None].clone().requires_grad_()
    vector = model.pert_vectors(subject.index([subject.knockdowns[0]])).clone().requires_grad_()
    with torch.enable_grad():
        y = model.forward(model.encode_cells(cells), vector, subject.batch[None])
    mend = "Take no_grad, detach and NumPy out of encode_cells and forward"
    require(y.requires_grad, Broken("forward that records no graph", "one to differentiate", mend))
    found = torch.autograd.grad(y.sum(), (cells, vector), allow_unused=True)
    for name, gradient in zip(("cells", "perturbation vectors"), found, strict=True):
        require(gradient is not None, Broken(f"no gradient reaches the {name}", "one", mend))


def _slopes(subject: Subject) -> None:
    """Require dY/dpert, as jacprobe takes it, to be the slope by central differences in float64."""
    model = subject.model
    if model.dtype != torch.float64:
        castable = isinstance(model, Castable)
        mend = "Give the model a method to(device, dtype), and let 'float64' be float64 in every operation"
        require(castable, Broken(f"a model in {model.dtype} that cannot be had in float64", "a method `to`", mend))
        model = model.to(dtype=torch.float64)
    cells = subject.cells.to(torch.float64)[None]
    with torch.no_grad():
        encoded, batch = model.encode_cells(cells), subject.batch[None]
        p = model.pert_vectors(subject.index([subject.knockdowns[0]]))
    random = torch.Generator().manual_seed(0)  # only picks where to look
    drawn = torch.randn(_DIRECTIONS, p.shape[1], generator=random, dtype=torch.float64)
    v = (drawn / drawn.norm(dim=1, keepdim=True)).to(model.device)
    slope = v @ prepare(model, encoded[0], batch[0])(p)[0].T

    def along(step: float) -> Tensor:
        def mean(at: Tensor) -> Tensor:
            spread = encoded.expand(_DIRECTIONS, -1, -1), at, batch.expand(_DIRECTIONS, -1)
            return model.forward(*spread).mean(dim=1)

        return (mean(p + step * v) - mean(p - step * v)) / (2 * step)

    with torch.no_grad():
        coarse, fine = along(_STEP), along(_STEP / 2)
    # Without a kink between the points the two differ by the order of step^2, and the kinks' share by that of 1.
    smooth = (coarse - fine).abs() <= 10 * _STEP**2 * fine.abs().max()
    error = difference(torch.where(smooth, slope, 0.0), torch.where(smooth, (4 * fine - coarse) / 3, 0.0))
    require(
        bool(smooth.any()) and error <= SLOPE_TOLERANCE,
        Broken(
            f"dY/dpert differs from central differences by {error:.1e} ({float(smooth.double().mean()):.0%} smooth)",
            f"at most {SLOPE_TOLERANCE:.0e}, relative to the largest slope",
            "Let forward carry all of the derivative: no detach, rounding, argmax or float32 on the way",
        ),
    )


def _wrong(name: str, found: Tensor, wanted: str) -> Broken:
    return Broken(f"{name} gives {tuple(found.shape)}", wanted)


GRADIENT: tuple[Callable[[Subject], None], ...] = (_parts, _parity, _backward, _slopes)
