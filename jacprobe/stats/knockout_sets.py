"""Measures of NB04 on sets of genes: which outputs diverge most, and whether a pathway's knockouts look alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.estimate import Estimate, Null
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import axis_names, common, locate, rows, square
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.ranks import clopper_pearson
from jacprobe.stats.sets import LEAST_MEMBERS, LEAST_MEMBERS_NULL, set_coherence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.stats.labels import FloatArray


def divergent_outputs(
    a: Any,
    b: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    *,
    expression: Any = None,
    replicate: Any = None,
    top: int = 20,
    permutations: int = 9999,
) -> Estimate:
    """Return how many genes of a set are among the outputs that diverge most between two models, beyond expectation.

    An output's divergence is the mean over silenced genes of |response in A - response in B|. Null: random genes
    matched with the set on quantiles of expression and of response variance, which alone make an output diverge. The
    interval is the exact binomial one over the set's members, minus the null's mean.

    Parameters
    ----------
    a, b
        Responses, each (silenced gene, gene), matched by name.
    members
        The set; genes that are no outputs are dropped and named.
    rng
        Draws the genes.
    expression
        Mean expression of the outputs in control cells, shape (gene,); without it only the variance is matched.
    replicate
        Responses of another training of the first model's line, or None. Where that diverges in as many of the set, the
        divergence does not speak of lines, which bars SUPPORTED.
    top
        How many outputs count as most divergent.
    permutations
        Draws B.

    Raises
    ------
    InputError
        If the list is longer than half the outputs.
    EvidenceMissingError
        If no member is an output.
    """
    nulls.check_draws(permutations)
    genes, x, y = _shared_outputs(a, b)
    if top > len(genes) // 2:
        raise InputError(f"the top {top} of {len(genes)} outputs", "at most half", where="top")
    found = locate(members, genes, 1)
    first, divergence = _most_divergent(x, y, top)
    covariates = {"response variance": x.var(axis=0) + y.var(axis=0)}
    if expression is not None:
        covariates["expression"] = rows(expression, "expression", ndim=1).take(genes)
    bins = int(np.clip(round((len(genes) / 20) ** (1 / len(covariates))), 2, 10))
    strata = nulls.quantile_strata(list(covariates.values()), bins)
    inside = np.zeros(len(genes))
    inside[first] = 1.0
    drawn = inside[nulls.matched_subsets(rng, strata, found.index, permutations)].sum(axis=1)
    m, count, expected = len(found.index), int(inside[found.index].sum()), float(drawn.mean())
    name = f"random genes matched on {' and '.join(covariates)} ({bins} quantile bins)"
    null = nulls.from_draws(name, count - expected, drawn - expected, "greater")
    ci, ci90 = (tuple(m * end - expected for end in clopper_pearson(count, m, level)) for level in (0.95, 0.90))
    beside: dict[str, Any] = {}
    caution = None
    if replicate is not None:
        again, u, v = _shared_outputs(a, replicate)
        same_line = len(set(found.names) & {again[i] for i in _most_divergent(u, v, top)[0]})
        beside["members_in_seed_replicate"] = same_line
        if same_line >= count > 0:
            caution = f"two trainings of one line diverge in as many of the set ({same_line})"
    flags = found.flags if expression is not None else (*found.flags, "no control cells: expression is not matched")
    return Estimate(
        count - expected,
        m,
        (ci[0], ci[1]),
        (ci90[0], ci90[1]),
        null.p,
        "greater",
        (null,),
        intervals.minimum_detectable(null.sd, m - 1, "greater"),
        LEAST_MEMBERS,
        LEAST_MEMBERS_NULL,
        caution=caution,
        dropped=found.unknown,
        flags=flags,
        as_published={"nb04_top": {genes[i]: float(divergence[i]) for i in first}},
        diagnostics={"members_in_top": count, "expected": expected, "top": top, **beside},
    )


def strongest_coherence(
    similarity: Any,
    norms: Any,
    sets: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
    *,
    untrained: Sequence[Any] | None = None,
    least: int = LEAST_MEMBERS_NULL,
    permutations: int = 9999,
) -> Estimate:
    """Return the coherence of the most coherent of several sets (rule A), with what all of them together allow.

    p is that of the largest z over the sets, against random sets, and against matched ones; the larger counts. The
    upper bound is the largest of all sets'.

    Parameters
    ----------
    similarity
        Cosine of the responses to silenced genes, shape (n, n).
    norms
        Size of each response, shape (n,).
    sets
        Members of each set of silenced genes.
    rng
        Draws the sets.
    untrained
        Similarities in copies with re-drawn weights, or None.
    least
        Fewest members: with fewer a set can show nothing either way.
    permutations
        Draws B.

    Raises
    ------
    EvidenceMissingError
        If no set has so many members.
    """
    known = set(axis_names(similarity, 0))
    sizes = {name: len(known & set(members)) for name, members in sets.items()}
    large = [name for name, size in sizes.items() if size >= least]
    if not large:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise EvidenceMissingError(f"no set of {least} silenced genes ({told})", "untestable, which is not null")
    parts = {name: set_coherence(similarity, sets[name], rng, norms, permutations=permutations) for name in large}
    joint = intersection_union(parts, claim="nowhere")
    against = tuple(_largest_of([part.nulls[i] for part in parts.values()], list(parts.values())) for i in (0, 1))
    beside: dict[str, Any] = {"sizes": sizes, "sets": {name: part.effect for name, part in parts.items()}}
    if untrained is not None:
        beside["untrained_largest"] = [max(_excess(copy, sets[name]) for name in large) for copy in untrained]
    return replace(
        joint,
        p=max(null.p for null in against),
        nulls=against,
        least_n_null=least,
        as_published={name: dict(part.as_published["nb01_set_draw_without_plus_one"]) for name, part in parts.items()},
        diagnostics={**joint.diagnostics, **beside},
    )


def _largest_of(of_sets: Sequence[Null], parts: Sequence[Estimate]) -> Null:
    """Return the null of the largest z over the sets; the draws of different sets are independent."""
    z, seen = [], []
    for null, part in zip(of_sets, parts, strict=True):
        if null.samples is None or null.sd == 0:
            raise InputError("a null without draws", "drawn sets", where="strongest_coherence")
        z.append((null.samples - null.mean) / null.sd)
        seen.append((part.effect - null.mean) / null.sd)
    largest = nulls.from_draws("", max(seen), np.max(z, axis=0), "greater")
    decisive = of_sets[int(np.argmax(seen))]
    name = decisive.name if len(of_sets) == 1 else f"largest z of {len(of_sets)} sets: {decisive.name}"
    return replace(decisive, name=name, p=largest.p, least_p=largest.least_p)


def _excess(similarity: Any, members: Sequence[str]) -> float:
    S = square(similarity)
    at = locate(members, S.names, 2).index
    inside = S.values[np.ix_(at, at)]
    off = [float((M.sum() - np.trace(M)) / (len(M) * (len(M) - 1))) for M in (inside, S.values)]
    return off[0] - off[1]


def _most_divergent(x: FloatArray, y: FloatArray, top: int) -> tuple[list[int], FloatArray]:
    divergence: FloatArray = np.abs(x - y).mean(axis=0)
    return [int(i) for i in np.argsort(-divergence, kind="stable")[:top]], divergence


def _shared_outputs(a: Any, b: Any) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Return outputs that both models have, and both models' responses to the shared silenced genes."""
    A, B = rows(a, "a", ndim=2), rows(b, "b", ndim=2)
    names, _ = common({"a": A, "b": B})
    of_a, of_b = axis_names(a, 1), axis_names(b, 1)
    place = {gene: j for j, gene in enumerate(of_b)}
    genes = tuple(gene for gene in of_a if gene in place)
    at = {gene: j for j, gene in enumerate(of_a)}
    return genes, A.take(names)[:, [at[g] for g in genes]], B.take(names)[:, [place[g] for g in genes]]
