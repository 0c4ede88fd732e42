"""Node permutations of one matrix against others: independent ones by a compiled gather, cyclic ones by FFT."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from jacprobe.stats.labels import require_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from jacprobe.stats.labels import FloatArray, IntArray

Scheme = Literal["independent", "cyclic"]

# Above this many nodes 9,999 independent relabellings take more than a few seconds.
_CYCLIC_FROM = 600


@dataclass(frozen=True)
class Products:
    """What relabelling a symmetric matrix E by p gives, per draw.

    Attributes
    ----------
    fixed
        sum over i < j of F[i, j] E[p(i), p(j)] for each fixed matrix F, shape (f, B).
    sums
        sum over i < j of (z_i + z_j) E[p(i), p(j)] for each node vector z, shape (q, B).
    quadratic
        sum over i < j of z_i z_j E[p(i), p(j)], shape (q, B).
    """

    fixed: FloatArray
    sums: FloatArray
    quadratic: FloatArray


def scheme_for(n: int, scheme: Scheme | None) -> Scheme:
    """Return the scheme asked for, or the exact one while it takes seconds and the cyclic one above."""
    if scheme is not None:
        require_one_of(scheme, get_args(Scheme), "scheme")
    return scheme or ("independent" if n <= _CYCLIC_FROM else "cyclic")


def describe(scheme: Scheme) -> str:
    """Return the scheme in words, for the null's name."""
    return {
        "independent": "independent relabellings",
        "cyclic": "cyclic shifts of random relabellings",
    }[scheme]


def permuted_products(
    fixed: Sequence[FloatArray],
    nodes: FloatArray,
    E: FloatArray,
    rng: np.random.Generator,
    permutations: int,
    scheme: Scheme,
) -> Products:
    """Return the products of relabelled E with fixed matrices and node vectors.

    Parameters
    ----------
    fixed
        Symmetric matrices, each (n, n); the diagonals do not count.
    nodes
        Node vectors, shape (q, n).
    E
        The matrix whose nodes are relabelled, symmetric, zero diagonal, shape (n, n).
    rng, permutations, scheme
        Draws B relabellings: "independent" ones, or, for each of ceil(B / n) random relabellings, all its n cyclic
        shifts ("cyclic": each uniform over all relabellings, but dependent within its cycle).
    """
    if scheme == "independent":
        relabellings = rng.permuted(np.broadcast_to(np.arange(len(E)), (permutations, len(E))), axis=1)
        return _independent(fixed, nodes, E, relabellings)
    return _cyclic(fixed, nodes, E, rng, permutations)


def _independent(fixed: Sequence[FloatArray], nodes: FloatArray, E: FloatArray, relabellings: IntArray) -> Products:
    from jacprobe.stats.kernels import BLOCK, GROUP, gather_products

    n = len(E)
    # Short indices are read faster, and being unsigned they need no check for counting from the end.
    short = np.ascontiguousarray(relabellings, dtype=np.uint16 if n <= 2**16 else np.uint32)
    below = np.tril_indices(n, -1)
    E = np.ascontiguousarray(E)
    products = [gather_products(np.ascontiguousarray(F[below]), E, short, BLOCK, GROUP) for F in fixed]
    sums = np.empty((len(nodes), len(relabellings)))
    quadratic = np.empty_like(sums)
    row_sums = E.sum(axis=1)
    for start in range(0, len(relabellings), 512) if len(nodes) else ():
        part = slice(start, start + 512)
        sums[:, part] = nodes @ row_sums[relabellings[part]].T
        for q, z in enumerate(nodes):
            # z_i meets node p(i) of E: put z there, and the sum over i, j is an ordinary quadratic form.
            moved = np.empty((len(relabellings[part]), n))
            np.put_along_axis(moved, relabellings[part], np.broadcast_to(z, moved.shape), axis=1)
            quadratic[q, part] = np.einsum("bi,bi->b", moved @ E, moved) / 2
    return Products(np.array(products).reshape(len(fixed), len(relabellings)), sums, quadratic)


def _cyclic(
    fixed: Sequence[FloatArray], nodes: FloatArray, E: FloatArray, rng: np.random.Generator, permutations: int
) -> Products:
    """Correlate circular diagonals.

    With p(i) = s(i + t), the pairs (i, i + d) of F meet the pairs (i + t, i + t + d) of E relabelled by s: per d the
    sum over i is a circular cross-correlation in t, and one inverse FFT serves all d.
    """
    n = len(E)
    spectra = [np.conj(_diagonal_spectra(F)) for F in fixed]
    spectra += [np.conj(_diagonal_spectra(np.outer(z, z))) for z in nodes]
    node_spectra = np.conj(np.fft.rfft(nodes, axis=1)) if len(nodes) else np.empty((0, n // 2 + 1))
    products, sums = [], []
    for _ in range(math.ceil(permutations / n)):
        s = rng.permutation(n)
        moved = E[np.ix_(s, s)]
        moving = _diagonal_spectra(moved, halved=False)
        products.append([np.fft.irfft((F * moving).sum(axis=0), n) for F in spectra])
        sums.append(np.fft.irfft(node_spectra * np.fft.rfft(moved.sum(axis=1)), n, axis=1))
    joined = np.concatenate([np.array(p).reshape(len(spectra), n) for p in products], axis=1)[:, :permutations]
    return Products(joined[: len(fixed)], np.concatenate(sums, axis=1)[:, :permutations], joined[len(fixed) :])


def _diagonal_spectra(A: FloatArray, *, halved: bool = True) -> npt.NDArray[np.complex128]:
    """Return the FFT of the circular diagonals A[i, i + d], d = 1 .. n // 2, shape (n // 2, n // 2 + 1).

    At even n the middle diagonal holds every pair twice: one of the two factors is `halved` there.
    """
    n = len(A)
    i, d = np.arange(n), np.arange(1, n // 2 + 1)[:, None]
    diagonals = A[i, (i + d) % n]
    if halved and n % 2 == 0:
        diagonals[-1] /= 2
    return np.fft.rfft(diagonals, axis=1)
