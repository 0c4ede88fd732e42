"""Measures of the instrument claims: deterministic quantities over one model or several (rule O)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.stats.deterministic import exact

if TYPE_CHECKING:
    from jacprobe.estimate import Estimate


def largest_deviation(deviation: Any, rng: np.random.Generator) -> Estimate:
    """Return the largest absolute deviation over everything compared.

    Parameters
    ----------
    deviation
        Deviations of any shape, or a mapping of model to such an array: then of all models together, each one's
        largest and what it left out (its attribute `left_out`) in the diagnostics.
    rng
        Not used.
    """
    models = deviation if isinstance(deviation, Mapping) else {"model": deviation}
    each = {role: exact(values, rng=rng) for role, values in models.items()}
    left_out = {role: n for role, values in models.items() if (n := getattr(values, "attrs", {}).get("left_out"))}
    return exact(
        max(estimate.effect for estimate in each.values()),
        rng=rng,
        n=sum(estimate.n for estimate in each.values()),
        diagnostics={
            "largest_by_model": {role: estimate.effect for role, estimate in each.items()},
            **({"left_out": left_out} if left_out else {}),
        },
    )


def total_mismatches(mismatches: Any, rng: np.random.Generator) -> Estimate:
    """Return how many names or counts disagree, over all checks of one model or several.

    Parameters
    ----------
    mismatches
        Counts along a dimension `check`, or a mapping of model to such counts.
    rng
        Not used.
    """
    models = mismatches if isinstance(mismatches, Mapping) else {"model": mismatches}
    counts = {
        f"{role}: {check}": int(count)
        for role, found in models.items()
        for check, count in zip(found["check"].values, found.values, strict=True)
    }
    wrong = {name: count for name, count in counts.items() if count}
    return exact(sum(counts.values()), rng=rng, n=len(counts), diagnostics={"checks": sorted(counts), "wrong": wrong})


def differing_entries(first: Any, again: Any, rng: np.random.Generator, **more: Any) -> Estimate:
    """Return how many evidence arrays, and estimates made from them, are not the same bit for bit when made again.

    Parameters
    ----------
    first, again
        The same evidence twice: labelled arrays.
    rng
        Not used; estimates are made from two copies of one stream.
    more
        Further pairs, by names such as `delta` and `delta_again`.

    Raises
    ------
    InputError
        If a partner is missing.
    """
    from jacprobe.stats import own_gene_contrast

    pairs = {"first": (first, again)}
    for name, value in more.items():
        if not name.endswith("_again"):
            if f"{name}_again" not in more:
                raise InputError(f"no {name}_again", f"the partner of {name}", where="differing_entries")
            pairs[name] = (value, more[f"{name}_again"])
    differing = [name for name, (a, b) in pairs.items() if not _identical(a, b)]
    compared = len(pairs)
    for name, (a, b) in pairs.items():
        if a.dims == ("kd", "gene"):
            compared += 1
            estimates = [
                own_gene_contrast(part, np.random.Generator(np.random.PCG64(0)), permutations=99) for part in (a, b)
            ]
            if estimates[0] != estimates[1]:
                differing.append(f"estimate from {name}")
    return exact(len(differing), rng=rng, n=compared, diagnostics={"differing": differing})


def _identical(a: Any, b: Any) -> bool:
    """Whether two labelled arrays have the same labels in the same order and the same bits."""
    return a.dims == b.dims and a.equals(b) and a.values.tobytes() == b.values.tobytes()
