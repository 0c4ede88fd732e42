"""UMAP (McInnes, Healy and Melville 2018) of a few thousand rows, in NumPy.

The reference implementation compiles itself for half a minute in each new process, for a layout that takes a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# The curve 1 / (1 + a d^2b) that fits a least distance of 0.1 at spread 1.
A, B = 1.577, 0.8951
NEGATIVES, CLIP, CHUNKS = 5, 4.0, 16


def umap(rows: FloatArray, rng: np.random.Generator, neighbours: int = 15, epochs: int = 200) -> FloatArray:
    """Return the positions of rows in the plane, shape (n, 2); near ones have similar directions (cosine distance).

    Parameters
    ----------
    rows
        Shape (n, features), none of them 0.
    rng
        Draws the order of edges and the points that are pushed apart.
    neighbours, epochs
        Size of a neighbourhood, and passes over the edges.
    """
    weights = fuzzy_neighbours(rows, min(neighbours, len(rows) - 1))
    place = _spectral(weights, rng)
    heads, tails = np.nonzero(np.triu(weights))
    share = weights[heads, tails] / weights.max()
    for epoch in range(epochs):
        rate = 1.0 - epoch / epochs
        drawn = rng.permutation(np.flatnonzero(rng.random(len(share)) < share))
        for part in np.array_split(drawn, CHUNKS):
            _pull(place, heads[part], tails[part], rate)
            for one in (heads[part], tails[part]):
                _push(place, np.repeat(one, NEGATIVES), rng, rate)
    return place


def fuzzy_neighbours(rows: FloatArray, k: int) -> FloatArray:
    """Return weights of the symmetric graph of k nearest neighbours, shape (n, n), each row's scaled to log2(k)."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance = np.clip(1 - unit @ unit.T, 0, None)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :k]
    reach = np.take_along_axis(distance, near, axis=1)
    beyond = reach - reach[:, :1]
    low, high = np.zeros(len(rows)), np.full(len(rows), 2.0)
    for _ in range(48):  # bisection to the last bits that matter
        sigma = (low + high) / 2
        too_many = np.exp(-beyond / np.maximum(sigma, 1e-12)[:, None]).sum(axis=1) > np.log2(k)
        low, high = np.where(too_many, low, sigma), np.where(too_many, sigma, high)
    one_way = np.zeros_like(distance)
    np.put_along_axis(one_way, near, np.exp(-beyond / np.maximum(high, 1e-12)[:, None]), axis=1)
    both: FloatArray = one_way + one_way.T - one_way * one_way.T
    return both


def _spectral(weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return starting positions: the graph's first two eigenvectors beyond the constant one."""
    from scipy.linalg import eigh

    scale = 1 / np.sqrt(weights.sum(axis=1))
    n = len(weights)
    _, vectors = eigh(weights * np.outer(scale, scale), subset_by_index=[n - 3, n - 2])
    place = vectors * np.sign(vectors.sum(axis=0) + 1e-12)
    return 10 * place / np.abs(place).max() + rng.normal(0, 1e-2, place.shape)


def _pull(place: FloatArray, heads: NDArray[np.intp], tails: NDArray[np.intp], rate: float) -> None:
    apart = place[heads] - place[tails]
    square = np.maximum(np.square(apart).sum(axis=1), 1e-12)
    strength = -2 * A * B * square ** (B - 1) / (1 + A * square**B)
    step = rate * np.clip(strength[:, None] * apart, -CLIP, CLIP)
    np.add.at(place, heads, step)
    np.add.at(place, tails, -step)


def _push(place: FloatArray, heads: NDArray[np.intp], rng: np.random.Generator, rate: float) -> None:
    apart = place[heads] - place[rng.integers(0, len(place), len(heads))]
    square = np.square(apart).sum(axis=1)
    strength = 2 * B / ((0.001 + square) * (1 + A * square**B))
    np.add.at(place, heads, rate * np.clip(strength[:, None] * apart, -CLIP, CLIP))
