"""Local rules: how the derivatives of all cells by pert pass through one norm, attention or MLP, exactly.

Forward mode by hand, all directions at once, tangents last: with B sets of S cells, latent dimension D and J = D
directions, T [B, S, D, J] holds the derivative of every cell's state. Nothing here records a graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.func import jvp

from jacprobe.jacobian.generic import forward_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jacprobe.jacobian.blocks import Attention, Mlp
    from jacprobe.jacobian.gemm import Gemm


def rms(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return n = x / r and r = sqrt(mean x^2 + eps) over the last axis; r keeps the axis."""
    r = (x.square().mean(-1, keepdim=True) + eps).sqrt()
    return x / r, r


def normed(T: Tensor, n: Tensor, r: Tensor, out: Tensor) -> Tensor:
    """Write the tangents behind an RMSNorm into `out`: dn = (dx - n (n' dx) / D) / r."""
    along = n[..., None, :] @ T
    return torch.addcmul(T, n[..., None], along, value=-1 / n.shape[-1], out=out).div_(r[..., None])


def slope(f: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(z) and f'(z) of an elementwise function."""
    with forward_mode():
        value, derivative, *_ = jvp(f, (z,), (torch.ones_like(z),))
    return value, derivative


def attend(attention: Attention, n: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return queries (scaled), keys, values, weights and their mixture of normed cells n [B, S, D].

    All are [B, H, S, d] but the weights [B, H, S, S].
    """
    parts = (attention.q, attention.k, attention.v)
    q, k, v = (part(n).unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in parts)
    P = (q @ k.mT).softmax(-1)
    return q, k, v, P, P @ v


def hidden(mlp: Mlp, n: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the hidden units h [.., F] and their Jacobian by n as a sum of diag(c) W over pairs (c, W)."""
    u = mlp.up(n)
    if mlp.gate is None:
        h, c = slope(mlp.act, u)
        return h, [(c, mlp.up.weight)]
    s, c = slope(mlp.act, mlp.gate(n))
    return s * u, [(c * u, mlp.gate.weight), (s, mlp.up.weight)]


def through_attention(
    attention: Attention, eps: float, gemm: Gemm, x: Tensor, T: Tensor, spare: Tensor, first: bool
) -> Tensor:
    """Add attention(rms(x)) to x and its tangents to T in place; return the new x.

    The score q_s . k_t changes by U_t dn_s + R_s dn_t, with R_s = q_s' Wk and U_t = k_t' Wq. While S <= d, R and U are
    applied to the tangents themselves; beyond, the tangents of q and k are the smaller detour. The softmax is absorbed:
    do_s = sum_t P_st (v_t - o_s) dscore_st + sum_t P_st dv_t.

    Parameters
    ----------
    attention, eps
        The block and the eps of the norm before it.
    gemm
        How to multiply.
    x, T
        States [B, S, D] and tangents [B, S, D, J].
    spare
        Scratch of T's shape.
    first
        Whether T is the identity for every cell, so that no product with it is needed.
    """
    B, S, D, J = T.shape
    n, r = rms(x, eps)
    q, k, v, P, o = attend(attention, n)
    wq, wk, wv = (part.weight.unflatten(0, (attention.heads, -1)) for part in (attention.q, attention.k, attention.v))
    d = wv.shape[1]
    direct = d >= S
    width = S if direct else d
    dn = T if first else normed(T, n, r, out=spare)
    dO = T.new_empty(B, S, attention.heads, d, J)
    G = T.new_empty(B * S, 2 * width + d, J)
    dscore, detour = T.new_empty(B, S, S, J), None if direct else T.new_empty(B, S, S, J)
    of_scores, of_values = T.new_empty(B, S, d, J), T.new_empty(B, S, d * J)
    for h in range(attention.heads):
        by_key = q[:, h] @ wk[h] if direct else wk[h].expand(B, d, D)
        by_query = k[:, h] @ wq[h] if direct else wq[h].expand(B, d, D)
        rows = torch.cat([by_key, by_query, wv[h].expand(B, d, D)], dim=1)
        if first:
            _project_identity(rows, n, r, out=G.view(B, S, -1, J))
        else:
            stacked = rows[:, None].expand(B, S, *rows.shape[1:]).reshape(B * S, -1, D)
            gemm.matmul(stacked, dn.view(B * S, D, J), out=G)
        dk, dq, dv = G.view(B, S, -1, J).split([width, width, d], dim=2)
        if detour is None:
            torch.add(dq, dk.transpose(1, 2), out=dscore)
        else:
            gemm.matmul(q[:, h, None].contiguous(), dk, out=detour)
            gemm.matmul(k[:, h, None].contiguous(), dq, out=dscore)
            dscore += detour.transpose(1, 2)
        pull = ((v[:, h, None] - o[:, h, :, None]) * P[:, h, :, :, None]).mT.contiguous()
        gemm.matmul(pull, dscore, out=of_scores)
        gemm.matmul(P[:, h].contiguous(), dv.flatten(2), out=of_values)
        torch.add(of_scores, of_values.view_as(of_scores), out=dO[:, :, h])
    update = spare.view(B * S, D, J)
    T += gemm.matmul(attention.o.weight, dO.view(B * S, -1, J), out=update).view_as(T)
    return x + attention.o(o.transpose(1, 2).flatten(2))


def _project_identity(rows: Tensor, n: Tensor, r: Tensor, out: Tensor) -> Tensor:
    """Write rows @ (I - n n' / D) / r into `out` [B, S, M, D] for rows [B, M, D]."""
    along = n @ rows.mT
    torch.addcmul(rows[:, None], along[..., None], n[:, :, None], value=-1 / n.shape[-1], out=out)
    return out.div_(r[..., None])


def through_mlp(mlp: Mlp, eps: float, gemm: Gemm, x: Tensor, T: Tensor, out: Tensor, cells: int) -> Tensor:
    """Write the tangents behind x + mlp(rms(x)) into `out`; return the new x.

    Per cell the MLP's Jacobian by n is M = Wd C, C = diag(a) Wg + diag(b) Wu with a = act'(g) u and b = act(g): one
    product with the [D, F] weight instead of three with all tangents. Then T <- (I + M (I - n n' / D) / r) T.
    """
    B, S, D, J = T.shape
    n, r = rms(x, eps)
    h, terms = hidden(mlp, n)
    flat_n, scale = n.flatten(0, 1), (1 / r).flatten(0, 1)
    coefficients = [((c.flatten(0, 1) * scale)[..., None], weight) for c, weight in terms]
    source, target = T.view(B * S, D, J), out.view(B * S, D, J)
    unit = torch.eye(D, device=T.device, dtype=T.dtype)
    for start in range(0, B * S, cells):
        part = slice(start, min(start + cells, B * S))
        (c, weight), *rest = coefficients
        C = c[part] * weight
        for c, weight in rest:
            C.addcmul_(c[part], weight)
        M = gemm.matmul(mlp.down.weight, C, out=T.new_empty(C.shape[0], D, D))
        along = M @ flat_n[part, :, None]
        M.addcmul_(along, flat_n[part, None], value=-1 / D).add_(unit)
        gemm.matmul(M, source[part], out=target[part])
    return x + mlp.down(h)
