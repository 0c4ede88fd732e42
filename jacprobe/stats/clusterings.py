"""Rule H: do two clusterings of the same knockdowns agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

from jacprobe.errors import InputError
from jacprobe.estimate import Alternative, Estimate, Null
from jacprobe.stats import intervals, nulls
from jacprobe.stats.labels import Categories, categories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.stats.labels import FloatArray, IntArray

Linkage = Literal["ward", "average", "ward-on-cosine"]

LEAST_KDS = 20
# Each half-sample gives one replicate; their sd is then known to 1 / sqrt(2 * 400) = 3.5 %.
HALVES = 400


def clustering_agreement(
    labels_a: Any,
    labels_b: Any,
    rng: np.random.Generator,
    *,
    permutations: int = 9999,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return the adjusted Rand index (ARI) of two clusterings.

    Null: cluster labels permuted over knockdowns (KDs). The interval takes its standard error from random halves of the
    KDs (delete-half jackknife, Shao & Wu 1989; the bootstrap's repeated KDs raise the ARI).

    Parameters
    ----------
    labels_a, labels_b
        Cluster of each KD, matched by name.
    rng
        Draws permutations and halves.
    permutations, alternative
        Draws B, and the side of p.

    Returns
    -------
    Estimate
        The adjusted mutual information stands in the diagnostics.

    Raises
    ------
    InputError
        If fewer than four KDs are shared or a clustering has one cluster.
    """
    nulls.check_draws(permutations)
    names, (a, b), lacking = matched(labels_a, labels_b)
    n, effect = len(names), adjusted_rand_index(a, b)
    shuffled = (adjusted_rand_index(a, rng.permutation(b)) for _ in range(permutations))
    null = nulls.from_draws("cluster labels over KDs", effect, np.fromiter(shuffled, float, permutations), alternative)
    se = float(np.std([adjusted_rand_index(a[h], b[h]) for h in halves(rng, n)], ddof=1))
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    return Estimate(
        effect,
        n,
        ci,
        ci90,
        null.p,
        alternative,
        (null,),
        intervals.minimum_detectable(max(se, null.sd), n - 1, alternative),
        LEAST_KDS,
        LEAST_KDS,
        dropped=lacking,
        diagnostics={
            "adjusted_mutual_information": float(adjusted_mutual_info_score(a, b)),
            "clusters": [len(np.unique(a)), len(np.unique(b))],
            "delete_half_se": se,
        },
    )


def clustering_agreement_difference(
    labels_a: Any,
    labels_b: Any,
    labels_c: Any,
    rng: np.random.Generator,
    *,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return ARI(a, b) - ARI(a, c) with a paired delete-half interval over the KDs that all three share.

    Parameters
    ----------
    labels_a, labels_b, labels_c
        Cluster of each KD, matched by name.
    rng
        Draws the halves.
    alternative
        The side of p (normal, from the same standard error).

    Raises
    ------
    InputError
        As in `clustering_agreement`.
    """
    names, (a, b, c), lacking = matched(labels_a, labels_b, labels_c)
    n = len(names)
    first, second = adjusted_rand_index(a, b), adjusted_rand_index(a, c)
    replicates = [adjusted_rand_index(a[h], b[h]) - adjusted_rand_index(a[h], c[h]) for h in halves(rng, n)]
    effect, se = first - second, float(np.std(replicates, ddof=1))
    ci, ci90 = intervals.t_intervals(effect, se, n - 1)
    p = intervals.student_p(effect, se, n - 1, alternative)
    null = Null("no difference: Student's t of the paired delete-half jackknife", p, 0.0, se, 0, 0.0)
    mde = intervals.minimum_detectable(se, n - 1, alternative)
    both = {"first": first, "second": second}
    return Estimate(
        effect, n, ci, ci90, p, alternative, (null,), mde, LEAST_KDS, LEAST_KDS, dropped=lacking, diagnostics=both
    )


def adjusted_rand_index(a: IntArray, b: IntArray) -> float:
    """Return the adjusted Rand index of two code vectors (Hubert & Arabie 1985); of two trivial partitions 1.

    (sum C(n_ij, 2) - E) / ((sum C(n_i, 2) + sum C(n_j, 2)) / 2 - E), E = sum C(n_i, 2) sum C(n_j, 2) / C(n, 2).
    """
    width = int(b.max()) + 1
    together = _pairs(np.bincount(a * width + b))
    of_a, of_b = _pairs(np.bincount(a)), _pairs(np.bincount(b))
    expected = of_a * of_b / math.comb(len(a), 2)
    most = (of_a + of_b) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def _pairs(counts: IntArray) -> float:
    return float((counts * (counts - 1)).sum()) / 2


def halves(rng: np.random.Generator, n: int) -> IntArray:
    """Return random halves of n knockdowns, shape (400, n // 2)."""
    return nulls.random_subsets(rng, n, n // 2, HALVES)


def matched(*labels: Any) -> tuple[tuple[str, ...], list[IntArray], tuple[str, ...]]:
    """Return the knockdowns that all clusterings share, the codes of each, and the knockdowns that some lack."""
    cuts: list[Categories] = [categories(one, f"labels[{i}]") for i, one in enumerate(labels)]
    shared = set(cuts[0].names).intersection(*(cut.names for cut in cuts))
    names = tuple(name for name in cuts[0].names if name in shared)
    if len(names) < 4:
        raise InputError(f"{len(names)} KDs in all clusterings", "at least 4", "they are matched by name", "labels")
    everything = {name for cut in cuts for name in cut.names}
    return names, [cut.take(names) for cut in cuts], tuple(sorted(everything - shared))


def ward_labels(X: FloatArray, clusters: int, *, method: Linkage = "ward") -> IntArray:
    """Return cluster codes 1 .. `clusters` of L2-normalised rows.

    Ward's criterion is Euclidean: on unit rows the squared distance is twice the cosine distance, so normalising first
    gives what "Ward on cosine" was meant to be.

    Parameters
    ----------
    X
        Responses, shape (n, genes).
    clusters
        How many to cut.
    method
        "ward"; or for comparison "average", on cosine distances, and "ward-on-cosine", which is Ward's update applied
        to cosine distances as if they were Euclidean: no criterion of Ward's, but what was published.

    Raises
    ------
    InputError
        If a row is 0 throughout, or there are fewer rows than clusters.
    """
    return cuts(X, (clusters,), method)[clusters]


def cuts(X: FloatArray, numbers: Sequence[int], method: Linkage = "ward") -> dict[int, IntArray]:
    """Return the cluster codes of one tree cut into several numbers of clusters; see `ward_labels`."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    if (lengths == 0).any() or len(X) < max(numbers):
        raise InputError(
            f"{int((lengths == 0).sum())} rows of zeros among {len(X)}", f"{max(numbers)} rows or more, none 0"
        )
    unit = X / lengths
    if method == "ward":
        tree = linkage(unit, "ward")
    else:
        # |u - v|^2 / 2 = 1 - u.v on unit rows: the cosine distance.
        tree = linkage(pdist(unit, "sqeuclidean") / 2, "average" if method == "average" else "ward")
    return {k: np.asarray(fcluster(tree, k, criterion="maxclust"), dtype=np.intp) for k in numbers}
