"""Measures of the conclusions on measured responses: is a model right, where, and by more than rivals.

They are made of r: for each knockdown (KD) the correlation over genes of its predicted with its measured response.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError
from jacprobe.estimate import Estimate
from jacprobe.stats import intervals, nulls
from jacprobe.stats.coherence import extended
from jacprobe.stats.contrasts import LEAST_MEMBERS, paired_contrast
from jacprobe.stats.labels import Labelled, locate, rows
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.trainings import over_trainings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.estimate import Interval
    from jacprobe.stats.labels import FloatArray

TRAINED, HELD_OUT = "trained", "held out"
NO_CEILING = "measured responses without a replicate: no noise ceiling"


def memorised(
    r: Any,
    split: Mapping[str, str],
    members: Sequence[str],
    rng: np.random.Generator,
    zeroshot: Any = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return by how much more a set is right for trained than for held-out KDs than all other KDs are (rule E).

    (mean r of trained - mean r of held-out members) - (the same of all other KDs). Null: random sets with as many
    trained and as many held-out KDs. The interval is the wider of Student's with pooled variance and Welch's.

    Parameters
    ----------
    r
        r of each KD, shape (n,).
    split
        "trained" or "held out" by KD; others are dropped.
    members
        The set.
    rng
        Draws the sets.
    zeroshot
        r of each KD for a model that has seen none of them in this line, to stand beside.
    permutations
        Draws B.

    Returns
    -------
    Estimate
        `n` is the smaller number of members, trained or held out.

    Raises
    ------
    EvidenceMissingError
        If fewer than two members, or other KDs, are trained or held out.
    """
    nulls.check_draws(permutations)
    vector = rows(r, "r", ndim=1)
    found = locate(members, vector.names, 2)
    inside = np.isin(np.arange(len(vector.names)), found.index)
    tags = np.array([split.get(name, "unknown") for name in vector.names])
    cells = [vector.values[side & (tags == tag)] for side in (inside, ~inside) for tag in (TRAINED, HELD_OUT)]
    sizes = [len(cell) for cell in cells]
    if min(sizes) < 2:
        raise EvidenceMissingError(
            f"{sizes[0]} members trained and {sizes[1]} held out, {sizes[2]} and {sizes[3]} of the others",
            "at least two of each",
            where="split",
        )
    means = [float(cell.mean()) for cell in cells]
    effect = means[0] - means[1] - (means[2] - means[3])
    drawn = _random_effects(rng, (cells[0], cells[2]), permutations) - _random_effects(
        rng, (cells[1], cells[3]), permutations
    )
    name = f"random sets of {sizes[0]} trained and {sizes[1]} held-out KDs"
    null = nulls.from_draws(name, effect, drawn, "greater")
    ci, ci90, se, df = _four_cells(cells, effect)
    keys = ("members_trained", "members_held_out", "others_trained", "others_held_out")
    shown: dict[str, Any] = {
        "mean_r": dict(zip(keys, means, strict=True)),
        "sizes": dict(zip(keys, sizes, strict=True)),
        "held_out_members": [n for n, i, tag in zip(vector.names, inside, tags, strict=True) if i and tag == HELD_OUT],
    }
    if zeroshot is not None:
        beside = rows(zeroshot, "zeroshot", ndim=1)
        of_members = [name for name in beside.names if name in set(found.names)]
        shown["zeroshot_members"] = float(beside.take(of_members).mean())
        shown["zeroshot_all"] = float(beside.values.mean())
    unknown = tuple(name for name, tag in zip(vector.names, tags, strict=True) if tag not in (TRAINED, HELD_OUT))
    return Estimate(
        effect,
        min(sizes[:2]),
        ci,
        ci90,
        null.p,
        "greater",
        (null,),
        intervals.minimum_detectable(max(se, null.sd), df, "greater"),
        LEAST_MEMBERS,
        LEAST_MEMBERS,
        dropped=found.unknown + unknown,
        flags=found.flags,
        diagnostics=shown,
    )


def better_than_mean(
    r: Sequence[Any],
    split: Sequence[Mapping[str, str]],
    observed: Sequence[Any],
    mean_shift: Sequence[Sequence[Any]],
    rng: np.random.Generator,
    linear: Sequence[Sequence[Any]] | None = None,
    *,
    models: Sequence[str],
) -> Estimate:
    """Return by how much models predict held-out KDs better than a mean response does, in the least case (rules B, L).

    Two rivals: the measured mean response of the KDs that the model was trained on, the same for every KD; and the
    mean-shift surrogate, the mean of the model's own responses in each KD's own size. Both must be beaten in every
    model.

    Parameters
    ----------
    r
        By model, r of each KD, shape (n,).
    split
        By model, "trained" or "held out" by KD.
    observed
        By model, the measured responses of its line, a DataArray (n, gene).
    mean_shift
        By model, r of each KD for its mean-shift surrogate: a sequence of one (n,).
    rng
        Draws the signs.
    linear
        By model, the same for a linear surrogate, to stand beside.
    models
        Their names.
    """
    parts: dict[str, Estimate] = {}
    shown: dict[str, Any] = {}
    flags: tuple[str, ...] = (NO_CEILING,)
    for i, model in enumerate(models):
        own, measured = rows(r[i], "r", ndim=1), rows(observed[i], "observed", ndim=2)
        tags = split[i]
        held = _held_out(own, [tags])
        mean = measured.take([name for name in measured.names if tags.get(name) == TRAINED]).mean(axis=0)
        rivals = {"mean response": _with_one(measured, held, mean), "mean shift": rows(mean_shift[i][0], "mean_shift")}
        mine = Labelled(own.take(held), held)
        for rival, value in rivals.items():
            parts[f"{model} over {rival}"] = paired_contrast(mine, Labelled(value.take(held), held), rng)
        shown[model] = {"held_out": len(held), "mean_r": float(mine.values.mean())}
        if linear is not None:
            beside = float(rows(linear[i][0], "linear", ndim=1).take(held).mean())
            shown[model]["linear_surrogate"] = beside
            if beside >= shown[model]["mean_r"]:
                flags = (*flags, f"a linear surrogate of {model} predicts as well ({beside:.2f})")
    return extended(intersection_union(parts), {"accuracy": shown}, flags)


def closer_with_data(
    fewshot: Mapping[str, Any], zeroshot: Any, split: Mapping[str, Mapping[str, str]], rng: np.random.Generator
) -> Estimate:
    """Return how much closer to measured responses a model is that has seen other KDs of the line (rule B).

    Mean over KDs that all models were held out of of r fewshot - r zeroshot, paired, mean over trainings.

    Parameters
    ----------
    fewshot
        r of each KD for each training of the fewshot model, each (n,).
    zeroshot
        The same for the zeroshot model.
    split
        "trained" or "held out" by KD, by model.
    rng
        Draws the signs.
    """
    there = rows(zeroshot, "zeroshot", ndim=1)
    held = _held_out(there, list(split.values()))
    beside = Labelled(there.take(held), held)
    estimates = {
        role: paired_contrast(Labelled(rows(here, role, ndim=1).take(held), held), beside, rng)
        for role, here in fewshot.items()
    }
    return extended(over_trainings(estimates), {"held_out_kds": len(held)}, (NO_CEILING,))


def _held_out(r: Labelled, splits: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the KDs that no model was trained on.

    Raises
    ------
    EvidenceMissingError
        If there are fewer than three.
    """
    held = tuple(name for name in r.names if all(split.get(name) == HELD_OUT for split in splits))
    if len(held) < 3:
        raise EvidenceMissingError(f"{len(held)} knockdowns held out of training", "at least 3", where="split")
    return held


def _with_one(measured: Labelled, names: Sequence[str], profile: FloatArray) -> Labelled:
    """Return the correlation of each KD's measured response with one profile, shape (n,)."""
    known = [name for name in names if name in set(measured.names)]
    x, y = measured.take(known), profile - profile.mean()
    x = x - x.mean(axis=1, keepdims=True)
    return Labelled(x @ y / (np.linalg.norm(x, axis=1) * np.linalg.norm(y)), tuple(known))


def _random_effects(rng: np.random.Generator, cells: tuple[FloatArray, FloatArray], draws: int) -> FloatArray:
    """Return mean inside minus mean outside of random sets as large as the first of two cells."""
    pooled, k = np.concatenate(cells), len(cells[0])
    inside = pooled[nulls.random_subsets(rng, len(pooled), k, draws)].sum(axis=1)
    return inside / k - (pooled.sum() - inside) / (len(pooled) - k)


def _four_cells(cells: list[FloatArray], effect: float) -> tuple[Interval, Interval, float, float]:
    sizes = np.array([len(cell) for cell in cells])
    own = np.array([float(cell.var(ddof=1)) for cell in cells])
    v = own / sizes
    welch = math.sqrt(float(v.sum()))
    df = float(v.sum()) ** 2 / float((v**2 / (sizes - 1)).sum()) if welch > 0 else float(sizes.sum() - 4)
    pooled_df = float(sizes.sum() - 4)
    pooled = math.sqrt(float(((sizes - 1) * own).sum()) / pooled_df * float((1 / sizes).sum()))
    both = []
    for q in (0.975, 0.95):
        half = max(float(stats.t.ppf(q, df)) * welch, float(stats.t.ppf(q, pooled_df)) * pooled)
        both.append((effect - half, effect + half))
    return both[0], both[1], max(welch, pooled), df
