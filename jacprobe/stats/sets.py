"""Rules A and B: are a set's members more alike than knockdowns in general, and in one model more than in another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import hubs, intervals, moments, nulls, published
from jacprobe.stats.labels import Labelled, Members, common, locate, rows, square

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.stats.labels import FloatArray

LEAST_MEMBERS = 5
LEAST_MEMBERS_NULL = 10
# Three members leave two when one is deleted, the fewest that have a similarity.
_LEAST_COMPUTABLE = 3


def set_coherence(
    similarity: Any,
    members: Any,
    rng: np.random.Generator,
    norms: Any = None,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
    groups: Mapping[str, str] | None = None,
) -> Estimate:
    """Return how much more alike the members of a set are than knockdowns (KDs) in general.

    D = mean off-diagonal similarity of the k unique members minus that of all n KDs. Two nulls: random sets of k KDs;
    and sets matched on quantiles of row-mean similarity and log norm (deciles where n allows), where the regression on
    z_i + z_j and z_i z_j takes out what the cells leave unmatched (or any sets after that regression, where that is
    less favourable). p is the larger of the two. The interval is the delete-one-member jackknife with Student's
    t(k - 1).

    Parameters
    ----------
    similarity
        Similarities of all KDs, control left out, shape (n, n); a DataArray whose axes carry the KDs' names, or an
        array.
    members
        Names of the members (positions for a plain array), or an object with `members`. Unknown ones are dropped and
        named.
    rng
        Draws the nulls.
    norms
        Raw norms of the KDs' vectors, shape (n,), matched by name; without them only the row means are matched.
    permutations
        Draws B of each null.
    alternative
        The side of p.
    groups
        Complex of each member; members of one complex are then deleted together and the complex is the unit.

    Returns
    -------
    Estimate
        In units of the similarity; `n` is k (with `groups`, the number of complexes); the closed-form null mean and sd,
        the top pair's share of the members' similarity and the leave-one-out range stand in the diagnostics.

    Raises
    ------
    InputError
        If the matrix is not a similarity matrix, or the norms are not positive or of other KDs.
    EvidenceMissingError
        If fewer than three members are known.
    """
    S = square(similarity, "similarity")
    covariates = {"row-mean similarity": hubs.row_means(S.values)}
    if norms is not None:
        covariates["log norm"] = log_norms(norms, S.names)
    found = locate(members, S.names, _LEAST_COMPUTABLE)
    estimate = coherence_of(S, found, covariates, rng, permutations, alternative, groups)
    as_run = rng.spawn(1)[0]
    return replace(
        estimate,
        as_published={
            "nb01_set_draw_without_plus_one": published.set_draw_without_plus_one(S.values, found.index, as_run),
            "nb02_rank_sum_over_pairs": published.rank_sum_over_pairs(S.values, found.index, as_run),
        },
    )


def set_coherence_difference(
    a: Any,
    b: Any,
    members: Any,
    rng: np.random.Generator,
    norms: tuple[Any, Any] | None = None,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
    groups: Mapping[str, str] | None = None,
) -> Estimate:
    """Return how much more coherent a set is in model A than in model B: D_A - D_B over the KDs that both have.

    D is linear in the similarities, so the interaction is the coherence of A - B: the same members on both sides, one
    paired member jackknife, random sets and sets matched on the difference of row means (and of log norms).

    Parameters
    ----------
    a, b
        Similarities of the KDs in each model; matched by name.
    members, rng, permutations, alternative, groups
        As in `set_coherence`.
    norms
        Raw norms in A and in B.

    Returns
    -------
    Estimate
        The coherence in A and in B are its parts "a" and "b".

    Raises
    ------
    InputError, EvidenceMissingError
        As in `set_coherence`.
    """
    A, B = square(a, "a"), square(b, "b")
    names, lacking = common({"a": A, "b": B})
    difference = Labelled(A.submatrix(names) - B.submatrix(names), names)
    found = locate(members, names, _LEAST_COMPUTABLE)
    covariates = {"row-mean similarity": hubs.row_means(difference.values)}
    if norms is not None:
        ratio = [log_norms(side, names) for side in norms]
        covariates["log norm"] = ratio[0] - ratio[1]
    estimate = coherence_of(difference, found, covariates, rng, permutations, alternative, groups)
    side_norms = norms or (None, None)
    parts = {}
    for side, matrix, norm in (("a", A, side_norms[0]), ("b", B, side_norms[1])):
        alone = Labelled(matrix.submatrix(names), names)
        magnitude = {"row-mean similarity": hubs.row_means(alone.values)}
        if norm is not None:
            magnitude["log norm"] = log_norms(norm, names)
        parts[side] = coherence_of(alone, found, magnitude, rng, permutations, alternative, groups)
    flags = (f"{len(lacking)} KDs are in one matrix only",) if lacking else ()
    return replace(estimate, flags=estimate.flags + flags, parts=parts)


def coherence_of(
    S: Labelled,
    found: Members,
    covariates: Mapping[str, FloatArray],
    rng: np.random.Generator,
    permutations: int,
    alternative: Alternative,
    groups: Mapping[str, str] | None = None,
) -> Estimate:
    """Return the coherence of located members in any symmetric matrix.

    Null: random sets; and, where there are covariates by name, sets matched on these.
    """
    nulls.check_draws(permutations)
    n, k = len(S.names), len(found.index)
    if k == n:
        raise InputError(f"all {n} knockdowns as the set", "a proper subset", where="members")
    within = S.values[np.ix_(found.index, found.index)]
    background = moments.mean_off_diagonal(S.values)
    effect = moments.mean_off_diagonal(within) - background
    without = moments.leave_one_out(within) - background
    se, units = _standard_error(effect, within, without, found, background, groups)

    random_sets = nulls.random_subsets(rng, n, k, permutations)
    draws = moments.mean_within(S.values, random_sets) - background
    drawn = [nulls.from_draws(f"random sets of {k} KDs", effect, draws, alternative)]
    if covariates:
        drawn.append(_matched(S.values, found, covariates, effect, rng, permutations, alternative))
    exact_mean, exact_sd = moments.random_set_moments(S.values, k)
    ci, ci90 = intervals.t_intervals(effect, se, units - 1)
    spread = max(se, *(null.sd for null in drawn))
    upper = np.abs(within[np.triu_indices(k, 1)])
    return Estimate(
        effect,
        units,
        ci,
        ci90,
        max(null.p for null in drawn),
        alternative,
        tuple(drawn),
        intervals.minimum_detectable(spread, units - 1, alternative),
        LEAST_MEMBERS,
        LEAST_MEMBERS_NULL,
        dropped=found.unknown,
        flags=found.flags,
        diagnostics={
            "members": list(found.names),
            "duplicates": list(found.duplicates),
            "background": background,
            "closed_form_null_mean": exact_mean - background,
            "closed_form_null_sd": exact_sd,
            "z_scores": [(effect - null.mean) / null.sd if null.sd > 0 else None for null in drawn],
            "jackknife_se": se,
            "top_pair_share": float(upper.max() / upper.sum()) if upper.any() else None,
            "leave_one_out": [float(without.min()), float(without.max())],
        },
        replicates=intervals.named(found.names, without) if groups is None else {},
    )


def _matched(
    S: FloatArray,
    found: Members,
    covariates: Mapping[str, FloatArray],
    effect: float,
    rng: np.random.Generator,
    permutations: int,
    alternative: Alternative,
) -> Null:
    """Draw sets from the members' own cells of the covariates, row-mean similarity and log norm.

    What the cells leave unmatched is taken out by regression (Abadie & Imbens 2011): each set keeps its own residual
    and is given what magnitude explains of the members' similarity. Hubs that fill their cells are mostly matched to
    themselves, which is no test: sets of any KDs are drawn as well, and the less favourable null is returned.
    """
    n, k = S.shape[0], len(found.index)
    # At most deciles, with about twenty KDs a cell: with fewer, a set is matched to itself.
    bins = int(np.clip(round((n / 20) ** (1 / len(covariates))), 2, 10))
    columns, what = list(covariates.values()), " and ".join(covariates)
    left = hubs.design(columns, (), n).residual(hubs.without_diagonal(S))
    explained = effect - moments.mean_off_diagonal(left[np.ix_(found.index, found.index)])
    strata = nulls.quantile_strata(columns, bins)
    drawn = {
        f"random sets of {k} KDs matched on {what} ({bins} quantile bins, rest by regression)": nulls.matched_subsets(
            rng, strata, found.index, permutations
        ),
        f"random sets of {k} KDs, {what} taken out by regression": nulls.random_subsets(rng, n, k, permutations),
    }
    both = [
        nulls.from_draws(name, effect, moments.mean_within(left, sets) + explained, alternative)
        for name, sets in drawn.items()
    ]
    return max(both, key=lambda null: null.p)


def _standard_error(
    effect: float,
    within: FloatArray,
    without: FloatArray,
    found: Members,
    background: float,
    groups: Mapping[str, str] | None,
) -> tuple[float, int]:
    if groups is None:
        return intervals.jackknife_se(without), len(without)
    label = np.array([groups.get(name, name) for name in found.names])
    labels, sizes = np.unique(label, return_counts=True)
    if len(labels) < _LEAST_COMPUTABLE or len(label) - sizes.max() < 2:
        raise InputError(f"{len(labels)} complexes", "three, any two of them with two members", where="groups")
    kept = [np.flatnonzero(label != one) for one in labels]
    replicates = np.array([moments.mean_off_diagonal(within[np.ix_(rest, rest)]) - background for rest in kept])
    return intervals.grouped_jackknife_se(effect, replicates, sizes), len(labels)


def log_norms(norms: Any, names: Sequence[str]) -> FloatArray:
    """Return the logs of raw norms, in the order of `names`.

    Raises
    ------
    InputError
        If a name has no norm, or one that is not positive.
    """
    given = rows(norms, "norms", ndim=1)
    missing = [name for name in names if name not in set(given.names)]
    if missing or (given.values <= 0).any():
        what = f"no norm for {', '.join(missing[:5])}" if missing else "norms that are not positive"
        raise InputError(what, "one positive raw norm per knockdown", where="norms")
    return np.log(given.take(names))
