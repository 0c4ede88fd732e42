"""Routing figures that a publication prints (NB05, NB06), measured over draws of control cells (rule N)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.stats import published as as_run
from jacprobe.stats.coherence import coherence, extended
from jacprobe.stats.labels import categories, common, square
from jacprobe.stats.reproduction import reproduces
from jacprobe.stats.spectra import share_by_cosines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.estimate import Estimate
    from jacprobe.stats.matrices import Method


def coherence_reproduces(
    jacobians: Sequence[Any],
    responses: Sequence[Any],
    rng: np.random.Generator,
    published_forward: Any = None,
    *,
    published: str,
    method: Method = "pearson",
) -> Estimate:
    """Return the coherence over draws of control cells, beside a published value.

    Parameters
    ----------
    jacobians, responses
        Cosines of the Jacobians and of the responses in every draw, each (n, n).
    rng
        Not used.
    published_forward
        Cosines of the Jacobians of the function that the publication differentiated, in the first draw.
    published
        The value as it was printed.
    method
        "pearson" or "spearman".
    """
    values = [coherence(a, b, method=method) for a, b in zip(jacobians, responses, strict=True)]
    first = {"jacobians": square(jacobians[0]), "responses": square(responses[0])}
    names, _ = common(first, 4)
    naive = as_run.naive_correlation_over_pairs(*(side.submatrix(names) for side in first.values()))
    more: dict[str, Any] = {"values": values, "kds": len(names)}
    if published_forward is not None:
        more["published_forward"] = coherence(published_forward, responses[0], method=method)
    return _as_published(
        extended(reproduces(values, published, rng), more), {"naive_correlation_over_pairs": dict(naive)}
    )


def cluster_ratio_reproduces(
    jacobians: Sequence[Any], labels: Sequence[Any], rng: np.random.Generator, *, published: str
) -> Estimate:
    """Return the mean cosine of same-cluster pairs over that of different-cluster pairs, beside a published value.

    A ratio of two means that may be near 0 says little (`cluster_contrast` is the measure to judge by).

    Parameters
    ----------
    jacobians
        Cosines of the Jacobians in every draw of control cells, each (n, n).
    labels
        Clusters of the responses in every draw.
    rng
        Draws the pairs of the published signed-rank test.
    published
        The value as it was printed.
    """
    runs = []
    for matrix, cut in zip(jacobians, labels, strict=True):
        S, clusters = square(matrix), categories(cut)
        names = tuple(name for name in S.names if name in set(clusters.names))
        runs.append(dict(as_run.signed_rank_of_unpaired(S.submatrix(names), clusters.take(names), rng)))
    values = [run["ratio"] for run in runs]
    means = {side: [run[side] for run in runs] for side in ("same", "different")}
    return _as_published(
        extended(reproduces(values, published, rng), {"values": values, **means}),
        {"nb05_signed_rank_of_unpaired": runs[0]},
    )


def leading_share_reproduces(
    jacobians: Sequence[Any], norms: Sequence[Any], rng: np.random.Generator, *, published: str
) -> Estimate:
    """Return the first component's share of the Jacobians' variance, beside a published value.

    scikit-learn's `explained_variance_ratio_` of an uncentred, unnormalised truncated SVD, as published.

    Parameters
    ----------
    jacobians, norms
        Cosines and norms of the Jacobians in every draw of control cells, each (n, n) and (n,).
    rng
        Not used.
    published
        The value as it was printed.
    """
    values = [share_by_cosines(matrix, sizes) for matrix, sizes in zip(jacobians, norms, strict=True)]
    normalised = [share_by_cosines(matrix) for matrix in jacobians]
    return extended(reproduces(values, published, rng), {"values": values, "of_rows_of_length_1": normalised})


def _as_published(estimate: Estimate, found: dict[str, Any]) -> Estimate:
    from dataclasses import replace

    return replace(estimate, as_published=found)
