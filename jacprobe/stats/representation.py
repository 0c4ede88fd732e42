"""Measures of NB01 and NB06 on features of a layer: which sets of knockdowns (KDs) does a model represent alike.

Similarities are cosines of control-centred mean features. Where models are compared the KDs are those that all have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jacprobe.errors import EvidenceMissingError
from jacprobe.estimate import Estimate, Null
from jacprobe.stats import hubs, intervals, moments, published
from jacprobe.stats.coherence import beside, extended
from jacprobe.stats.embedding import mean_coherence
from jacprobe.stats.labels import Labelled, common, locate, rows
from jacprobe.stats.learned import learned_contrast
from jacprobe.stats.multiplicity import intersection_union
from jacprobe.stats.sets import coherence_of, set_coherence_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.stats.labels import FloatArray

LEAST_MEMBERS = 3
LEVEL = 0.05


def represented_alike(
    features: Mapping[str, Any],
    members: Sequence[str],
    rng: np.random.Generator,
    *,
    raw: Mapping[str, Any] | None = None,
    layer: Mapping[str, Any] | None = None,
    clean: Sequence[str] | None = None,
    claim: Literal["everywhere", "nowhere"] = "everywhere",
    scale: Literal["similarity", "z"] = "similarity",
    permutations: int = 9999,
    **controls: Sequence[Any] | None,
) -> Estimate:
    """Return the coherence of a set's features in the weakest, or strongest, of several models (rules A and B).

    Parameters
    ----------
    features
        Control-centred mean features of each model, each (n, f).
    members
        The set.
    rng
        Draws the nulls, model after model.
    raw
        The same features without centring: for sensitivity, and for the published test.
    layer
        Centred activations, where the features are those of an autoencoder: for sensitivity, and for the controls.
    clean
        The cleaned set, for sensitivity.
    claim
        Whether the set is said to be coherent in every model, or in none.
    scale
        "z" gives D from the mean and in units of the sd over random sets, its interval as well. p stays: a z that sets
        matched on hubness and norm reach is no pathway's.
    permutations
        Draws B of each null.
    controls
        Centred activations of copies of the first model, (60 or so, f) each, by the control's name; None where absent.

    Returns
    -------
    Estimate
        `diagnostics["sensitivity"]` holds D, its interval and z by model and variant; a variant by which a set's
        elevation would be decided otherwise is flagged.
    """
    matrices = _similarities(features)
    parts = {role: _coherence(S, norms, members, rng, permutations) for role, (S, norms) in matrices.items()}
    if scale == "z":
        parts = {role: _standardised(part) for role, part in parts.items()}
    estimate = intersection_union(parts, claim)
    shown, flags = _sensitivity(features, raw, layer, members, clean)
    copies, more = _controls(features, layer, members, controls)
    return extended(
        replace(estimate, as_published=_as_published(raw or features, members, rng)),
        {"sensitivity": shown, "controls": copies},
        (*flags, *(more if claim == "everywhere" else ())),
    )


def coherence_of_one_line(
    a: Any,
    b: Any,
    members: Sequence[str],
    rng: np.random.Generator,
    replicate: tuple[Any, Any] | None = None,
    *,
    permutations: int = 9999,
) -> Estimate:
    """Return how much more alike model A represents a set than model B does, D_A - D_B (rule B).

    Parameters
    ----------
    a, b
        Centred features of each model, each (n, f).
    members, rng, permutations
        As in `represented_alike`.
    replicate
        Centred activations of model A and of A trained with another seed. Where these two differ by as much, the
        difference may be the training seed's, and nothing is SUPPORTED.
    """
    (first, norms_a), (second, norms_b) = (_cosines(rows(side, "features", ndim=2)) for side in (a, b))
    estimate = set_coherence_difference(first, second, members, rng, (norms_a, norms_b), permutations=permutations)
    if replicate is None:
        return extended(estimate, {}, ("no other training of the first model: the difference may be the seed's",))
    here, there = (_brief(rows(side, "replicate", ndim=2), members) for side in replicate)
    apart = here["D"] - there["D"]
    caution = None
    if apart >= estimate.effect:
        caution = f"two trainings of one line differ as much: D = {here['D']:.2f} and {there['D']:.2f}"
    shown = {"seed_replicate": {"trained": here, "replicate": there, "difference": apart}}
    return extended(replace(estimate, caution=estimate.caution or caution), shown)


def representation_learned(
    features: Any,
    untrained: Sequence[Any],
    sets: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
    **controls: Sequence[Any] | None,
) -> Estimate:
    """Return the mean coherence of several sets in the trained model minus that in untrained copies (rule L).

    Parameters
    ----------
    features
        Centred activations of the trained model, (n, f).
    untrained
        The same of each copy.
    sets
        Members of each set.
    rng
        Not used.
    controls
        The same of copies of other kinds, by the control's name. Where a kind of copy is about as coherent, what it
        kept of the model or its architecture explains the finding, and nothing is SUPPORTED.
    """
    trained = mean_coherence(_matrix(features), sets)
    estimate = learned_contrast(trained, [mean_coherence(_matrix(copy), sets) for copy in untrained], rng)
    shown, cautions = {}, []
    for name, copies in controls.items():
        if copies is None:
            continue
        label = name.replace("_", "-")
        effects = [mean_coherence(_matrix(copy), sets).effect for copy in copies]
        against = learned_contrast(trained, effects, rng, normal=True)
        shown[label] = {
            "mean": float(np.mean(effects)),
            "copies": effects,
            "difference": against.effect,
            "p": against.p,
        }
        if against.p is not None and against.p > LEVEL:
            cautions.append(f"{label} copies show as much: D = {np.mean(effects):.2f}, trained {trained.effect:.2f}")
    return replace(extended(estimate, {"controls": shown}), caution="; ".join(cautions) or None)


def _similarities(features: Mapping[str, Any]) -> dict[str, tuple[Labelled, Labelled]]:
    """Return cosines and norms of each model's features, over the KDs that all of them have."""
    given = {role: rows(array, role, ndim=2) for role, array in features.items()}
    names, _ = common(given)
    return {role: _cosines(Labelled(array.take(names), names)) for role, array in given.items()}


def _cosines(array: Labelled) -> tuple[Labelled, Labelled]:
    """Return cosines (n, n) and norms (n,) of rows.

    Raises
    ------
    EvidenceMissingError
        If a row is 0, and has no direction.
    """
    norms = np.linalg.norm(array.values, axis=1)
    if not (norms > 0).all():
        zero = [name for name, norm in zip(array.names, norms, strict=True) if not norm > 0]
        raise EvidenceMissingError(f"features that are 0: {', '.join(zero[:5])}", "rows with a direction")
    unit = array.values / norms[:, None]
    return Labelled(unit @ unit.T, array.names), Labelled(norms, array.names)


def _matrix(array: Any) -> Labelled:
    return _cosines(rows(array, "features", ndim=2))[0]


def _coherence(
    S: Labelled, norms: Labelled, members: Sequence[str], rng: np.random.Generator, permutations: int
) -> Estimate:
    found = locate(members, S.names, LEAST_MEMBERS)
    covariates = {"row-mean similarity": hubs.row_means(S.values), "log norm": np.log(norms.values)}
    return coherence_of(S, found, covariates, rng, permutations, "greater")


def _standardised(estimate: Estimate) -> Estimate:
    """Return a coherence in units of the sd of its first null, from that null's mean."""
    mean, sd = estimate.nulls[0].mean, estimate.nulls[0].sd

    def z(effect: float) -> float:
        return (effect - mean) / sd

    def interval(which: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if which is None else (z(which[0]), z(which[1]))

    return replace(
        estimate,
        effect=z(estimate.effect),
        ci=interval(estimate.ci),
        ci90=interval(estimate.ci90),
        mde=None if estimate.mde is None else estimate.mde / sd,
        nulls=tuple(_rescaled(null, mean, sd) for null in estimate.nulls),
        diagnostics={**estimate.diagnostics, "D": estimate.effect},
        replicates={name: z(without) for name, without in estimate.replicates.items()},
    )


def _rescaled(null: Null, mean: float, sd: float) -> Null:
    samples = None if null.samples is None else (null.samples - mean) / sd
    return replace(null, mean=(null.mean - mean) / sd, sd=null.sd / sd, samples=samples)


def _excess(S: Any, members: Sequence[str]) -> float:
    """Return D of a set in a similarity matrix."""
    array = rows(S, "similarity", ndim=2)
    index = locate(members, array.names, LEAST_MEMBERS).index
    within = array.values[np.ix_(index, index)]
    return moments.mean_off_diagonal(within) - moments.mean_off_diagonal(array.values)


def _brief(array: Labelled, members: Sequence[str]) -> dict[str, Any]:
    """Return D of a set, its interval by the member jackknife, z against random sets in closed form, and k."""
    S = _cosines(array)[0]
    found = locate(members, S.names, LEAST_MEMBERS)
    k = len(found.index)
    within = S.values[np.ix_(found.index, found.index)]
    mean, sd = moments.random_set_moments(S.values, k)
    effect = moments.mean_off_diagonal(within) - mean
    ci, _ = intervals.t_intervals(effect, intervals.jackknife_se(moments.leave_one_out(within)), k - 1)
    return {"D": effect, "ci": ci, "z": effect / sd if sd > 0 else None, "k": k}


def _sensitivity(
    features: Mapping[str, Any],
    raw: Mapping[str, Any] | None,
    layer: Mapping[str, Any] | None,
    members: Sequence[str],
    clean: Sequence[str] | None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return D by model and variant of the space, and a flag for each variant that decides elevation otherwise."""
    shown: dict[str, Any] = {}
    flags: list[str] = []
    for role, array in features.items():
        primary = rows(array, role, ndim=2)
        variants = {"standardised": Labelled(_standard(primary.values), primary.names)}
        if raw is not None and role in raw:
            bare = rows(raw[role], role, ndim=2)
            variants |= {"raw": bare, "log1p": Labelled(_log_centred(bare, primary), primary.names)}
        if layer is not None and role in layer:
            variants["activations"] = rows(layer[role], role, ndim=2)
        found = {"primary": _brief(primary, members)}
        found |= {name: _brief(variant, members) for name, variant in variants.items()}
        if clean is not None and set(clean) != set(members):
            found["cleaned set"] = _brief(primary, clean)
        shown[role] = found
        for name, one in found.items():
            if (one["ci"][0] > 0) is not (found["primary"]["ci"][0] > 0):
                low, high = one["ci"]
                flags.append(f"{role}: decided otherwise by {name}: D = {one['D']:.2f} [{low:.2f}, {high:.2f}]")
    return shown, tuple(flags)


def _standard(values: FloatArray) -> FloatArray:
    """Return features over their sd over KDs; constant ones are left out."""
    sd = values.std(axis=0)
    varying = sd > 1e-12 * max(float(np.abs(values).max()), 1e-300)
    standard: FloatArray = values[:, varying] / sd[varying]
    return standard


def _log_centred(raw: Labelled, centred: Labelled) -> FloatArray:
    """Return sign(x) log(1 + |x|) of raw features minus that of the control, which is what centring took off."""
    bare = raw.take(centred.names)
    control = np.median(bare - centred.values, axis=0)
    return _log1p(bare) - _log1p(control)


def _log1p(x: FloatArray) -> FloatArray:
    return np.sign(x) * np.log1p(np.abs(x))


def _controls(
    features: Mapping[str, Any],
    layer: Mapping[str, Any] | None,
    members: Sequence[str],
    controls: Mapping[str, Sequence[Any] | None],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return D of copies of the first model beside that of the model itself, in activations and over the same KDs."""
    copies = {
        name: ([_matrix(copy) for copy in found],)
        for name, found in controls.items()
        if found is not None and len(set(rows(found[0], name).names) & set(members)) >= LEAST_MEMBERS
    }
    trained = _matrix((layer or features)[next(iter(features))])
    return beside((trained,), copies, lambda S: _excess(S, members), "D")


def _as_published(raw: Mapping[str, Any], members: Sequence[str], rng: np.random.Generator) -> dict[str, Any]:
    """Return the published tests by model: a draw of random sets without + 1, and a rank-sum test over pairs."""
    shown = {}
    for role, array in raw.items():
        S = _matrix(array)
        index = locate(members, S.names, LEAST_MEMBERS).index
        shown[role] = {
            "nb01_set_draw_without_plus_one": published.set_draw_without_plus_one(S.values, index, rng.spawn(1)[0]),
            "nb01_mann_whitney_over_pairs": published.mann_whitney_over_pairs(S.values, index),
        }
    return shown
