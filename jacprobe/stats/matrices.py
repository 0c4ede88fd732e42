"""Rule C: do two similarity matrices of the same knockdowns agree, beyond their hubs and their magnitudes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import hubs, intervals, nulls, published
from jacprobe.stats.correlations import with_and_without_nodes
from jacprobe.stats.labels import Labelled, common, require_one_of, rows, square
from jacprobe.stats.relabelling import Scheme, describe, scheme_for
from jacprobe.stats.semipartial import double_semipartial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray

Method = Literal["pearson", "spearman"]
Scale = Literal["raw", "ranks"]

LEAST_NODES = 10


def matrix_correlation(
    a: Any,
    b: Any,
    rng: np.random.Generator,
    norms: tuple[Any, Any] | None = None,
    method: Method = "pearson",
    permutations: int = 9999,
    *,
    alternative: Alternative = "greater",
    given: Sequence[Any] = (),
    scales: tuple[Scale, ...] = ("raw", "ranks"),
    scheme: Scheme | None = None,
    ceiling: float | None = None,
) -> Estimate:
    """Return the correlation of two similarity matrices over the pairs of knockdowns (KDs).

    Four p, of which the largest is judged (intersection-union): against relabelled KDs, and against relabelled KDs with
    node magnitude partialled out (MRQAP by double semi-partialling, covariates z_i + z_j and z_i z_j for the z-scored
    node mean similarity of both matrices and the log norms of both), each on raw values and on ranks. `method` picks
    the effect and its interval only. The interval is the delete-one-KD jackknife with Student's t(n - 1).

    Parameters
    ----------
    a, b
        Similarities, control left out, each (n, n); matched by name, KDs of one alone are dropped and named.
    rng
        Draws the relabellings of `a`.
    norms
        Raw norms of the KDs' vectors behind `a` and behind `b`, each (n,).
    method
        "pearson" or "spearman" (ranked once).
    permutations
        Draws B of each null.
    alternative
        The side of p.
    given
        Further matrices to partial out everywhere: the effect is then a partial correlation.
    scales
        Which of raw values and ranks the p are taken over; both but for claims that judge them apart.
    scheme
        "independent" relabellings (compiled gather), "cyclic" ones (FFT), or by default the first up to 600 KDs.
    ceiling
        Highest r that noise lets through (`noise_ceiling`); r / ceiling is then reported.

    Returns
    -------
    Estimate
        Primary null: relabelled KDs on the scale of `method`. The four p stand in `diagnostics["p"]`.
        `caution` is set where one KD flips the sign of a significant r or moves it by more than half.

    Raises
    ------
    InputError
        If a matrix is no similarity matrix, fewer than four KDs are shared, or `scales` lacks the scale of `method`.
    """
    nulls.check_draws(permutations)
    require_one_of(method, get_args(Method), "method")
    shown: Scale = "raw" if method == "pearson" else "ranks"
    if shown not in scales:
        raise InputError(f"method {method!r} without {shown!r} among the scales", "its own scale", where="scales")
    sides = {"a": square(a, "a", 4), "b": square(b, "b", 4)}
    sides |= {f"given[{g}]": square(matrix, f"given[{g}]", 4) for g, matrix in enumerate(given)}
    names, lacking = common(sides, 4)
    A, B, *rest = (side.submatrix(names) for side in sides.values())
    log_norms = [] if norms is None else [log_norms_of(side, names) for side in norms]
    n = len(names)
    chosen = scheme_for(n, scheme)

    per_scale: dict[Scale, tuple[FloatArray, ...]] = {"raw": (A, B, *rest)}
    if "ranks" in scales:
        per_scale["ranks"] = tuple(rank_matrix(M) for M in (A, B, *rest))
    found: dict[str, Null] = {}
    for scale in sorted(set(scales), key=lambda scale: scale != shown):
        x, y, *z = per_scale[scale]
        for label, null in _nulls(x, y, z, log_norms, rng, permutations, chosen, alternative, scale).items():
            found[f"{label}, {scale}"] = null

    replicates = {scale: with_and_without_nodes(x, y, z) for scale, (x, y, *z) in per_scale.items()}
    effect, without = replicates[shown]
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    p = max(null.p for null in found.values())
    ordered = tuple(found.values())
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        alternative,
        ordered,
        intervals.minimum_detectable(max(se, ordered[0].sd), n - 1, alternative),
        LEAST_NODES,
        LEAST_NODES,
        caution=_caution(effect, without, names) if p <= 0.05 else None,
        dropped=lacking,
        as_published={"naive_correlation_over_pairs": published.naive_correlation_over_pairs(A, B)},
        diagnostics={
            "p": {label: null.p for label, null in found.items()},
            "r": {"pearson" if scale == "raw" else "spearman": r for scale, (r, _) in replicates.items()},
            "jackknife_se": se,
            "leave_one_out": [float(without.min()), float(without.max())],
            "most_influential": names[int(np.argmax(np.abs(without - effect)))],
            "scheme": chosen,
            "ceiling": ceiling,
            "r_over_ceiling": None if ceiling is None else effect / ceiling,
        },
        replicates=intervals.named(names, without),
    )


def matrix_correlation_difference(
    a1: Any,
    b1: Any,
    a2: Any,
    b2: Any,
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every measure takes rng, used or not
    *,
    method: Method = "pearson",
    second_method: Method | None = None,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return r(a1, b1) - r(a2, b2) over the KDs that all four matrices share.

    The interval is the paired delete-one-KD jackknife, p Student's t(n - 1) of the same: two correlations on one list
    of KDs are dependent, so that a pair "significant / not significant" is no difference.

    Parameters
    ----------
    a1, b1, a2, b2
        Similarities, each (n, n), matched by name; of one pair of matrices twice for Pearson minus Spearman.
    rng
        Not used.
    method, second_method
        Of the first correlation, and of the second where it is another.
    alternative
        The side of p.

    Raises
    ------
    InputError
        If a matrix is no similarity matrix, or fewer than four KDs are shared.
    """
    for name, value in (("method", method), ("second_method", second_method or method)):
        require_one_of(value, get_args(Method), name)
    sides = {
        name: square(matrix, name, 4) for name, matrix in zip(("a1", "b1", "a2", "b2"), (a1, b1, a2, b2), strict=True)
    }
    names, lacking = common(sides, 4)
    taken = [side.submatrix(names) for side in sides.values()]
    parts = []
    for x, y, how in ((*taken[:2], method), (*taken[2:], second_method or method)):
        pair = (rank_matrix(x), rank_matrix(y)) if how == "spearman" else (x, y)
        parts.append(with_and_without_nodes(*pair, ()))
    (r1, without1), (r2, without2) = parts
    return paired_jackknife(
        r1 - r2,
        without1 - without2,
        names,
        alternative,
        lacking,
        {"r1": r1, "r2": r2, "leave_one_out": [float((without1 - without2).min()), float((without1 - without2).max())]},
    )


def noise_ceiling(
    first: tuple[Any, Any],
    second: tuple[Any, Any],
    method: Method = "pearson",
    rng: np.random.Generator | None = None,  # noqa: ARG001 - every function of the rules takes rng, used or not
) -> float:
    """Return the highest correlation that the noise of two matrices lets through.

    sqrt(R_a R_b), each R the correlation of a matrix between disjoint halves of the control cells, stepped up to the
    whole by 2 r / (1 + r) (Spearman 1910; Brown 1910).

    Parameters
    ----------
    first, second
        The two halves of each matrix, each (n, n).
    method
        "pearson" or "spearman".
    rng
        Not used.

    Raises
    ------
    InputError
        If a matrix does not correlate with its other half: there is no ceiling then.
    """
    require_one_of(method, get_args(Method), "method")
    whole = []
    for where, halves in (("first", first), ("second", second)):
        pair = {
            name: square(half, f"{where}, {name} half") for name, half in zip(("one", "other"), halves, strict=True)
        }
        names, _ = common(pair)
        matrices = [half.submatrix(names) for half in pair.values()]
        if method == "spearman":
            matrices = [rank_matrix(matrix) for matrix in matrices]
        r, _ = with_and_without_nodes(matrices[0], matrices[1], ())
        if r <= 0:
            raise InputError(f"halves that correlate {r:.3g}", "a reliability above 0", where=f"noise_ceiling, {where}")
        whole.append(2 * r / (1 + r))
    return math.sqrt(whole[0] * whole[1])


def rank_matrix(S: FloatArray) -> FloatArray:
    """Return the matrix of average ranks over the pairs i < j, diagonal 0, shape (n, n)."""
    return hubs.as_matrix(stats.rankdata(S[np.triu_indices(len(S), 1)]), len(S))


def _nulls(
    x: FloatArray,
    y: FloatArray,
    given: list[FloatArray],
    log_norms: list[FloatArray],
    rng: np.random.Generator,
    permutations: int,
    scheme: Scheme,
    alternative: Alternative,
    scale: Scale,
) -> dict[str, Null]:
    n = len(x)
    beyond = f" given {len(given)} further matrices" if given else ""
    magnitude = [hubs.row_means(x), hubs.row_means(y), *log_norms]
    out = {}
    for label, nodes, name in (
        ("relabelled", [], f"{describe(scheme)} of the KDs of one matrix{beyond}, {scale}"),
        ("magnitude", magnitude, f"{describe(scheme)} of the KDs beyond node magnitude (DSP){beyond}, {scale}"),
    ):
        test = double_semipartial(x, y, hubs.design(nodes, given, n), rng, permutations, scheme)
        null = nulls.from_draws(name, test.r, test.samples, alternative)
        least = max(null.least_p, min(1.0, (2 if alternative == "two-sided" else 1) / math.factorial(min(n, 20))))
        out[label] = replace(null, p=max(null.p, least), least_p=least)
    return out


def paired_jackknife(
    effect: float,
    without: FloatArray,
    names: tuple[str, ...],
    alternative: Alternative,
    lacking: tuple[str, ...],
    diagnostics: dict[str, Any],
) -> Estimate:
    """Return the estimate of a difference from its delete-one-KD replicates, p Student's t(n - 1) of the same.

    Parameters
    ----------
    effect, without
        The difference on all KDs, and without each, shape (n,).
    names, lacking
        KDs used and left out.
    alternative
        The side of p.
    diagnostics
        Passed on.
    """
    n, se = len(names), intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    p = intervals.student_p(effect, se, n - 1, alternative)
    null = Null("no difference: Student's t of the paired delete-one-KD jackknife", p, 0.0, se, 0, 0.0)
    mde = intervals.minimum_detectable(se, n - 1, alternative)
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        p,
        alternative,
        (null,),
        mde,
        LEAST_NODES,
        LEAST_NODES,
        dropped=lacking,
        diagnostics=diagnostics,
        replicates=intervals.named(names, without),
    )


def _caution(effect: float, without: FloatArray, names: tuple[str, ...]) -> str | None:
    moved = np.abs(without - effect)
    worst = int(np.argmax(moved))
    if np.any(without * effect < 0) or moved[worst] > abs(effect) / 2:
        return f"hangs on one KD: r = {effect:.3g}, without {names[worst]} {without[worst]:.3g}"
    return None


def log_norms_of(norms: Any, names: tuple[str, ...]) -> FloatArray:
    """Return the logs of raw row norms, in the order of `names`."""
    given: Labelled = rows(norms, "norms", ndim=1)
    missing = sorted(set(names) - set(given.names))
    if missing or (given.values <= 0).any():
        what = f"no norm for {', '.join(missing[:5])}" if missing else "norms that are not positive"
        raise InputError(what, "one positive raw norm per knockdown", where="norms")
    return np.log(given.take(names))
