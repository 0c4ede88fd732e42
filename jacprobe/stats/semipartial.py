"""Double semi-partialling: a matrix regression coefficient tested by permuting what the covariates leave of x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacprobe.errors import InputError
from jacprobe.stats.hubs import Design, pair_product, without_diagonal
from jacprobe.stats.relabelling import Scheme, permuted_products

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray


@dataclass(frozen=True)
class Semipartial:
    """The partial correlation of two matrices given a design, and its permutation draws.

    Attributes
    ----------
    r
        Partial correlation over the pairs i < j.
    samples
        The same with the nodes of x's residual relabelled, shape (B,).
    """

    r: float
    samples: FloatArray


def double_semipartial(
    x: FloatArray,
    y: FloatArray,
    design: Design,
    rng: np.random.Generator,
    permutations: int,
    scheme: Scheme,
) -> Semipartial:
    """Return the partial correlation of x and y, with the draws of Dekker, Krackhardt & Snijders (2007).

    x is residualised on the covariates Z, the residual's nodes are relabelled, and y is regressed on it and on Z again.
    The draws are compared by the pivot t, of which the partial correlation is a monotone function at fixed n.
    With e_x, e_y the residuals and P the projection on Z, a draw is e_y . e_x^p / (|e_y| |e_x^p - P e_x^p|), and
    |e - P e|^2 = |e|^2 - w' G^+ w with w the products of e_x^p with the columns of Z and G their Gram matrix.

    Parameters
    ----------
    x, y
        Symmetric matrices, shape (n, n); the diagonals do not count.
    design
        The covariates Z, at least a constant; with nothing else this is the plain permutation (Mantel) test.
    rng, permutations, scheme
        As in `permuted_products`.

    Raises
    ------
    InputError
        If the covariates leave nothing of x or of y.
    """
    residuals, sizes = [], []
    for name, V in (("first", without_diagonal(x)), ("second", without_diagonal(y))):
        left = design.residual(V)
        size = pair_product(left, left)
        if size <= 1e-16 * pair_product(V, V):
            raise InputError(f"covariates that explain all of the {name} matrix", "something left to correlate")
        residuals.append(left)
        sizes.append(size)
    e_x, e_y = residuals
    products = permuted_products([e_y, *design.given], design.nodes, e_x, rng, permutations, scheme)
    # The residual sums to 0 over all pairs, whatever the labels: its product with the constant.
    constant = np.zeros((1, products.sums.shape[1]))
    w = np.concatenate([constant, products.sums, products.quadratic, products.fixed[1:]])
    left = np.maximum(sizes[0] - np.einsum("pb,pb->b", w, design.inverse @ w), 1e-12 * sizes[0])
    return Semipartial(
        pair_product(e_x, e_y) / (sizes[0] * sizes[1]) ** 0.5, products.fixed[0] / np.sqrt(sizes[1] * left)
    )
