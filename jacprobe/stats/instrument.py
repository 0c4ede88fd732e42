"""Measures of the instrument claims: deterministic quantities over one model or several (rule O)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats.deterministic import exact
from jacprobe.stats.own_gene import own_gene_contrast, own_gene_excess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.estimate import Estimate


def largest_deviation(deviation: Any, rng: np.random.Generator, **more: Any) -> Estimate:
    """Return the largest absolute deviation over everything compared.

    Parameters
    ----------
    deviation
        Deviations of any shape, or a mapping of model to such an array: then of all models together, each one's
        largest and what it left out (its attribute `left_out`) in the diagnostics.
    rng
        Not used.
    more
        Deviations of other kinds, by name.
    """
    models = dict(deviation) if isinstance(deviation, Mapping) else {"model": deviation}
    for kind, found in more.items():
        named = found if isinstance(found, Mapping) else {"model": found}
        models |= {f"{role}, {kind}": values for role, values in named.items()}
    each = {role: exact(values, rng=rng) for role, values in models.items()}
    # Attributes of stored evidence come back as text.
    left_out = {
        role: n for role, values in models.items() if (n := int(getattr(values, "attrs", {}).get("left_out", 0)))
    }
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


def own_genes_fall(
    delta: Mapping[str, Any],
    split: Mapping[str, Mapping[str, str]],
    rng: np.random.Generator,
    untrained: Sequence[Any] | None = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return `own_gene_contrast` over several models, knockdowns the models were trained on and others shown apart.

    Parameters
    ----------
    delta
        Predicted responses (kd, gene) of each model.
    split
        "trained", "held out" or "unknown" for each knockdown, of each model.
    rng
        Draws the reassignments.
    untrained
        Responses of untrained copies of the first model.
    permutations
        Reassignments B.
    """
    estimate = own_gene_contrast(delta, rng, permutations=permutations)
    apart = {}
    for role, responses in delta.items():
        falls = own_gene_excess(responses)
        kinds = {split[role].get(name, "unknown") for name in falls}
        apart[role] = {
            kind: float(np.mean([fall for name, fall in falls.items() if split[role].get(name, "unknown") == kind]))
            for kind in sorted(kinds)
        }
    more: dict[str, Any] = {"by_split": apart}
    if untrained is not None:
        copies = [float(np.mean(list(own_gene_excess(copy).values()))) for copy in untrained]
        more["controls"] = {"untrained": {"mean": float(np.mean(copies)), "copies": copies}}
    return replace(estimate, diagnostics={**estimate.diagnostics, **more})


def dead_outputs(
    panels: Sequence[Any] | None,
    mean_cell: Sequence[Any] | None,
    slopes: Any,
    rng: np.random.Generator,
) -> Estimate:
    """Return the share of outputs that never move: of the panels' targets or of all genes, whichever is larger.

    Parameters
    ----------
    panels
        dY[target]/dX[regulator] of each panel over the true control cells, each (kd, regulator, target), or None.
    mean_cell
        The same over the mean cell, repeated; judged where the other is not there.
    slopes
        Largest |dY/dpert| of each gene, or None.
    rng
        Not used.

    Raises
    ------
    EvidenceMissingError
        If none of them is there.
    """
    judged = panels if panels is not None else mean_cell
    shares: dict[str, tuple[list[str], int]] = {}
    for name, given in (("panel targets", judged), ("panel targets, mean cell", mean_cell)):
        if given is not None:
            dead = [str(t) for J in given for t, row in zip(J["target"].values, _largest(J), strict=True) if row == 0]
            shares[name] = (dead, sum(J.sizes["target"] for J in given))
    if slopes is not None:
        shares["all genes"] = ([str(g) for g in slopes["gene"].values[slopes.values == 0]], slopes.size)
    counted = {name: share for name, share in shares.items() if name != "panel targets, mean cell"}
    if not counted:
        raise EvidenceMissingError("no Jacobian", "targeted ones of a panel, or those by the perturbation")
    lacking = [name for name in ("panel targets", "all genes") if name not in counted]
    flags = [f"not there, and not judged: {', '.join(lacking)}"] if lacking else []
    if judged is not None and panels is None:
        flags.append("panels over the mean cell, in which all cells share one state of the ReLU")
    return exact(
        max(len(dead) / of for dead, of in counted.values()),
        rng=rng,
        n=sum(of for _, of in counted.values()),
        flags=tuple(flags),
        diagnostics={name: {"dead": dead, "of": of, "share": len(dead) / of} for name, (dead, of) in shares.items()},
    )


def _largest(J: Any) -> np.ndarray:
    return np.abs(J.transpose("target", ...).values).reshape(J.sizes["target"], -1).max(axis=1)


def _identical(a: Any, b: Any) -> bool:
    """Whether two labelled arrays have the same labels in the same order and the same bits."""
    return a.dims == b.dims and a.equals(b) and a.values.tobytes() == b.values.tobytes()
