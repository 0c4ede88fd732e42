"""Rule K: does one component carry the Jacobians, or one knockdown the component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import eigh

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate
from jacprobe.stats.labels import rows, square
from jacprobe.stats.matrices import log_norms_of

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray

# Leaving out a knockdown of small score cannot move the component; more than this many eigenproblems take minutes.
_CANDIDATES = 256


def leading_share(
    J: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    normalise: bool | None = None,
) -> Estimate:
    """Return the least share of variance that the first component keeps when any one knockdown (KD) is left out.

    The share is scikit-learn's `explained_variance_ratio_` of an uncentred truncated SVD over KDs: variance of the
    first component's scores over the total variance. A mean common to all KDs counts in neither; the share of squares,
    where it does, stands beside it.

    Parameters
    ----------
    J
        Jacobians, shape (kd, ...), flattened per KD.
    rng
        Not used.
    normalise
        True or False: rows of length 1, or as they are. None: the lesser of both.

    Returns
    -------
    Estimate
        Deterministic. Shares on all KDs, leave-one-out ranges, the KD without which most is lost and the participation
        ratio of the KD scores stand in the diagnostics.

    Raises
    ------
    InputError
        If a row is 0 throughout, or there are fewer than four KDs.
    """
    table = rows(J, "J")
    flat = table.values.reshape(len(table.names), -1)
    lengths = np.linalg.norm(flat, axis=1)
    if len(flat) < 4 or (lengths == 0).any():
        raise InputError(f"{len(flat)} KDs, {int((lengths == 0).sum())} of them 0", "four or more, none 0", where="J")
    return _of_gram(flat @ flat.T, table.names, normalise)


def leading_share_by_cosines(
    similarity: Any,
    norms: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    normalise: bool | None = None,
) -> Estimate:
    """Return `leading_share` from cosines and norms of the Jacobians, which are all it depends on.

    Parameters
    ----------
    similarity
        Cosines of the KDs' Jacobians, shape (n, n).
    norms
        Their norms, shape (n,), matched by name; None where only rows of length 1 are asked for.
    rng
        Not used.
    normalise
        As in `leading_share`.

    Raises
    ------
    InputError
        If there are fewer than four KDs, or a norm is missing or not positive.
    """
    S = square(similarity, least=4)
    lengths = np.ones(len(S.names)) if norms is None else np.exp(log_norms_of(norms, S.names))
    return _of_gram(S.values * np.outer(lengths, lengths), S.names, True if norms is None else normalise)


def share_by_cosines(similarity: Any, norms: Any = None) -> float:
    """Return the first component's share of variance from cosines and norms; of rows of length 1 without norms."""
    S = square(similarity, least=4)
    lengths = np.ones(len(S.names)) if norms is None else np.exp(log_norms_of(norms, S.names))
    return _share(S.values * np.outer(lengths, lengths))[0]


def shares_without_each(similarity: Any, norms: Any = None) -> tuple[float, FloatArray]:
    """Return the share of `share_by_cosines` over all KDs, and, in their order, without each of them."""
    S = square(similarity, least=4)
    lengths = np.ones(len(S.names)) if norms is None else np.exp(log_norms_of(norms, S.names))
    gram = S.values * np.outer(lengths, lengths)
    # A knockdown of small score cannot move the component: it stands for the share over all.
    whole, score, _ = _share(gram)
    without = np.full(len(gram), whole)
    for i in np.argsort(-np.square(score))[:_CANDIDATES]:
        without[i] = _share(np.delete(np.delete(gram, i, 0), i, 1))[0]
    return whole, without


def _of_gram(gram: FloatArray, names: tuple[str, ...], normalise: bool | None) -> Estimate:
    lengths = np.sqrt(np.diag(gram))
    found = {}
    for name, use in (("raw", gram), ("normalised", gram / np.outer(lengths, lengths))):
        if normalise is None or (name == "normalised") == normalise:
            found[name] = _describe(use, names)
    effect = min(part["leave_one_out"][0] for part in found.values())
    return Estimate(
        effect,
        len(gram),
        as_published={"nb05_explained_variance_ratio": _share(gram)[0]},
        diagnostics=found,
    )


def _describe(gram: FloatArray, names: tuple[str, ...]) -> dict[str, Any]:
    share, score, of_squares = _share(gram)
    weight = np.square(score) / np.square(score).sum()
    candidates = np.argsort(-weight)[:_CANDIDATES]
    without = np.array([_share(np.delete(np.delete(gram, i, 0), i, 1))[0] for i in candidates])
    return {
        "share": share,
        "share_of_squares": of_squares,
        "leave_one_out": [float(without.min()), float(without.max())],
        "carried_by": names[int(candidates[int(np.argmin(without))])],
        "participation_ratio": float(1 / np.square(weight).sum()),
        "left_out": len(candidates),
    }


def _share(gram: FloatArray) -> tuple[float, FloatArray, float]:
    """Return the first component's share of variance, its scores, and its share of squares, from J J'."""
    n = len(gram)
    value, vector = eigh(gram, subset_by_index=[n - 1, n - 1])
    score = vector[:, 0] * np.sqrt(max(float(value[0]), 0.0))
    # Total variance over rows, summed over columns: tr(J J') / n - 1' J J' 1 / n^2.
    total = float(np.trace(gram)) / n - float(gram.sum()) / n**2
    if total <= 1e-14 * float(np.trace(gram)):
        raise InputError("rows that are all alike", "Jacobians that differ between KDs", where="J")
    return float(score.var()) / total, score, float(value[0]) / float(np.trace(gram))
