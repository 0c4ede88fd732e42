"""Rule G: do two models answer the same silenced gene in the same way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import intervals, nulls, published
from jacprobe.stats.labels import axis_names, common, require_one_of, rows
from jacprobe.stats.multiplicity import by
from jacprobe.stats.ranks import clopper_pearson

if TYPE_CHECKING:
    from jacprobe.stats.labels import FloatArray

Method = Literal["pearson", "spearman"]

LEAST_UNITS = 10


def profile_agreement(
    a: Any,
    b: Any,
    rng: np.random.Generator,
    *,
    method: Method = "spearman",
    beyond_mismatched: bool = False,
    threshold: float = 0.4,
    ceiling: float | None = None,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the mean over units of the correlation between their profiles in two models.

    Unit i's profile in A is correlated with unit i's in B. Null: the units of B reassigned at random, so that the
    outputs' shared variance stays. The interval is the jackknife over units, which carries the mismatched mean where it
    is taken off.

    Parameters
    ----------
    a, b
        Profiles, shape (unit, gene); DataArrays are matched by name on both axes.
    rng
        Draws the reassignments.
    method
        "spearman" or "pearson" over genes.
    beyond_mismatched
        Effect = matched mean minus the mean over mismatched pairs (gene i in A, j != i in B).
    threshold
        Units above it are counted, with the exact binomial bound of their share.
    ceiling
        Mean split-half reliability; effect / ceiling is then reported.
    permutations, alternative
        Draws B, and the side of p.

    Returns
    -------
    Estimate
        `n` counts units; per-unit correlations stand in the diagnostics.

    Raises
    ------
    InputError
        If fewer than three units or genes are shared, or a profile is constant.
    """
    nulls.check_draws(permutations)
    names, lacking, R, genes = _cross_correlations(a, b, method)
    n, matched = len(names), np.diagonal(R)
    total = float(R.sum() - matched.sum())
    mismatched = total / (n * (n - 1))
    effect = float(matched.mean()) - (mismatched if beyond_mismatched else 0.0)
    without = (matched.sum() - matched) / (n - 1)
    if beyond_mismatched:
        lost = R.sum(axis=0) + R.sum(axis=1) - 2 * matched
        without = without - (total - lost) / ((n - 1) * (n - 2))
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    assigned = rng.permuted(np.broadcast_to(np.arange(n), (permutations, n)), axis=1)
    shift = mismatched if beyond_mismatched else 0.0
    null = nulls.from_draws(
        "units of the second model reassigned", effect, R[np.arange(n), assigned].mean(axis=1) - shift, alternative
    )
    least = max(null.least_p, min(1.0, (2 if alternative == "two-sided" else 1) / math.factorial(min(n, 20))))
    null = replace(null, p=max(null.p, least), least_p=least)
    above = int(np.count_nonzero(matched > threshold))
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        null.p,
        alternative,
        (null,),
        intervals.minimum_detectable(max(se, null.sd), n - 1, alternative),
        LEAST_UNITS,
        LEAST_UNITS,
        dropped=lacking,
        as_published={"nb04_counts": published.share_of_negative(matched)},
        replicates=intervals.named(names, without),
        diagnostics={
            "per_unit": {name: float(r) for name, r in zip(names, matched, strict=True)},
            "median": float(np.median(matched)),
            "mismatched_mean": mismatched,
            "above_threshold": above,
            # One-sided 95 % is the upper end of the two-sided 90 % interval.
            "share_above_upper_bound": clopper_pearson(above, n, 0.90)[1],
            "genes": genes,
            "ceiling": ceiling,
            "effect_over_ceiling": None if ceiling is None else effect / ceiling,
        },
    )


def share_anticorrelated(
    a: Any,
    b: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    threshold: float = 0.4,
) -> Estimate:
    """Return the share of units whose profiles are anti-correlated: r < 0 and BY-adjusted p <= .05.

    Spearman's r per unit. As independent outputs count 1 + 1 / mean(r_ij^2) over mismatched units i != j, at most the
    genes: as many as would scatter unrelated profiles that widely. The estimate's p is the smallest adjusted one among
    r < 0: whether any unit is. The interval runs from the exact binomial bound of those shown to be anti-correlated up
    to that of those which the data do not keep from r <= -threshold (Fisher's z per unit): a test that could not have
    seen them leaves them possible.

    Parameters
    ----------
    a, b
        Profiles, shape (unit, gene).
    rng
        Not used.
    threshold
        Size of an anti-correlation of interest.

    Raises
    ------
    InputError
        As in `profile_agreement`.
    """
    names, lacking, R, genes = _cross_correlations(a, b, "spearman")
    n = len(names)
    r = np.clip(np.diagonal(R), -0.999999, 0.999999)
    scatter = (float(np.square(R).sum()) - float(np.square(np.diagonal(R)).sum())) / (n * (n - 1))
    effective = min(float(genes), 1 + 1 / max(scatter, 1e-12))
    df = max(effective - 2, 1.0)
    p = np.clip(2 * stats.t.sf(np.abs(r) * np.sqrt(df / (1 - r**2)), df), np.finfo(float).tiny, 1.0)
    adjusted = by(p.tolist())
    negative = (r < 0) & (adjusted <= 0.05)
    hits = int(negative.sum())
    ends = []
    for level in (0.95, 0.90):
        reach = float(stats.norm.ppf(0.5 + level / 2)) / math.sqrt(effective - 3) if effective > 3 else math.inf
        possible = int(np.count_nonzero(np.arctanh(r) - reach <= -math.atanh(threshold)))
        ends.append((clopper_pearson(hits, n, level)[0], clopper_pearson(max(hits, possible), n, level)[1], possible))
    (low, high, possible), (low90, high90, _) = ends
    return Estimate(
        hits / n,
        n,
        (low, high),
        (low90, high90),
        float(adjusted[r < 0].min(initial=1.0)),
        "greater",
        least_n=LEAST_UNITS,
        least_n_null=LEAST_UNITS,
        dropped=lacking,
        as_published={"nb04_counts": published.share_of_negative(r)},
        diagnostics={
            "anticorrelated": [name for name, one in zip(names, negative, strict=True) if one],
            "effective_outputs": effective,
            "negative": int(np.count_nonzero(r < 0)),
            f"not_kept_from_r_of_{-threshold:g}": possible,
        },
    )


def share_below(
    r: Any,
    threshold: float,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
) -> Estimate:
    """Return the share of units below a threshold, with the exact binomial interval over units.

    Parameters
    ----------
    r
        One number per unit, shape (n,).
    threshold
        What counts as below.
    rng
        Not used.

    Raises
    ------
    InputError
        If a value is not finite.
    """
    values = rows(r, "r", ndim=1).values
    n, hits = len(values), int(np.count_nonzero(values < threshold))
    ci, ci90 = (clopper_pearson(hits, n, level) for level in (0.95, 0.90))
    return Estimate(
        hits / n,
        n,
        ci,
        ci90,
        least_n=LEAST_UNITS,
        least_n_null=LEAST_UNITS,
        diagnostics={"threshold": threshold, "below": hits},
    )


def largest_agreement(draws: Any, rng: np.random.Generator | None = None, *, units: Any = None) -> Estimate:  # noqa: ARG001 - every measure takes rng, used or not
    """Return the largest of several units' correlations, each measured over disjoint control-cell draws.

    Per unit mean +- t(R - 1) s / sqrt(R); the interval runs from the largest lower to the largest upper bound, the
    upper ones widened to hold for all units at once (Bonferroni).

    Parameters
    ----------
    draws
        Correlations, shape (draw, unit).
    rng
        Not used.
    units
        Names of the units that the claim is about; all by default.

    Raises
    ------
    InputError
        If there are fewer than two draws.
    EvidenceMissingError
        If a unit is not there.
    """
    from jacprobe.stats.labels import locate

    table = rows(draws, "draws", ndim=2)
    names = axis_names(draws, 1)
    R = len(table.values)
    if R < 2:
        raise InputError(f"{R} draw", "at least two disjoint draws of control cells", where="draws")
    picked = np.arange(len(names)) if units is None else locate(units, names, len(list(units)), "units").index
    means = table.values[:, picked].mean(axis=0)
    se = table.values[:, picked].std(axis=0, ddof=1) / math.sqrt(R)
    m, best = len(picked), int(np.argmax(means))
    both = []
    for level in (0.95, 0.90):
        tail = (1 - level) / 2
        low = float((means - stats.t.ppf(1 - tail, R - 1) * se).max())
        high = float((means + stats.t.ppf(1 - tail / m, R - 1) * se).max())
        both.append((low, max(high, low)))
    largest = {"unit": names[int(picked[best])], "units": m, "draws": R}
    return Estimate(float(means[best]), m, both[0], both[1], diagnostics=largest)


def matched_correlations(a: Any, b: Any, method: Method = "pearson") -> tuple[tuple[str, ...], FloatArray]:
    """Return the shared units and the correlation over genes of each one's profile in `a` with its own in `b`."""
    names, _, R, _ = _cross_correlations(a, b, method)
    return names, np.diagonal(R).copy()


def matched_profiles(a: Any, b: Any, method: Method) -> tuple[tuple[str, ...], tuple[str, ...], FloatArray, FloatArray]:
    """Return shared units, units of one side only, and both sides' profiles over shared genes, each of length 1.

    Profiles, or their ranks, are centred: the product of two rows is their correlation.

    Raises
    ------
    InputError
        If fewer than three units or genes are shared, a profile is constant, or the method is unknown.
    """
    require_one_of(method, get_args(Method), "method")
    A, B = rows(a, "a", ndim=2), rows(b, "b", ndim=2)
    names, lacking = common({"a": A, "b": B})
    genes_a, genes_b = axis_names(a, 1), axis_names(b, 1)
    shared = [gene for gene in genes_a if gene in set(genes_b)]
    if len(shared) < 3:
        raise InputError(f"{len(shared)} genes in common", "at least 3", "profiles are matched by gene name", "a, b")
    standard = []
    for where, side, genes in (("a", A, genes_a), ("b", B, genes_b)):
        place = {gene: j for j, gene in enumerate(genes)}
        values = side.take(names)[:, [place[gene] for gene in shared]]
        if method == "spearman":
            values = stats.rankdata(values, axis=1)
        centred = values - values.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        if (length <= 1e-12 * max(float(np.abs(values).max()), 1e-300)).any():
            flat = [names[i] for i in np.flatnonzero(length <= 1e-12)]
            raise InputError(f"constant profiles: {', '.join(flat[:5])}", "profiles that vary over genes", where=where)
        standard.append(centred / length)
    return names, lacking, standard[0], standard[1]


def cross_correlations(a: Any, b: Any, method: Method = "spearman") -> tuple[FloatArray, FloatArray]:
    """Return the correlations of each shared unit in A with itself in B, and with every other unit in B, both flat."""
    _, _, R, _ = _cross_correlations(a, b, method)
    return np.diagonal(R).copy(), R[~np.eye(len(R), dtype=bool)]


def _cross_correlations(a: Any, b: Any, method: Method) -> tuple[tuple[str, ...], tuple[str, ...], FloatArray, int]:
    """Return shared units, units of one side only, correlations of all units of A with all of B, and the gene count."""
    names, lacking, x, y = matched_profiles(a, b, method)
    return names, lacking, x @ y.T, x.shape[1]
