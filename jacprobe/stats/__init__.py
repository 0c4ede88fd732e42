"""Rules A to P: pure functions from arrays to an `Estimate`.

Nothing is imported before it is asked for (PEP 562): scipy, statsmodels and numba take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jacprobe.stats import published
    from jacprobe.stats.deterministic import exact
    from jacprobe.stats.matrices import matrix_correlation, matrix_correlation_difference, noise_ceiling
    from jacprobe.stats.multiplicity import bh, by, holm, intersection_union
    from jacprobe.stats.own_gene import own_gene_contrast
    from jacprobe.stats.sets import set_coherence, set_coherence_difference

_HOME = {
    "bh": "multiplicity",
    "by": "multiplicity",
    "exact": "deterministic",
    "holm": "multiplicity",
    "matrix_correlation": "matrices",
    "matrix_correlation_difference": "matrices",
    "noise_ceiling": "matrices",
    "intersection_union": "multiplicity",
    "own_gene_contrast": "own_gene",
    "set_coherence": "sets",
    "set_coherence_difference": "sets",
}

__all__ = [
    "bh",
    "by",
    "exact",
    "holm",
    "intersection_union",
    "matrix_correlation",
    "matrix_correlation_difference",
    "noise_ceiling",
    "own_gene_contrast",
    "published",
    "set_coherence",
    "set_coherence_difference",
]


def __getattr__(name: str) -> object:
    if name == "published":
        return import_module("jacprobe.stats.published")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jacprobe.stats.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
