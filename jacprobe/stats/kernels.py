"""The one compiled loop: products of a fixed and a relabelled matrix. Only this module imports numba."""

from __future__ import annotations

import numpy as np
from numba import njit

# Rows of 64 KDs (1 MB at n = 2,023) of both matrices stay in cache while 128 relabellings are worked off on them.
BLOCK, GROUP = 64, 128


@njit(cache=True, fastmath={"reassoc", "contract"})
def gather_products(
    lower: np.ndarray, moving: np.ndarray, relabellings: np.ndarray, block: int, group: int
) -> np.ndarray:  # pragma: no cover - compiled
    """Return sum over i > j of fixed[i, j] * moving[p[i], p[j]] for each relabelling p.

    Parameters
    ----------
    lower
        The fixed matrix below its diagonal, row by row, shape (n (n - 1) / 2,).
    moving
        The relabelled matrix, shape (n, n), C order.
    relabellings
        Unsigned integers, shape (B, n).
    block, group
        How many rows, and relabellings, are worked off together.
    """
    draws, n = relabellings.shape
    out = np.zeros(draws)
    blocks = (n + block - 1) // block
    for first in range(0, draws, group):
        last = min(draws, first + group)
        for moving_block in range(blocks):
            low, high = moving_block * block, (moving_block + 1) * block
            for fixed_block in range(blocks):
                start, stop = max(1, fixed_block * block), min(n, (fixed_block + 1) * block)
                for b in range(first, last):
                    p = relabellings[b]
                    total = 0.0
                    for i in range(start, stop):
                        r = p[i]
                        if low <= r < high:
                            row = moving[r]
                            fixed = lower[i * (i - 1) // 2 : i * (i - 1) // 2 + i]
                            part = 0.0
                            for j in range(i):
                                part += fixed[j] * row[p[j]]
                            total += part
                    out[b] += total
    return out
