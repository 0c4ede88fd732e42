"""Rule E on a knockdown's own gene: does knocking a gene down lower that gene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import axis_names, rows
from jacprobe.stats.multiplicity import intersection_union

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray

LEAST_KDS = 5
LEAST_KDS_NULL = 10


def own_gene_contrast(
    delta: Any,
    rng: np.random.Generator,
    *,
    permutations: int = 9999,
    alternative: Alternative = "less",
) -> Estimate:
    """Return how a knockdown (KD) moves its own gene, against what all other KDs do to that gene.

    Per KD whose gene is an output: dY[own gene] minus the mean dY of the same gene under all other KDs; the effect is
    the mean over these KDs. Null: own genes reassigned at random among these KDs. The interval is Student's over KDs.

    Parameters
    ----------
    delta
        Predicted response (perturbed - control, log1p), a DataArray of shape (kd, gene) with both coordinates; or a
        mapping of model to such an array: the claim then has to hold in every model (intersection-union).
    rng
        Draws the reassignments, model after model in the mapping's order.
    permutations
        Reassignments B.
    alternative
        The side of p.

    Returns
    -------
    Estimate
        In units of delta; `n` counts the KDs whose own gene is an output; per model in the diagnostics.

    Raises
    ------
    InputError
        If names repeat or values are not finite.
    EvidenceMissingError
        If fewer than three KDs have their own gene among the outputs.
    """
    nulls.check_draws(permutations)
    if isinstance(delta, Mapping):
        if not delta:
            raise InputError("no model", "one array per model", where="delta")
        return intersection_union(
            {name: _own_gene(part, rng, permutations, alternative) for name, part in delta.items()}
        )
    return _own_gene(delta, rng, permutations, alternative)


def own_gene_excess(delta: Any) -> dict[str, float]:
    """Return dY[own gene] minus the mean dY of the same gene under all other KDs, by KD whose gene is an output."""
    responses = rows(delta, "delta", ndim=2)
    excess = _against_other_kds(responses.values)
    column = {gene: j for j, gene in enumerate(axis_names(delta, 1))}
    return {name: float(excess[i, column[name]]) for i, name in enumerate(responses.names) if name in column}


def _own_gene(delta: Any, rng: np.random.Generator, permutations: int, alternative: Alternative) -> Estimate:
    responses = rows(delta, "delta", ndim=2)
    genes = axis_names(delta, 1)
    if len(set(genes)) < len(genes):
        raise InputError("genes that stand twice", "each name once", where="delta")
    column = {gene: j for j, gene in enumerate(genes)}
    own = [name for name in responses.names if name in column]
    if len(own) < 3:
        raise EvidenceMissingError(f"{len(own)} KDs have their gene among the outputs", "at least 3", where="delta")
    excess = _against_other_kds(responses.values[:, [column[name] for name in own]])
    excess = excess[[i for i, name in enumerate(responses.names) if name in column]]
    per_kd = np.diagonal(excess)
    m, effect = len(own), float(per_kd.mean())
    assigned = rng.permuted(np.broadcast_to(np.arange(m), (permutations, m)), axis=1)
    name = f"own genes reassigned at random among the {m} KDs"
    null = nulls.from_draws(name, effect, excess[np.arange(m), assigned].mean(axis=1), alternative)
    se = float(per_kd.std(ddof=1)) / m**0.5
    ci, ci90 = intervals.t_intervals(effect, se, m - 1)
    falling = [name for name, value in zip(own, per_kd, strict=True) if value < 0]
    return Estimate(
        effect,
        m,
        ci,
        ci90,
        null.p,
        alternative,
        (null,),
        intervals.minimum_detectable(max(se, null.sd), m - 1, alternative),
        LEAST_KDS,
        LEAST_KDS_NULL,
        diagnostics={
            "share_falling": len(falling) / m,
            "least_responsive": [own[i] for i in np.argsort(-per_kd)[:5]],
            "kds_without_output": len(responses.names) - m,
        },
    )


def _against_other_kds(responses: FloatArray) -> FloatArray:
    """Return response[k, g] minus the mean of gene g under all KDs but k."""
    n = len(responses)
    return (responses - responses.mean(axis=0)) * (n / (n - 1))
