"""Rules A to P: pure functions from arrays to an `Estimate`.

Nothing is imported before it is asked for (PEP 562): scipy, scikit-learn and numba take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jacprobe.stats import published
    from jacprobe.stats.clusterings import clustering_agreement, clustering_agreement_difference, ward_labels
    from jacprobe.stats.clusters import cluster_contrast, cluster_contrast_difference
    from jacprobe.stats.contrasts import paired_contrast, panel_contrast, vector_contrast
    from jacprobe.stats.deterministic import exact
    from jacprobe.stats.learned import learned_contrast
    from jacprobe.stats.matrices import matrix_correlation, matrix_correlation_difference, noise_ceiling
    from jacprobe.stats.multiplicity import bh, by, holm, intersection_union
    from jacprobe.stats.neighbourhoods import neighbour_rank, neighbourhood_purity, neighbourhood_recall, neighbours
    from jacprobe.stats.overlap import coclustering, coclustering_difference, enrichment
    from jacprobe.stats.own_gene import own_gene_contrast
    from jacprobe.stats.profiles import largest_agreement, profile_agreement, share_anticorrelated, share_below
    from jacprobe.stats.raised_outputs import output_enrichment
    from jacprobe.stats.ranks import outranks, percentile_rank
    from jacprobe.stats.reproduction import draw_spread, reproduces
    from jacprobe.stats.retraining import flip, paired_difference
    from jacprobe.stats.sets import set_coherence, set_coherence_difference
    from jacprobe.stats.spectra import leading_share
    from jacprobe.stats.vectors import vector_correlation

_HOME = {
    "bh": "multiplicity",
    "by": "multiplicity",
    "cluster_contrast": "clusters",
    "cluster_contrast_difference": "clusters",
    "clustering_agreement": "clusterings",
    "clustering_agreement_difference": "clusterings",
    "coclustering": "overlap",
    "coclustering_difference": "overlap",
    "draw_spread": "reproduction",
    "enrichment": "overlap",
    "exact": "deterministic",
    "flip": "retraining",
    "holm": "multiplicity",
    "intersection_union": "multiplicity",
    "largest_agreement": "profiles",
    "leading_share": "spectra",
    "learned_contrast": "learned",
    "matrix_correlation": "matrices",
    "matrix_correlation_difference": "matrices",
    "neighbour_rank": "neighbourhoods",
    "neighbourhood_purity": "neighbourhoods",
    "neighbourhood_recall": "neighbourhoods",
    "neighbours": "neighbourhoods",
    "noise_ceiling": "matrices",
    "output_enrichment": "raised_outputs",
    "outranks": "ranks",
    "own_gene_contrast": "own_gene",
    "paired_contrast": "contrasts",
    "paired_difference": "retraining",
    "panel_contrast": "contrasts",
    "percentile_rank": "ranks",
    "profile_agreement": "profiles",
    "reproduces": "reproduction",
    "set_coherence": "sets",
    "set_coherence_difference": "sets",
    "share_anticorrelated": "profiles",
    "share_below": "profiles",
    "vector_contrast": "contrasts",
    "vector_correlation": "vectors",
    "ward_labels": "clusterings",
}

__all__ = [
    "bh",
    "by",
    "cluster_contrast",
    "cluster_contrast_difference",
    "clustering_agreement",
    "clustering_agreement_difference",
    "coclustering",
    "coclustering_difference",
    "draw_spread",
    "enrichment",
    "exact",
    "flip",
    "holm",
    "intersection_union",
    "largest_agreement",
    "leading_share",
    "learned_contrast",
    "matrix_correlation",
    "matrix_correlation_difference",
    "neighbour_rank",
    "neighbourhood_purity",
    "neighbourhood_recall",
    "neighbours",
    "noise_ceiling",
    "output_enrichment",
    "outranks",
    "own_gene_contrast",
    "paired_contrast",
    "paired_difference",
    "panel_contrast",
    "percentile_rank",
    "profile_agreement",
    "published",
    "reproduces",
    "set_coherence",
    "set_coherence_difference",
    "share_anticorrelated",
    "share_below",
    "vector_contrast",
    "vector_correlation",
    "ward_labels",
]


def __getattr__(name: str) -> object:
    if name == "published":
        return import_module("jacprobe.stats.published")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jacprobe.stats.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
