"""What tests of several rules compute for themselves: similarities, rank correlations, sides of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


def cosines(rows: np.ndarray) -> np.ndarray:
    """Return the cosines of every two rows, symmetric to the bit."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (unit @ unit.T + (unit @ unit.T).T) / 2


def spearman(x: Any, y: Any) -> float:
    """Return Spearman's r of two lists by scipy."""
    return float(np.asarray(stats.spearmanr(x, y))[0])


def sides(pairs: Iterable[Sequence[T]]) -> tuple[list[T], list[T]]:
    """Return the first of each pair, and the second."""
    listed = list(pairs)
    return [first for first, _ in listed], [second for _, second in listed]
