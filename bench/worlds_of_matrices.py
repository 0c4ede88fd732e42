"""Rules A to D in the worlds: sets, pairs of matrices and clusters of knockdowns."""

from __future__ import annotations

import numpy as np

from bench.worlds import DRAWS, Array, Draw, Rng, cosines, direction, vectors
from jacprobe import stats
from jacprobe.stats import published


def coherence(rng: Rng, *, world: str, n: int, k: int, biased: bool, shift: float = 0.0) -> Draw:
    """Rule A: a set drawn at random, or (`biased`) in favour of nodes that stick out; `shift` plants a coherence."""
    X, norm, standing = vectors(rng, world, n)
    chance = standing**2 if biased else np.ones(n)
    members = rng.choice(n, k, replace=False, p=chance / chance.sum())
    X[members] += shift * direction(rng, X.shape[1])
    S = cosines(X)
    estimate = stats.set_coherence(S, members, rng, norm, permutations=DRAWS)
    naive = {
        "naive pairs": estimate.as_published["nb02_rank_sum_over_pairs"]["p"],
        "naive MWU": published.mann_whitney_over_pairs(S, members)["p"],
    }
    return Draw(estimate, None if biased or shift else 0.0, naive)


def coherence_difference(rng: Rng, *, world: str, n: int, k: int) -> Draw:
    """Rule B: one structure and one set in two models that differ by their noise."""
    members = rng.choice(n, k, replace=False)
    structure, norm, _ = vectors(rng, world, n, noise=0.0)
    structure[members] += 0.5 * direction(rng, structure.shape[1])
    A, B = (cosines(structure + rng.normal(size=structure.shape)) for _ in range(2))
    estimate = stats.set_coherence_difference(A, B, members, rng, (norm, norm), permutations=DRAWS)
    return Draw(estimate, 0.0)


def matrices(rng: Rng, world: str, n: int, shared: float = 0.0) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return two similarity matrices and their norms, unrelated but for what the world shares, and for `shared`."""
    own = {"weak magnitude": "iid", "strong magnitude": "iid", "outliers": "iid"}.get(world, world)
    X, norm_x, _ = vectors(rng, own, n)
    Y, norm_y, _ = vectors(rng, own, n)
    A, B = cosines(X), cosines(Y)
    if world in ("weak magnitude", "strong magnitude"):
        size = 0.1 if world == "weak magnitude" else 0.4
        size_of = rng.normal(size=n)
        for S in (A, B):
            S += size * (np.add.outer(size_of, size_of) + np.multiply.outer(size_of, size_of)) / 2
        norm_x = norm_y = np.exp(size_of)
    if world == "outliers":
        odd, crowd = rng.choice(n, 2, replace=False), rng.random(n) < 0.5
        for S in (A, B):
            for node in odd:
                S[node, crowd] += 0.5
                S[crowd, node] += 0.5
    if shared:
        common = cosines(rng.normal(size=(n, 30)))
        A, B = (np.sqrt(1 - shared) * S + np.sqrt(shared) * common for S in (A, B))
    return A, B, (norm_x, norm_y)


def correlation(rng: Rng, *, world: str, n: int, shared: float = 0.0, method: str = "pearson") -> Draw:
    """Rule C: two matrices that share nothing, or a weak common structure."""
    A, B, norms = matrices(rng, world, n, shared)
    estimate = stats.matrix_correlation(A, B, rng, norms, method, DRAWS)  # pyright: ignore[reportArgumentType]
    naive = estimate.as_published["naive_correlation_over_pairs"]
    known = 0.0 if world in ("iid", "hubs", "clusters") and not shared else None
    one_sided = naive["pearson_p"] / 2 if naive["pearson_r"] > 0 else 1.0
    return Draw(
        estimate, known, {"naive Pearson": one_sided, "any one of four": min(estimate.diagnostics["p"].values())}
    )


def correlation_difference(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule C, paired: two pairs of matrices that correlate equally."""
    A, B, _ = matrices(rng, world, n, 0.3)
    A2, B2, _ = matrices(rng, world, n, 0.3)
    return Draw(stats.matrix_correlation_difference(A, B, A2, B2, rng), 0.0)


def cluster(rng: Rng, *, world: str, n: int, shift: float = 0.0) -> Draw:
    """Rule D: clusters that have nothing to do with the similarities, or raise them by `shift`."""
    X, norm, _ = vectors(rng, world, n)
    labels = rng.integers(0, 8, n)
    S = cosines(X) + shift * (labels[:, None] == labels)
    estimate = stats.cluster_contrast(S, labels, rng, norm, permutations=DRAWS)
    return Draw(
        estimate, shift, {"naive signed-rank": estimate.as_published["nb05_signed_rank_of_unpaired"].get("p", 1.0)}
    )


def cluster_difference(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule D, paired: two matrices of one kind, the clusters of neither of which have anything to do with it."""
    A, B = (cosines(vectors(rng, world, n)[0]) for _ in range(2))
    cut_a, cut_b = rng.integers(0, 8, (2, n))
    return Draw(stats.cluster_contrast_difference(A, cut_a, B, cut_b, rng), 0.0)
