"""Measures of NB02 that join rules: coherence in several models, against controls, and agreement of coordinates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import intervals, moments, nulls
from jacprobe.stats.labels import common, locate, rows, square
from jacprobe.stats.learned import learned_contrast
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.neighbourhoods import neighbourhood_recall
from jacprobe.stats.reproduction import reproduces
from jacprobe.stats.sets import set_coherence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.stats.labels import FloatArray

LEAST_MEMBERS = 3


def coherence_everywhere(
    similarity: Mapping[str, Any], norms: Mapping[str, Any], sets: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> Estimate:
    """Return the coherence of the weakest of several sets in the weakest of several models (rules A and B).

    Parameters
    ----------
    similarity, norms
        Similarities (n, n) and norms (n,) of each model.
    sets
        Members of each set.
    rng
        Draws the nulls, model after model, set after set.
    """
    return intersection_union(
        {
            f"{role}, {name}": set_coherence(similarity[role], members, rng, norms[role])
            for role in similarity
            for name, members in sets.items()
        }
    )


def coherence_learned(
    similarity: Any, untrained: Sequence[Any], sets: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> Estimate:
    """Return the mean coherence of several sets in the trained model minus that in untrained copies (rule L).

    Parameters
    ----------
    similarity
        Similarities of the trained model, shape (n, n).
    untrained
        The same of each copy.
    sets
        Members of each set.
    rng
        Not used.
    """
    return learned_contrast(mean_coherence(similarity, sets), [mean_coherence(copy, sets) for copy in untrained], rng)


def mean_coherence(similarity: Any, sets: Mapping[str, Sequence[str]]) -> Estimate:
    """Return the mean coherence of several sets, with its interval and without a test.

    The standard errors of the sets, each a delete-one-member jackknife, add in squares: the sets share no member.

    Parameters
    ----------
    similarity
        Similarities, shape (n, n).
    sets
        Members of each set.
    """
    parts = [_excess(similarity, members) for members in sets.values()]
    effect = float(np.mean([excess for excess, _, _ in parts]))
    se = math.sqrt(sum(error**2 for _, error, _ in parts)) / len(parts)
    df = sum(k - 1 for _, _, k in parts)
    ci, ci90 = intervals.t_intervals(effect, se, df)
    return Estimate(effect, df + len(parts), ci, ci90)


def mean_cosine(a: Any, b: Any, published: str | float, rng: np.random.Generator) -> Estimate:
    """Return the mean over knockdowns of the cosine between their vectors in two models (rule N).

    Nothing in it is random: it is fixed by the two checkpoints, and its interval is the half unit of the print.

    Parameters
    ----------
    a, b
        Vectors of the knockdowns in each model, shape (n, D), matched by name.
    published
        The published value as printed.
    rng
        Not used.

    Raises
    ------
    InputError
        If the models have latent spaces of different width.
    """
    return reproduces(float(_cosines(a, b).mean()), published, rng)


def coordinate_agreement(
    a: Any,
    same_seed: Any,
    other_seed: Any,
    rng: np.random.Generator,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return how much closer a model's vectors are to those of a model of its own training seed than of another.

    Mean over knockdowns of cos(a, same_seed) - cos(a, other_seed). Null: for each knockdown the two partners are
    exchangeable (random signs). The interval is Student's over knockdowns.

    Parameters
    ----------
    a, same_seed, other_seed
        Vectors of the knockdowns, shape (n, D), matched by name.
    rng
        Draws the signs.
    permutations
        Draws B.
    alternative
        The side of p.
    """
    nulls.check_draws(permutations)
    shared, other = _cosines(a, same_seed), _cosines(a, other_seed)
    names, _ = common({"a": rows(a, "a", ndim=2), "b": rows(same_seed, "b", ndim=2)})
    difference = shared - other
    n, effect = len(difference), float(difference.mean())
    signs = rng.integers(0, 2, (permutations, n), dtype=np.int8) * 2 - 1
    name = "the model of the same and of the other seed exchangeable for each knockdown"
    null = nulls.from_draws(name, effect, signs @ difference / n, alternative)
    se = float(difference.std(ddof=1)) / math.sqrt(n)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        null.p,
        alternative,
        (null,),
        intervals.minimum_detectable(se, n - 1, alternative),
        least_n=5,
        least_n_null=10,
        diagnostics={"cosine_same_seed": float(shared.mean()), "cosine_other_seed": float(other.mean())},
        replicates=intervals.named(names, intervals.without_each_mean(difference)),
    )


def named_neighbourhoods(similarity: Any, ribosome: Sequence[str], rng: np.random.Generator) -> Estimate:
    """Return how near the published neighbours stand: TRAPPC5 to TRAPPC3, MAX to MYC, ribosomal proteins to RPL5.

    Parameters
    ----------
    similarity
        Similarities, control left out, shape (n, n).
    ribosome
        The ribosomal proteins.
    rng
        Draws partners of equal hubness; see `neighbourhood_recall`.
    """
    partners = {"TRAPPC3": ("TRAPPC5",), "MYC": ("MAX",), "RPL5": tuple(name for name in ribosome if name != "RPL5")}
    return neighbourhood_recall(similarity, partners, rng)


def _excess(similarity: Any, members: Sequence[str]) -> tuple[float, float, int]:
    """Return a set's coherence, its jackknife standard error and its size."""
    S = square(similarity)
    found = locate(members, S.names, LEAST_MEMBERS)
    within = S.values[np.ix_(found.index, found.index)]
    effect = moments.mean_off_diagonal(within) - moments.mean_off_diagonal(S.values)
    return effect, intervals.jackknife_se(moments.leave_one_out(within)), len(found.index)


def _cosines(a: Any, b: Any) -> FloatArray:
    A, B = rows(a, "a", ndim=2), rows(b, "b", ndim=2)
    if A.values.shape[1] != B.values.shape[1]:
        raise InputError(
            f"vectors of {A.values.shape[1]} and {B.values.shape[1]} dimensions", "one width", where="cosines"
        )
    names, _ = common({"a": A, "b": B})
    u, v = (X.values[[X.names.index(name) for name in names]] for X in (A, B))
    return (u * v).sum(axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
