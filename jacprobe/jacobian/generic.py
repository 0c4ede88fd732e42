"""Jacobians of any differentiable model: forward mode over the model's own modules, and the published reverse call.

B sets of S cells, latent dimension D, G genes, N directions.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.func import jvp, vmap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    Forward = Callable[[Tensor, Tensor, Tensor], Tensor]


@contextmanager
def forward_mode() -> Iterator[None]:
    """Silence torch 2.13, which deprecates what its own forward-mode rules are made with, on their first use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
        yield


def tangents(
    forward: Forward, encoded: Tensor, pert: Tensor, batch: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the predictions, averaged over cells, and their derivatives along directions of pert, by `vmap(jvp)`.

    Parameters
    ----------
    forward
        The model: [B, S, E], [B, D], [B, S] -> [B, S, G].
    encoded, pert, batch
        Its arguments.
    directions
        Directions in the space of pert, the same for every set: [N, D].

    Returns
    -------
    tuple
        Mean over cells [B, G] and derivatives [N, B, G].
    """

    def along(v: Tensor) -> tuple[Tensor, Tensor]:
        mean, slope, *_ = jvp(lambda p: forward(encoded, p, batch).mean(dim=1), (pert,), (v.expand_as(pert),))
        return mean, slope

    with torch.no_grad(), forward_mode():
        means, slopes = vmap(along)(directions)
    return means[0], slopes


def jacobian_generic(forward: Forward, encoded: Tensor, pert: Tensor, batch: Tensor, chunk: int) -> Tensor:
    """Return d(mean over cells of Y)/d(pert), [B, G, D], by `chunk` forward directions at a time."""
    unit = torch.eye(pert.shape[-1], device=pert.device, dtype=pert.dtype)
    parts = [tangents(forward, encoded, pert, batch, part)[1] for part in unit.split(chunk)]
    return torch.cat(parts).movedim(0, -1).contiguous()


def by_cells(forward: Forward, pert: Tensor) -> Forward:
    """Return the model as a function of a shift [B, E] of all its encoded cells, at perturbations [B, D].

    The shift stands where `forward` takes pert, so that all of this module serves it.
    """
    return lambda encoded, shift, batch: forward(encoded + shift.unsqueeze(1), pert, batch)


def jacobian_by_cells(forward: Forward, encoded: Tensor, pert: Tensor, batch: Tensor, chunk: int) -> Tensor:
    """Return d(mean over cells of Y)/d(a shift common to all encoded cells of a set), [B, G, E]."""
    return jacobian_generic(by_cells(forward, pert), encoded, torch.zeros_like(encoded[:, 0]), batch, chunk)


def jacobian_autograd(
    forward: Forward, encoded: Tensor, pert: Tensor, batch: Tensor, rows: slice = slice(None)
) -> Tensor:
    """Return the same Jacobian, [B, G, D], by the call of the original study: reverse mode, one cotangent per gene.

    `torch.autograd.functional.jacobian(vectorize=True)` holds all cotangents at once: 5.6 GiB at the published shape.
    `rows` restricts it to some genes, for benchmarks.
    """
    found = []
    for cells, p, index in zip(encoded.split(1), pert, batch.split(1), strict=True):

        def response(vector: Tensor, cells: Tensor = cells, index: Tensor = index) -> Tensor:
            return forward(cells, vector[None], index)[0].mean(dim=0)[rows]

        found.append(torch.autograd.functional.jacobian(response, p.detach().clone(), vectorize=True))
    return torch.stack(found)
