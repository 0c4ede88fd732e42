"""Measures of the conclusions on what training with HepG2's knockdowns (KDs) adds: size, distinctness, likeness.

The fewshot model may come in several trainings, {role: evidence}: what another seed alone changes is no fine-tuning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.stats.coherence import extended
from jacprobe.stats.contrasts import vector_contrast
from jacprobe.stats.labels import Labelled, common, rows, square
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.sets import set_coherence_difference
from jacprobe.stats.trainings import over_trainings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.estimate import Alternative, Estimate


def sharpened(
    fewshot: Mapping[str, Any], zeroshot: Any, sets: Mapping[str, Sequence[str]], rng: np.random.Generator
) -> Estimate:
    """Return how much more fine-tuning enlarges the responses of some KDs than those of all others (rule E).

    Mean over members of log(|dY| fewshot / |dY| zeroshot) minus that over all other KDs, mean over trainings.

    Parameters
    ----------
    fewshot
        Sizes of the responses in each training of the fewshot model, each (n,).
    zeroshot
        The same of the zeroshot model.
    sets
        The members, in one or several sets.
    rng
        Draws random sets.
    """
    before = rows(zeroshot, "zeroshot", ndim=1)
    members = list(dict.fromkeys(name for listed in sets.values() for name in listed))
    estimates, ratios = {}, {}
    for role, sizes in fewshot.items():
        after = rows(sizes, role, ndim=1)
        names, _ = common({role: after, "zeroshot": before})
        ratio = Labelled(np.log(after.take(names) / before.take(names)), names)
        estimates[role] = vector_contrast(ratio, members, rng)
        ratios[role] = float(ratio.values.mean())
    return extended(over_trainings(estimates), {"mean_log_ratio": ratios})


def more_distinct(
    fewshot: Mapping[str, Sequence[Any]],
    zeroshot: Sequence[Any],
    members: Sequence[str],
    rng: np.random.Generator,
    *,
    spaces: Sequence[str],
) -> Estimate:
    """Return how much more a set stands out from the rest in the fewshot than in the zeroshot model (rules A and B).

    The difference of the set's coherence, paired over members, in the space where it is least; mean over trainings.

    Parameters
    ----------
    fewshot
        By training, by space, the similarities and norms of all KDs: ((n, n), (n,)).
    zeroshot
        By space, the same of the zeroshot model.
    members
        The set.
    rng
        Draws random sets and matched ones.
    spaces
        Names of the spaces.
    """
    found = {}
    for i, space in enumerate(spaces):
        there, sizes = zeroshot[i]
        found[space] = over_trainings(
            {
                role: set_coherence_difference(here[i][0], there, members, rng, (here[i][1], sizes))
                for role, here in fewshot.items()
            }
        )
    return intersection_union(found)


def alike_across_lines(
    a: Any,
    b: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    replicate: Any = None,
    *,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return how much more alike two models place the KDs of a set among all KDs than they do the others (rule E).

    A KD's place is its row of the similarity matrix, itself left out; two models' rows are correlated.

    Parameters
    ----------
    a, b
        Similarities of all KDs in each model, each (n, n), matched by name.
    members
        The set.
    rng
        Draws random sets.
    replicate
        Similarities in another training of the first model: what the set shows without another line.
    alternative
        The side of p.
    """
    estimate = vector_contrast(_row_correlations(a, b), members, rng, alternative=alternative)
    if replicate is None:
        return estimate
    again = vector_contrast(_row_correlations(a, replicate), members, rng, alternative=alternative)
    shown = {"mean_members": again.diagnostics["mean_members"], "effect": again.effect}
    return extended(estimate, {"seed_replicate": shown})


def _row_correlations(a: Any, b: Any) -> Labelled:
    """Return, per KD, Pearson's r of its similarities to all other KDs in two models, shape (n,).

    Raises
    ------
    InputError
        If a KD is equally similar to all others.
    """
    A, B = square(a, "a", 4), square(b, "b", 4)
    names, _ = common({"a": A, "b": B}, 4)
    n = len(names)
    off = ~np.eye(n, dtype=bool)
    x, y = (side.submatrix(names)[off].reshape(n, n - 1) for side in (A, B))
    x, y = (rows_ - rows_.mean(axis=1, keepdims=True) for rows_ in (x, y))
    scale = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    if not (scale > 0).all():
        flat = [name for name, size in zip(names, scale, strict=True) if not size > 0]
        raise InputError(f"rows without variation: {', '.join(flat[:5])}", "similarities that differ", where="a, b")
    return Labelled((x * y).sum(axis=1) / scale, names)
