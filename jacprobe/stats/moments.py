"""Mean similarity within sets of nodes: of many sets at once, and its exact moments over all random sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray, IntArray


def mean_within(S: FloatArray, sets: IntArray) -> FloatArray:
    """Return the mean off-diagonal similarity within each set.

    Parameters
    ----------
    S
        Symmetric similarities, shape (n, n).
    sets
        Node indices, each row one set without repeats, shape (draws, k).
    """
    n, k = len(S), sets.shape[1]
    ordered = np.sort(sets, axis=1)
    flat = np.ascontiguousarray(S).ravel()
    total = np.zeros(len(sets))
    for a in range(k - 1):
        total += flat.take(ordered[:, a, None] * n + ordered[:, a + 1 :]).sum(axis=1)
    return total / (k * (k - 1) / 2)


def mean_off_diagonal(S: FloatArray) -> float:
    """Return the mean of S[i, j] over i != j."""
    n = len(S)
    return float((S.sum() - np.trace(S)) / (n * (n - 1)))


def leave_one_out(S: FloatArray) -> FloatArray:
    """Return the mean off-diagonal similarity of the k nodes of S without each one, shape (k,)."""
    k = len(S)
    bare = S - np.diag(np.diag(S))
    return (bare.sum() - 2 * bare.sum(axis=1)) / ((k - 1) * (k - 2))


def random_set_moments(S: FloatArray, k: int) -> tuple[float, float]:
    """Return mean and sd of the mean within-set similarity over all C(n, k) sets, in closed form.

    The sum over the pairs of a random set has second moment p2 Q2 + p3 Q3 + p4 Q4, where Q counts ordered pairs of
    pairs that are the same, share one node or none, and p is the chance that a random set holds the 2, 3 or 4 nodes
    involved.
    """
    n = len(S)
    bare = S - mean_off_diagonal(S)
    np.fill_diagonal(bare, 0.0)
    squares = float(np.square(bare).sum()) / 2
    sharing = float(np.square(bare.sum(axis=1)).sum()) - 2 * squares
    disjoint = -squares - sharing  # the centred pairs sum to 0, so all ordered pairs of pairs do
    p2 = k * (k - 1) / (n * (n - 1))
    p3 = p2 * (k - 2) / (n - 2)
    p4 = p3 * (k - 3) / (n - 3) if n > 3 else 0.0
    variance = p2 * squares + p3 * sharing + p4 * disjoint
    return mean_off_diagonal(S), math.sqrt(max(variance, 0.0)) / (k * (k - 1) / 2)
