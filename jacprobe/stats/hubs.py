"""What node magnitude explains of a similarity matrix: the covariates z_i + z_j and z_i z_j.

Everything here is over the pairs i < j. The covariates are never written out as n (n - 1) / 2 numbers: their products
with a symmetric matrix V of zero diagonal are

    sum_{i<j} (z_i + z_j) V_ij = z . V1   and   sum_{i<j} z_i z_j V_ij = z' V z / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray


@dataclass(frozen=True)
class Design:
    """Covariates: a constant, z_i + z_j and z_i z_j of each node vector, and given matrices.

    Attributes
    ----------
    nodes
        z-scored node vectors, shape (q, n).
    given
        Further symmetric matrices of zero diagonal, each (n, n).
    inverse
        Pseudo-inverse of the covariates' Gram matrix, shape (p, p), p = 1 + 2 q + len(given): they may repeat each
        other.
    """

    nodes: FloatArray
    given: tuple[FloatArray, ...]
    inverse: FloatArray

    def residual(self, V: FloatArray) -> FloatArray:
        """Return what the covariates leave of a symmetric matrix of zero diagonal, shape (n, n), zero diagonal."""
        q = len(self.nodes)
        weight = self.inverse @ _products(self.nodes, self.given, V)
        sums = weight[1 : 1 + q] @ self.nodes
        left = V - weight[0]
        left -= sums[:, None]
        left -= sums[None, :]
        left -= (self.nodes.T * weight[1 + q : 1 + 2 * q]) @ self.nodes
        for w, matrix in zip(weight[1 + 2 * q :], self.given, strict=True):
            left -= w * matrix
        np.fill_diagonal(left, 0.0)
        return left


def design(node_vectors: Sequence[FloatArray], given: Sequence[FloatArray], n: int) -> Design:
    """Return the design of node vectors (each (n,), z-scored here, constants left out) and given matrices."""
    varying = [v for v in node_vectors if v.std() > 1e-12 * max(float(np.abs(v).max()), 1e-300)]
    z = np.array([(v - v.mean()) / v.std() for v in varying]).reshape(len(varying), n)
    q, p = len(z), 1 + 2 * len(z) + len(given)
    given = tuple(without_diagonal(matrix) for matrix in given)
    gram = np.zeros((p, p))
    total, dots, squares = z.sum(axis=1), z @ z.T, np.square(z)
    sums, products = slice(1, 1 + q), slice(1 + q, 1 + 2 * q)
    gram[0, 0] = n * (n - 1) / 2
    gram[0, sums] = (n - 1) * total
    gram[0, products] = (np.square(total) - squares.sum(axis=1)) / 2
    gram[sums, sums] = (n - 2) * dots + np.outer(total, total)
    gram[sums, products] = dots * total - z @ squares.T
    gram[products, products] = (np.square(dots) - squares @ squares.T) / 2
    for g, matrix in enumerate(given):
        gram[: 2 * q + 1 + g + 1, 1 + 2 * q + g] = _products(z, given[: g + 1], matrix)
    upper = np.triu(gram)
    inverse = np.linalg.pinv(upper + np.triu(gram, 1).T, rcond=1e-10, hermitian=True).astype(np.float64)
    return Design(z, given, inverse)


def _products(z: FloatArray, given: Sequence[FloatArray], V: FloatArray) -> FloatArray:
    """Return the products of all covariates with V, shape (p,)."""
    row_sums = V.sum(axis=1)
    quadratic = np.einsum("qi,qi->q", z @ V, z) / 2
    return np.concatenate([[row_sums.sum() / 2], z @ row_sums, quadratic, [pair_product(G, V) for G in given]])


def pair_product(V: FloatArray, W: FloatArray) -> float:
    """Return sum over i < j of V_ij W_ij of symmetric matrices of zero diagonal."""
    return float(np.vdot(V, W)) / 2


def without_diagonal(S: FloatArray) -> FloatArray:
    """Return a copy of S with a zero diagonal."""
    bare = S.copy()
    np.fill_diagonal(bare, 0.0)
    return bare


def row_means(S: FloatArray) -> FloatArray:
    """Return the mean similarity of each node to the others, shape (n,)."""
    return (S.sum(axis=1) - np.diag(S)) / (len(S) - 1)


def as_matrix(values: FloatArray, n: int) -> FloatArray:
    """Return the symmetric matrix with zero diagonal of values over the pairs i < j."""
    out = np.zeros((n, n))
    out[np.triu_indices(n, 1)] = values
    out += out.T
    return out
