"""What shape routing coherence has: graded or carried by a few, by clusters, by one component (NB05, NB07)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.stats.clusters import cluster_contrast
from jacprobe.stats.coherence import beside, coherence, extended, jackknifed_coherence, ordered
from jacprobe.stats.hubs import as_matrix
from jacprobe.stats.labels import Labelled, categories, common, square
from jacprobe.stats.matrices import matrix_correlation, matrix_correlation_difference, rank_matrix
from jacprobe.stats.spectra import leading_share_by_cosines, share_by_cosines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.estimate import Estimate
    from jacprobe.stats.labels import FloatArray

DECILES = 10


def coherence_over_deciles(
    jacobians: Any,
    responses: Any,
    rng: np.random.Generator,
    norms: tuple[Any, Any] | None = None,
    everyone: tuple[Any, Any] | None = None,
    untrained: tuple[Sequence[Any], Sequence[Any]] | None = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return how steeply the Jacobians' similarity climbs over the ten deciles of response similarity (rule C).

    The slope of the mean rank over the deciles, in units of the two standard deviations: the correlation of the
    Jacobians' ranks with the number of the decile, a coarse Spearman's r.

    Parameters
    ----------
    jacobians, responses
        Cosines, each (n, n).
    rng
        Draws the relabellings.
    norms
        Norms of the Jacobians and of the responses, each (n,).
    everyone
        The same two cosines of knockdowns chosen by another rule.
    untrained
        The same two of every untrained copy.
    permutations
        Draws B of each null.

    Returns
    -------
    Estimate
        The mean rank in each decile, as a share of all pairs, and how many of the nine steps lead up, stand in the
        diagnostics.
    """
    ranks, deciles = _graded(jacobians, responses)
    estimate = matrix_correlation(ranks, deciles, rng, norms, permutations=permutations, scales=("raw",))
    upper = np.triu_indices(len(ranks.names), 1)
    share, decile = ranks.values[upper] / len(upper[0]), deciles.values[upper]
    means = [float(share[decile == d].mean()) for d in range(1, DECILES + 1) if (decile == d).any()]
    steps = int(np.count_nonzero(np.diff(means) > 0))
    shown, flags = beside((jacobians, responses), {"untrained": untrained}, _slope, "slope")
    if steps < len(means) - 1:
        flags = (f"{steps} of the {len(means) - 1} steps between deciles lead up", *flags)
    more = {"mean_rank_by_decile": means, "steps_up": steps, "controls": shown}
    if everyone is not None:
        more["over_other_kds"] = _slope(*everyone)
    return extended(estimate, more, flags)


def pearson_beyond_spearman(
    jacobians: Any, responses: Any, rng: np.random.Generator, everyone: tuple[Any, Any] | None = None
) -> Estimate:
    """Return by how much Pearson's coherence exceeds Spearman's, paired over knockdowns (KDs).

    Parameters
    ----------
    jacobians, responses
        Cosines, each (n, n).
    rng
        Not used.
    everyone
        The same two of knockdowns chosen by another rule.

    Returns
    -------
    Estimate
        The largest relative change of Pearson's r on leaving one KD out, and whom, stand in the diagnostics.
    """
    estimate = matrix_correlation_difference(
        jacobians, responses, jacobians, responses, rng, method="pearson", second_method="spearman"
    )
    r, without, _ = jackknifed_coherence(jacobians, responses, (), "pearson", None)
    names, _ = common({"jacobians": square(jacobians), "responses": square(responses)}, 4)
    change = np.abs(without - r) / abs(r) if r else np.full(len(without), np.inf)
    more: dict[str, Any] = {
        "largest_relative_change": float(change.max()),
        "without": names[int(np.argmax(change))],
    }
    if everyone is not None:
        more["over_other_kds"] = coherence(*everyone) - coherence(*everyone, method="spearman")
    return extended(estimate, more)


def same_cluster_contrast(
    jacobians: Any,
    labels: Any,
    rng: np.random.Generator,
    norms: Any = None,
    untrained: tuple[Sequence[Any], Sequence[Any]] | None = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return rule D on Jacobians, with the same difference in untrained copies beside it.

    Parameters
    ----------
    jacobians
        Cosines, shape (n, n).
    labels
        Clusters of the responses over other control cells than those of the Jacobians.
    rng
        Draws the relabellings.
    norms
        Norms of the Jacobians, shape (n,).
    untrained
        Cosines and clusters of every untrained copy.
    permutations
        Draws B.
    """
    estimate = cluster_contrast(jacobians, labels, rng, norms, permutations=permutations)
    if untrained is None:
        return estimate
    copies = [_same_minus_different(matrix, cut) for matrix, cut in zip(*untrained, strict=True)]
    return extended(estimate, {"controls": {"untrained": {"mean": float(np.mean(copies)), "copies": copies}}})


def leading_component(
    jacobians: Any,
    norms: Any,
    rng: np.random.Generator,
    everyone: tuple[Any, Any] | None = None,
    untrained: Sequence[Any] | None = None,
) -> Estimate:
    """Return rule K on Jacobians, with the share over other KDs and in untrained copies beside it.

    Parameters
    ----------
    jacobians, norms
        Cosines and norms, each (n, n) and (n,).
    rng
        Not used.
    everyone
        The same two of knockdowns chosen by another rule.
    untrained
        Cosines of every untrained copy: the share is then that of rows of length 1.
    """
    more: dict[str, Any] = {}
    if everyone is not None:
        more["share_over_other_kds"] = share_by_cosines(*everyone)
    if untrained is not None:
        copies = [share_by_cosines(matrix) for matrix in untrained if ordered(matrix)]
        more["controls"] = {
            "untrained, rows of length 1": {"copies": copies, "all_alike": len(untrained) - len(copies)}
        }
    return extended(leading_share_by_cosines(jacobians, norms, rng), more)


def _graded(jacobians: Any, responses: Any) -> tuple[Labelled, Labelled]:
    """Return ranks of the Jacobians' cosines, and the decile (1 to 10) of the responses', over common KDs."""
    sides = {"jacobians": square(jacobians, "jacobians", 4), "responses": square(responses, "responses", 4)}
    names, _ = common(sides, 4)
    A, B = (side.submatrix(names) for side in sides.values())
    return Labelled(rank_matrix(A), names), Labelled(_deciles(B), names)


def _deciles(S: FloatArray) -> FloatArray:
    pairs = S[np.triu_indices(len(S), 1)]
    return as_matrix(np.ceil(stats.rankdata(pairs) * DECILES / len(pairs)), len(S))


def _slope(jacobians: Any, responses: Any) -> float:
    if not (ordered(jacobians) and ordered(responses)):
        return 0.0
    return coherence(*_graded(jacobians, responses))


def _same_minus_different(similarity: Any, labels: Any) -> float:
    if not ordered(similarity):
        return 0.0
    S, clusters = square(similarity), categories(labels)
    names = tuple(name for name in S.names if name in set(clusters.names))
    codes, values = clusters.take(names), S.submatrix(names)
    upper = np.triu_indices(len(names), 1)
    same = (codes[:, None] == codes[None, :])[upper]
    return float(values[upper][same].mean() - values[upper][~same].mean())
