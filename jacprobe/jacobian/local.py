"""Exact Jacobians of a recognised model by local rules, and its prediction by the same blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from jacprobe.jacobian.blocks import Affine
from jacprobe.jacobian.rules import normed, rms, slope, through_attention, through_mlp

if TYPE_CHECKING:
    from torch import Tensor

    from jacprobe.jacobian.blocks import Blocks
    from jacprobe.jacobian.gemm import Gemm

By = Literal["pert", "cells"]

KINK = 1e-5


@dataclass(frozen=True)
class LocalJacobian:
    """A Jacobian with the prediction it belongs to.

    Attributes
    ----------
    jacobian
        d(mean over cells of Y)/d(pert), or by the encoded cells: [B, G, D].
    response
        Mean over cells of Y: [B, G].
    near_kink
        Genes with a preactivation of the last nonlinearity within 1e-5 of zero in some cell: [B, G], bool. A rounding
        error may open or shut a ReLU there, so their rows are left out of comparisons of accuracy.
    """

    jacobian: Tensor
    response: Tensor
    near_kink: Tensor


def local_jacobian(
    blocks: Blocks, gemm: Gemm, encoded: Tensor, pert: Tensor, batch: Tensor, cells_at_once: int = 1, by: By = "pert"
) -> LocalJacobian:
    """Return d(mean over cells of Y)/d(pert), or by a shift common to all encoded cells, by the local rules.

    Both enter the first layer in the same place; a shift of the cells passes the residual before the head as well.

    Parameters
    ----------
    blocks
        What `recognise` found.
    gemm
        How to multiply.
    encoded, pert, batch
        Sets: [B, S, D], [B, D], [B, S].
    cells_at_once
        Cells whose MLP Jacobian is formed together: more memory, fewer and larger products.
    by
        "pert", or "cells".
    """
    with torch.no_grad(), gemm.switched():
        x = _entry(blocks, encoded, pert, batch)
        unit = torch.eye(x.shape[-1], device=x.device, dtype=x.dtype)
        T = unit.expand(*x.shape[:2], *unit.shape).contiguous()
        spare = torch.empty_like(T)
        for i, layer in enumerate(blocks.layers):
            x = through_attention(layer.attention, layer.attention_eps, gemm, x, T, spare, first=i == 0)
            x = through_mlp(layer.mlp, layer.mlp_eps, gemm, x, T, spare, cells_at_once)
            T, spare = spare, T
        n, r = rms(x, blocks.norm_eps)
        H = normed(T, n, r, out=spare).mul_(blocks.norm_weight[:, None])
        if by == "cells" and blocks.residual:
            H.diagonal(dim1=-2, dim2=-1).add_(1)
        del T
        return _through_head(blocks, gemm, _exit(blocks, n, encoded), H)


def _entry(blocks: Blocks, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
    x = encoded + pert[:, None]
    return x if blocks.batch is None else x + blocks.batch(batch)


def _exit(blocks: Blocks, n: Tensor, encoded: Tensor) -> Tensor:
    h = n * blocks.norm_weight
    return h + encoded if blocks.residual else h


def _through_head(blocks: Blocks, gemm: Gemm, h: Tensor, H: Tensor) -> LocalJacobian:
    """Pass states h [B, S, D] and tangents H [B, S, D, J] through the head; average over cells, one cell at a time."""
    near_kink = None
    steps: list[Tensor] = []  # per step its weight [out, in] or its slopes [B, S, width]
    for step in blocks.head:
        if isinstance(step, Affine):
            steps.append(step.weight)
            h = step(h)
        else:
            near_kink = (h.abs() < KINK).any(dim=1)
            h, c = slope(step, h)
            steps.append(c)
    B, S, G = h.shape
    jacobian = H.new_zeros(B, G, H.shape[-1])
    for s in range(S):
        tangent = H[:, s]
        for step in steps:
            if step.dim() == 2:
                tangent = gemm.matmul(step, tangent, out=H.new_empty(B, step.shape[0], H.shape[-1]))
            else:
                tangent = tangent * step[:, s, :, None]
        jacobian += tangent
    if near_kink is None or near_kink.shape != (B, G):
        near_kink = torch.zeros(B, G, dtype=torch.bool, device=h.device)
    return LocalJacobian(jacobian.div_(S), h.mean(dim=1), near_kink)
