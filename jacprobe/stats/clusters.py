"""Rule D: are knockdowns of one cluster more alike than those of different clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import hubs, intervals, nulls, published
from jacprobe.stats.labels import categories, common, square
from jacprobe.stats.matrices import log_norms_of
from jacprobe.stats.relabelling import Scheme, describe, scheme_for
from jacprobe.stats.semipartial import double_semipartial

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray, IntArray

LEAST_NODES = 10


@dataclass(frozen=True)
class _Means:
    """Mean similarity of same- and different-cluster pairs, on all nodes and without each, shapes () and (n,)."""

    same: float
    different: float
    same_without: FloatArray
    different_without: FloatArray


def cluster_contrast(
    similarity: Any,
    labels: Any,
    rng: np.random.Generator,
    norms: Any = None,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
    scheme: Scheme | None = None,
) -> Estimate:
    """Return the mean similarity of same-cluster pairs minus that of different-cluster pairs.

    Two nulls, the larger p judged: cluster labels relabelled over knockdowns (KDs), and the same beyond node magnitude
    (double semi-partialling on row-mean similarity and log norm). The interval is the delete-one-KD jackknife. Clusters
    cut on the same responses re-test these responses: cut them on one half of the control cells, test on the other.

    Parameters
    ----------
    similarity
        Similarities, control left out, shape (n, n).
    labels
        Cluster of each KD, matched by name.
    rng
        Draws the relabellings.
    norms
        Raw norms of the KDs' vectors, shape (n,).
    permutations, alternative, scheme
        As in `matrix_correlation`.

    Returns
    -------
    Estimate
        Cliff's delta, and the published ratio with an interval on its log where both means are more than three standard
        errors from 0 (elsewhere a ratio says nothing), stand in the diagnostics.

    Raises
    ------
    InputError
        If no two KDs share a cluster, or the inputs do not fit.
    """
    nulls.check_draws(permutations)
    S, clusters = square(similarity), categories(labels)
    names = tuple(name for name in S.names if name in set(clusters.names))
    if len(names) < 4:
        raise InputError(f"{len(names)} KDs with a cluster", "at least 4", where="labels")
    values, codes = S.submatrix(names), clusters.take(names)
    n, means = len(names), _means(values, codes)
    effect = means.same - means.different
    without = means.same_without - means.different_without
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)

    same, chosen = _indicator(codes), scheme_for(n, scheme)
    plain = double_semipartial(same, values, hubs.design([], (), n), rng, permutations, chosen)
    # At fixed cluster sizes the difference of means is the correlation times one constant.
    scale = effect / plain.r if plain.r else 0.0
    primary = nulls.from_draws(
        f"cluster labels over KDs, {describe(chosen)}", effect, scale * plain.samples, alternative
    )
    magnitude = [hubs.row_means(values), *([] if norms is None else [log_norms_of(norms, names)])]
    beyond = double_semipartial(same, values, hubs.design(magnitude, (), n), rng, permutations, chosen)
    hub_null = nulls.from_draws(
        f"cluster labels beyond node magnitude (DSP, partial correlation), {describe(chosen)}",
        beyond.r,
        beyond.samples,
        alternative,
    )
    inside = np.triu(same, 1) > 0
    outside = np.triu(1 - same, 1) > 0
    u = float(stats.mannwhitneyu(values[inside], values[outside], method="asymptotic").statistic)
    as_run = published.signed_rank_of_unpaired(values, codes, rng.spawn(1)[0])
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        max(primary.p, hub_null.p),
        alternative,
        (primary, hub_null),
        intervals.minimum_detectable(max(se, primary.sd), n - 1, alternative),
        LEAST_NODES,
        LEAST_NODES,
        dropped=tuple(sorted(set(S.names) ^ set(clusters.names))),
        as_published={"nb05_signed_rank_of_unpaired": as_run},
        replicates=intervals.named(names, without),
        diagnostics={
            "same": means.same,
            "different": means.different,
            "cliffs_delta": 2 * u / (int(inside.sum()) * int(outside.sum())) - 1,
            "clusters": len(np.unique(codes)),
            "jackknife_se": se,
            "leave_one_out": [float(without.min()), float(without.max())],
            **_ratio(means, n),
        },
    )


def cluster_contrast_difference(
    a: Any,
    labels_a: Any,
    b: Any,
    labels_b: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return (same - different) in A minus that in B, each on its own clusters and over its own sd of similarities.

    Paired delete-one-KD jackknife over the KDs that all four inputs share, Student's t(n - 1).

    Parameters
    ----------
    a, b
        Similarities, each (n, n), matched by name.
    labels_a, labels_b
        Clusters of each.
    rng
        Not used.
    alternative
        The side of p.

    Raises
    ------
    InputError
        If no two KDs share a cluster, or the inputs do not fit.
    """
    A, B = square(a, "a"), square(b, "b")
    cut_a, cut_b = categories(labels_a, "labels_a"), categories(labels_b, "labels_b")
    shared, lacking = common({"a": A, "b": B})
    names = tuple(name for name in shared if name in set(cut_a.names) & set(cut_b.names))
    scaled = []
    for matrix, cut in ((A, cut_a), (B, cut_b)):
        values, codes = matrix.submatrix(names), cut.take(names)
        means, sd = _means(values, codes), float(values[np.triu_indices(len(names), 1)].std())
        scaled.append(((means.same - means.different) / sd, (means.same_without - means.different_without) / sd))
    n = len(names)
    effect = scaled[0][0] - scaled[1][0]
    without = scaled[0][1] - scaled[1][1]
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    p = intervals.student_p(effect, se, n - 1, alternative)
    null = Null("no difference: Student's t of the paired delete-one-KD jackknife", p, 0.0, se, 0, 0.0)
    mde = intervals.minimum_detectable(se, n - 1, alternative)
    estimate = Estimate(effect, n, ci, ci90, p, alternative, (null,), mde, LEAST_NODES, LEAST_NODES, dropped=lacking)
    shown = {"a": scaled[0][0], "b": scaled[1][0]}
    return replace(estimate, diagnostics=shown, replicates=intervals.named(names, without))


def _indicator(codes: IntArray) -> FloatArray:
    same = (codes[:, None] == codes[None, :]).astype(np.float64)
    np.fill_diagonal(same, 0.0)
    return same


def _means(S: FloatArray, codes: IntArray) -> _Means:
    bare, same = hubs.without_diagonal(S), _indicator(codes)
    inside, row_inside = same * bare, same.sum(axis=1)
    sums, all_sums, n = inside.sum(axis=1), bare.sum(axis=1), len(S)
    pairs_in, pairs = row_inside.sum() / 2, n * (n - 1) / 2
    total_in, total = sums.sum() / 2, all_sums.sum() / 2
    count_in = pairs_in - row_inside
    count_out = (pairs - (n - 1)) - count_in
    if count_in.min() < 1 or count_out.min() < 1:
        raise InputError("clusters with too few pairs to leave one KD out", "two same- and two different-cluster pairs")
    in_without = total_in - sums
    return _Means(
        float(total_in / pairs_in),
        float((total - total_in) / (pairs - pairs_in)),
        in_without / count_in,
        (total - all_sums - in_without) / count_out,
    )


def _ratio(means: _Means, n: int) -> dict[str, Any]:
    se_same, se_different = (intervals.jackknife_se(w) for w in (means.same_without, means.different_without))
    out: dict[str, Any] = {"ratio": means.same / means.different if means.different else None, "ratio_ci": None}
    if means.same > 3 * se_same and means.different > 3 * se_different and (means.different_without > 0).all():
        if (means.same_without <= 0).any():
            return out
        log_ratio = float(np.log(means.same / means.different))
        se = intervals.jackknife_se(np.log(means.same_without / means.different_without))
        out["ratio_ci"] = [float(np.exp(end)) for end in intervals.t_intervals(log_ratio, se, n - 1)[0]]
    return out
