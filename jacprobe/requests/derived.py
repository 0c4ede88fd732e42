"""Requests for evidence made of other evidence: similarities, norms, clusters, correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jacprobe.requests.base import Request


@dataclass(frozen=True)
class Cosine(Request):
    """Cosine similarity of the rows of another evidence: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class OnehotCosine(Request):
    """Cosine similarity of Jacobians by the one-hot perturbation, J W, given those by its vector: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class OnehotNorm(Request):
    """Euclidean norms of Jacobians by the one-hot perturbation, J W, given those by its vector: (kd,)."""

    of: Request


@dataclass(frozen=True)
class InputCosine(Request):
    """Cosine similarity of the whole dY/dX between knockdowns of one model: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class InputAgreement(Request):
    """Cosine of the whole dY/dX of the same knockdown between two models: (kd,)."""

    first: Request
    second: Request


@dataclass(frozen=True)
class Clusters(Request):
    """Clusters of the rows of another evidence, 1 to `k`: (kd,). Ward linkage on L2-normalised rows.

    `linkage` "average" is average linkage on cosine distances, for comparison; "ward-on-cosine" takes cosine distances
    for Euclidean ones, as published.
    """

    of: Request
    k: int = 15
    linkage: Literal["ward", "average", "ward-on-cosine"] = "ward"


@dataclass(frozen=True)
class ClusterMeans(Request):
    """Mean of the rows of another evidence in each cluster: (cluster, gene)."""

    of: Request
    clusters: Request


@dataclass(frozen=True)
class Correlation(Request):
    """Correlation over genes of the same row of two evidences: (kd,) or (gene_in,)."""

    first: Request
    second: Request
    method: Literal["pearson", "spearman"] = "pearson"


@dataclass(frozen=True)
class Norm(Request):
    """Euclidean norms of the rows of another evidence: (kd,)."""

    of: Request


@dataclass(frozen=True)
class Pair(Request):
    """Two evidences of one kind, such as the norms behind two matrices: a tuple."""

    first: Request
    second: Request
