"""What measures of routing share: the coherence itself, what noise lets through of it, what control copies show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.stats.correlations import with_and_without_nodes
from jacprobe.stats.labels import Labelled, common, rows, square
from jacprobe.stats.matrices import Method, rank_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacprobe.estimate import Estimate
    from jacprobe.stats.labels import FloatArray

# Cosines closer together than rounding of float32 Jacobians tell nothing about the order of pairs.
_ALIKE = 1e-6


def coherence(a: Any, b: Any, given: Sequence[Any] = (), *, method: Method = "pearson") -> float:
    """Return the (partial) correlation of two similarity matrices over their common KDs; 0 where one is constant."""
    if not (ordered(a) and ordered(b)):
        return 0.0
    return jackknifed_coherence(a, b, given, method, None)[0]


def draw_ceiling(jacobians: Sequence[Any], responses: Sequence[Any], *, method: Method = "pearson") -> float | None:
    """Return the highest coherence that the draw of control cells lets through, sqrt(R_J R_dY).

    R is the mean correlation of a matrix between two disjoint draws, which are as large as the one that is judged, so
    that nothing is stepped up. None where a matrix does not come out again at all.
    """
    product = 1.0
    for draws in (jacobians, responses):
        pairs = [coherence(a, b, method=method) for i, a in enumerate(draws) for b in draws[:i]]
        reliability = float(np.mean(pairs)) if pairs else 0.0
        if reliability <= 0:
            return None
        product *= reliability
    return product**0.5


def beside(
    trained: tuple[Any, ...],
    controls: Mapping[str, tuple[Sequence[Any], ...] | None],
    value: Callable[..., float],
    what: str = "r",
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what control copies show, and a flag for every control that shows as much as the trained model.

    Parameters
    ----------
    trained
        The matrices of the trained model, each (n, n).
    controls
        The same of every copy, by the control's name: one sequence for each matrix; None is passed over.
    value
        From the matrices of one model to its number.
    what
        What the number is, for the flag.

    Returns
    -------
    shown
        By control: the copies' numbers, their mean, and the trained model's number over the same KDs.
    flags
        Sentences that read alone.
    """
    shown, flags = {}, []
    for name, copies in controls.items():
        if copies is None:
            continue
        label = name.replace("_", "-")
        listed = rows(copies[0][0], label).names
        here = value(*(among(matrix, listed) for matrix in trained))
        numbers = [value(*matrices) for matrices in zip(*copies, strict=True)]
        mean = float(np.mean(numbers))
        shown[label] = {"mean": mean, "copies": numbers, "trained": here, "kds": len(listed)}
        if mean >= here:
            flags.append(
                f"{label} copies show as much: {what} = {mean:.2f}, the trained model {here:.2f} over the same "
                f"{len(listed)} KDs"
            )
    return shown, tuple(flags)


def jackknifed_coherence(
    a: Any, b: Any, given: Sequence[Any], method: Method, listed: tuple[str, ...] | None
) -> tuple[float, FloatArray, int]:
    """Return the (partial) correlation over the common KDs, or those listed, the same without each, and their number.

    Parameters
    ----------
    a, b, given
        Similarities, each (n, n), matched by name.
    method
        "pearson" or "spearman" (ranked once).
    listed
        The KDs to take, where not all.

    Returns
    -------
    r
        The correlation.
    without
        Without each KD, shape (n,).
    n
        How many KDs.
    """
    sides = {"a": square(a, "a", 4), "b": square(b, "b", 4)}
    sides |= {f"given[{g}]": square(matrix, f"given[{g}]", 4) for g, matrix in enumerate(given)}
    names, _ = common(sides, 4)
    names = names if listed is None else tuple(name for name in listed if name in set(names))
    matrices = [side.submatrix(names) for side in sides.values()]
    if method == "spearman":
        matrices = [rank_matrix(matrix) for matrix in matrices]
    r, without = with_and_without_nodes(matrices[0], matrices[1], matrices[2:])
    return r, without, len(names)


def among(matrix: Any, names: Sequence[str]) -> Any:
    """Return rows and columns of those names that the matrix has."""
    side = rows(matrix, "matrix", ndim=2)
    kept = tuple(name for name in names if name in set(side.names))
    return Labelled(side.submatrix(kept), kept)


def ordered(matrix: Any) -> bool:
    """Whether the similarities of a matrix differ by more than rounding."""
    values = rows(matrix, "matrix", ndim=2).values
    off = values[~np.eye(len(values), dtype=bool)]
    return bool(np.ptp(off) > _ALIKE * float(np.abs(off).max(initial=0.0)))


def extended(estimate: Estimate, diagnostics: Mapping[str, Any], flags: tuple[str, ...] = ()) -> Estimate:
    """Return the estimate with more diagnostics and flags."""
    return replace(estimate, diagnostics={**estimate.diagnostics, **diagnostics}, flags=(*estimate.flags, *flags))
