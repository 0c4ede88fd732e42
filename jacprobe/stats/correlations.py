"""Correlations over pairs of nodes and their delete-one-node replicates, from Gram matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray


def with_and_without_nodes(x: FloatArray, y: FloatArray, given: Sequence[FloatArray]) -> tuple[float, FloatArray]:
    """Return the (partial) correlation of x and y over the pairs i < j, and without each node.

    The Gram matrix over pairs of (1, given, x, y) loses node i's own row products when node i is deleted, so all n
    replicates cost one pass.

    Parameters
    ----------
    x, y
        Symmetric matrices, shape (n, n).
    given
        Matrices to be partialled out.

    Returns
    -------
    r
        The correlation.
    without
        Without each node, shape (n,).
    """
    n = len(x)
    # Centring costs nothing and saves the digits that sums of squares would lose.
    stack = [np.ones_like(x)] + [V - (V.sum() - np.trace(V)) / (n * (n - 1)) for V in (*given, x, y)]
    for V in stack:
        np.fill_diagonal(V, 0.0)
    per_node = np.empty((n, len(stack), len(stack)))
    for a, V in enumerate(stack):
        for b, W in enumerate(stack[: a + 1]):
            per_node[:, a, b] = per_node[:, b, a] = np.einsum("ij,ij->i", V, W)
    total = per_node.sum(axis=0) / 2
    return float(_partial(total[None])[0]), _partial(total - per_node)


def _partial(gram: FloatArray) -> FloatArray:
    """Return the correlation of the last two variables given all before them, from Gram matrices (m, v, v)."""
    rest = gram.shape[1] - 2
    Z, cross, pair = gram[:, :rest, :rest], gram[:, :rest, rest:], gram[:, rest:, rest:]
    left = pair - np.swapaxes(cross, 1, 2) @ np.linalg.pinv(Z, hermitian=True) @ cross
    return left[:, 0, 1] / np.sqrt(left[:, 0, 0] * left[:, 1, 1])
