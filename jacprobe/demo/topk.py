"""Train a top-k sparse autoencoder on activations: plain PyTorch, one thread, the same bits from the same stream."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from jacprobe.errors import InputError
from jacprobe.probes.sae import SparseAutoencoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from torch import Tensor

    from jacprobe.demo.family import SaeRecipe

REVIVAL_WEIGHT = 1 / 32
REPORT_EVERY = 50


@dataclass(frozen=True)
class Quality:
    """How well an autoencoder renders activations.

    Attributes
    ----------
    explained_variance
        1 - sum |x - decoded|^2 / sum |x - mean|^2 over cells.
    explained_variance_of_means
        The same over the means of each knockdown, which is what differs between knockdowns.
    l0
        Mean number of active features in a cell.
    dead_features
        Features that no cell activates.
    """

    explained_variance: float
    explained_variance_of_means: float
    l0: float
    dead_features: int


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: sums are then taken in one order, whatever the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit_topk(
    x: Tensor, recipe: SaeRecipe, rng: np.random.Generator, report: Callable[[int], None] = lambda _done: None
) -> SparseAutoencoder:
    """Train features = relu(top-k of ((x - b_dec) W_enc + b_enc)), x ~ features W_dec + b_dec.

    The loss is the squared error over the variance of its batch. Decoder rows keep norm 1, so that a feature's value is
    its length in units of x. The encoder starts as the decoder's transpose and b_dec as the mean. Features that were
    silent for `recipe.quiet_steps` steps are drawn back by a share in what the others leave over.

    Parameters
    ----------
    x
        Activations [n, D].
    recipe
        Sizes and settings.
    rng
        Of the first directions and the order of rows.
    report
        Called with the steps done.

    Raises
    ------
    InputError
        Fewer rows than a batch, or rows that are all alike.
    """
    n, width = x.shape
    mean = x.double().mean(dim=0).to(x)
    scale = float((x - mean).square().mean().sqrt())
    if n < recipe.batch_size or scale == 0:
        given = f"{n} activations" if n < recipe.batch_size else f"{n} activations that are all alike"
        raise InputError(given, f"at least {recipe.batch_size} that differ", where="x")
    x = (x - mean) / scale
    features = recipe.expansion * width
    W_dec = _unit(torch.as_tensor(rng.standard_normal((features, width)), dtype=x.dtype))
    W_enc, b_enc, b_dec = W_dec.mT.contiguous(), x.new_zeros(features), x.new_zeros(width)
    weights = [part.requires_grad_() for part in (W_enc, b_enc, W_dec, b_dec)]
    optimiser = torch.optim.Adam(weights, lr=recipe.learning_rate)
    silent = torch.zeros(features, dtype=torch.long)  # steps since each feature was last active
    for step, rows in enumerate(_batches(n, recipe.batch_size, recipe.steps, rng)):
        for group in optimiser.param_groups:  # constant, then falling to zero over the second half
            group["lr"] = recipe.learning_rate * min(1.0, 2 * (1 - step / recipe.steps))
        batch = x[rows]
        z = (batch - b_dec) @ W_enc + b_enc
        active = _largest(z, recipe.k)
        error = batch - active @ W_dec - b_dec
        silent = torch.where((active > 0).any(dim=0), 0, silent + 1)
        loss = error.square().sum() / (batch - batch.mean(dim=0)).square().sum()
        loss = loss + REVIVAL_WEIGHT * revival(z, silent > recipe.quiet_steps, error.detach(), W_dec)
        optimiser.zero_grad()
        loss.backward()
        with torch.no_grad():
            _tangential(W_dec)
            optimiser.step()
            W_dec.copy_(_unit(W_dec))
        if step % REPORT_EVERY == 0:
            report(step)
    report(recipe.steps)
    # With z homogeneous in (x - b_dec, b_enc), the scale of x goes into the two biases alone.
    W_enc, b_enc, W_dec, b_dec = (part.detach() for part in weights)
    return SparseAutoencoder(W_enc, b_enc * scale, W_dec, b_dec * scale + mean, activation="topk", k=recipe.k)


def revival(z: Tensor, dead: Tensor, error: Tensor, W_dec: Tensor) -> Tensor:
    """Return the relative error of rendering `error` by the dead features that come nearest to being active.

    Half as many as x has dimensions take part; where fewer are dead, the loss counts for less.
    """
    wanted = max(1, error.shape[-1] // 2)
    n_dead = int(dead.sum())
    if not n_dead:
        return z.new_zeros(())
    rendered = _largest(z.masked_fill(~dead, -torch.inf), min(wanted, n_dead)) @ W_dec
    return min(1.0, n_dead / wanted) * (error - rendered).square().sum() / error.square().sum()


@torch.no_grad()
def quality(sae: SparseAutoencoder, x: Tensor) -> Quality:
    """Return how well the autoencoder renders activations [..., kd, cell, D]; leading dimensions are further draws."""
    draws = x.reshape(-1, *x.shape[-3:])
    active = torch.stack([sae.encode(part) for part in draws])
    draws, decoded = draws.double(), sae.decode(active).double()

    def explained(true: Tensor, rendered: Tensor) -> float:
        true, rendered = true.flatten(0, -2), rendered.flatten(0, -2)
        return 1 - float((true - rendered).square().sum() / (true - true.mean(dim=0)).square().sum())

    fired = active > 0
    return Quality(
        explained_variance=explained(draws, decoded),
        explained_variance_of_means=explained(draws.mean(dim=(0, 2)), decoded.mean(dim=(0, 2))),
        l0=float(fired.sum(dim=-1).double().mean()),
        dead_features=int((~fired.flatten(0, -2).any(dim=0)).sum()),
    )


def _batches(n: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield rows of `steps` batches: whole batches of one random order after the other."""
    per_order = n // size
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        start = step % per_order * size
        if start == 0:
            order = torch.as_tensor(rng.permutation(n))
        yield order[start : start + size]


def _largest(z: Tensor, k: int) -> Tensor:
    values, index = z.topk(k, dim=-1)
    return torch.zeros_like(z).scatter(-1, index, values.relu())


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def _tangential(W_dec: Tensor) -> None:
    """Take from the gradient what points along a row: it would only change the norm, which is fixed."""
    assert W_dec.grad is not None
    W_dec.grad -= (W_dec.grad * W_dec).sum(dim=1, keepdim=True) * W_dec
