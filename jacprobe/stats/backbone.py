"""What of routing is in the backbone (NB06): the split, and differences between models over the same knockdowns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError
from jacprobe.stats.coherence import coherence, extended
from jacprobe.stats.deterministic import exact
from jacprobe.stats.matrices import matrix_correlation_difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from jacprobe.estimate import Alternative, Estimate
    from jacprobe.stats.matrices import Method


def trained_knockdowns(
    split: Mapping[str, str], rng: np.random.Generator, other: Mapping[str, str] | None = None
) -> Estimate:
    """Return how many knockdowns of its own line a model was trained on (rule O).

    Parameters
    ----------
    split
        "trained", "held out" or "unknown" by knockdown.
    rng
        Not used.
    other
        The same of another model, to stand beside.

    Raises
    ------
    EvidenceMissingError
        If the split of a knockdown is unknown: nothing can then be said of the model.
    """
    unknown = [name for name, tag in split.items() if tag == "unknown"]
    if unknown:
        raise EvidenceMissingError(
            f"no split for {len(unknown)} of {len(split)} knockdowns", "the split TOML beside the run", where="split"
        )
    counts = Counter(split.values())
    shown = {"split": dict(counts)} | ({"other_split": dict(Counter(other.values()))} if other else {})
    return extended(exact([float(counts["trained"])], 0, rng), {**shown, "knockdowns": len(split)})


def coherence_difference(
    a1: Any,
    b1: Any,
    a2: Any,
    b2: Any,
    rng: np.random.Generator,
    replicate: tuple[Any, Any] | None = None,
    *,
    method: Method = "pearson",
    alternative: Alternative = "greater",
) -> Estimate:
    """Return r(a1, b1) - r(a2, b2) over the same knockdowns, which a second training must not change as much.

    Parameters
    ----------
    a1, b1, a2, b2
        Cosines of the Jacobians and of the responses of two models, each (n, n).
    rng
        Not used.
    replicate
        Both cosines of a second training of the first model: what another seed alone changes.
    method
        "pearson" or "spearman".
    alternative
        The side of p.
    """
    estimate = matrix_correlation_difference(a1, b1, a2, b2, rng, method=method, alternative=alternative)
    if replicate is None:
        return estimate
    of_seed = coherence(a1, b1, method=method) - coherence(*replicate, method=method)
    shown = extended(estimate, {"controls": {"seed_replicate_difference": of_seed}})
    if abs(of_seed) < abs(estimate.effect):
        return shown
    caution = f"another training seed alone changes the coherence by {of_seed:.2f}, as much as the models differ"
    return replace(shown, caution=caution)
