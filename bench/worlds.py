"""Worlds with known truth, for every rule: independent noise, hubs, clusters, shared magnitude, shared outliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jacprobe import stats
from jacprobe.estimate import Estimate
from jacprobe.stats import published
from jacprobe.verdicts.criteria import Above, Below, Criterion, Reproduces

Array = NDArray[np.float64]
Rng = np.random.Generator

DRAWS = 199


@dataclass(frozen=True)
class Draw:
    """One simulated study: the estimate, the true effect where it is known, and p of tests that stand beside it."""

    estimate: Estimate
    truth: float | None = None
    naive: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One rule in one world.

    `kind` is "null" (SUPPORTED would be false), "power" (SUPPORTED would be right, and has to come), "reported" (right,
    but power is only reported) or "coverage" (only the interval).
    `interval` says whether the 95 % interval has the true effect to cover.
    """

    rule: str
    world: str
    n: int
    simulate: Callable[[np.random.Generator], Draw]
    criterion: Criterion
    kind: str = "null"
    interval: bool = True
    share: float = 1.0

    @property
    def id(self) -> str:
        """The case in one word."""
        return f"{self.rule}-{self.world}-{self.n}".replace(" ", "_")


def cosines(X: Array) -> Array:
    """Return the cosine matrix of the rows."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    S = X @ X.T
    return (S + S.T) / 2


def vectors(rng: Rng, world: str, n: int, d: int = 30, noise: float = 1.0) -> tuple[Array, Array, Array]:
    """Return n vectors, their raw norms, and how strongly each node sticks out of the crowd.

    "iid": nothing; "hubs": nodes load on one direction, log-normally; "magnitude": the more so the larger their norm;
    "clusters": eight clusters.
    """
    X, norm = noise * rng.normal(size=(n, d)), np.exp(rng.normal(scale=0.5, size=n))
    standing = rng.random(n)
    if world == "hubs":
        standing = np.exp(rng.normal(scale=0.7, size=n))
        X += 0.7 * standing[:, None] * rng.normal(size=d)
    elif world == "magnitude":
        standing = norm
        X += 0.8 * (1 + np.log(norm))[:, None] * rng.normal(size=d)
    elif world == "clusters":
        X += rng.normal(size=(8, d))[rng.integers(0, 8, n)]
    return X, norm, standing


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


def direction(rng: Rng, d: int) -> Array:
    """Return a random vector of length sqrt(d), as long as the noise of one node."""
    v = rng.normal(size=d)
    return np.sqrt(d) * v / np.linalg.norm(v)


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


def contrast(rng: Rng, *, world: str, n: int, k: int, biased: bool = False, shift: float = 0.0) -> Draw:
    """Rule E: one number per KD, symmetric or skewed, grown with magnitude where the set is `biased` to large ones."""
    size = np.exp(rng.normal(scale=0.5, size=n))
    values = rng.normal(size=n) if world == "iid" else np.exp(rng.normal(scale=0.7, size=n))
    chance = size**2 if biased else np.ones(n)
    members = rng.choice(n, k, replace=False, p=chance / chance.sum())
    if biased:
        values = values + np.log(size)
    values[members] += shift * values.std()
    estimate = stats.vector_contrast(values, members, rng, magnitudes=size, permutations=DRAWS)
    return Draw(estimate, None if biased or shift else 0.0)


def own_gene(rng: Rng, *, world: str, n: int, shift: float = 0.0) -> Draw:
    """Rule E, own genes: responses with gene and KD effects ("hubs"), own genes lowered by `shift`."""
    values = rng.normal(size=(n, n))
    if world == "hubs":
        values += rng.normal(size=n) + rng.normal(size=(n, 1))
    values[np.arange(n), np.arange(n)] -= shift
    estimate = stats.own_gene_contrast(values, rng, permutations=DRAWS)
    return Draw(estimate, -shift)


def rank(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule F: a KD whose typical percentile over draws is the bar itself."""
    truth = np.sort(rng.normal(size=n))[::-1] * (1 if world == "iid" else np.exp(rng.normal(scale=0.3, size=n)))
    place = int(0.1 * n)
    draws = truth + 0.2 * rng.normal(size=(2000, n))
    ranks = (draws >= draws[:, [place]]).sum(axis=1)
    expected = float(1 / (1 + np.exp(-np.mean(np.log((ranks - 0.5) / (n - ranks + 0.5))))) + 0.5 / n)
    estimate = stats.percentile_rank(truth, str(place), draws[:6], rng)
    return Draw(_centred(estimate, expected), 0.0)


def _centred(estimate: Estimate, expected: float) -> Estimate:
    """Move the scale so that the truth stands on the criterion's bar, 0."""
    shift = [None if e is None else (e[0] - expected, e[1] - expected) for e in (estimate.ci, estimate.ci90)]
    return Estimate(
        estimate.effect - expected, estimate.n, shift[0], shift[1], estimate.p, estimate.alternative, estimate.nulls
    )


def profiles(rng: Rng, *, world: str, n: int, shared: float = 0.0) -> Draw:
    """Rule G: profiles that share their outputs' variance ("hubs") and modules ("clusters"), but no response."""
    genes = 100
    scale = np.exp(rng.normal(scale=0.7, size=genes)) if world == "hubs" else np.ones(genes)
    modules = rng.normal(size=(8, genes)) if world == "clusters" else np.zeros((8, genes))
    mean = rng.normal(size=genes) * (0.5 if world == "hubs" else 0.0)
    common = rng.normal(size=(n, genes))
    sides = []
    for _ in range(2):
        noise = np.sqrt(1 - shared) * rng.normal(size=(n, genes)) + np.sqrt(shared) * common
        sides.append((noise + rng.normal(size=(n, 8)) @ modules + mean) * scale)
    estimate = stats.profile_agreement(sides[0], sides[1], rng, beyond_mismatched=True, permutations=DRAWS)
    return Draw(estimate, None if shared else 0.0)


def clusterings(rng: Rng, *, world: str, n: int, same: float = 0.0) -> Draw:
    """Rule H: unrelated clusterings, of equal or ("hubs") of very unequal clusters; a share `same` of KDs agrees."""
    chance = np.full(8, 1 / 8) if world == "iid" else np.array([0.44, 0.2, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03])
    a, b = rng.choice(8, n, p=chance), rng.choice(8, n, p=chance)
    b = np.where(rng.random(n) < same, a, b)
    return Draw(stats.clustering_agreement(a, b, rng, permutations=DRAWS), None if same else 0.0)


def together(rng: Rng, *, world: str, n: int, k: int, which: str) -> Draw:
    """Rule I: a random set, and clusters of equal or ("hubs") of very unequal size."""
    chance = np.full(8, 1 / 8) if world == "iid" else np.array([0.44, 0.2, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03])
    labels, members = rng.choice(8, n, p=chance), rng.choice(n, k, replace=False)
    if which == "enrichment":
        return Draw(stats.enrichment(labels, members, rng))
    return Draw(stats.coclustering(labels, members, rng, permutations=DRAWS), 0.0)


def nearest(rng: Rng, *, world: str, n: int, k: int, biased: bool, which: str) -> Draw:
    """Rule J: a random family, or one in favour of hubs, around a random query."""
    X, _, standing = vectors(rng, world, n)
    S = cosines(X)
    chance = standing**2 if biased else np.ones(n)
    drawn = rng.choice(n, k + 1, replace=False, p=chance / chance.sum())
    if which == "neighbours":
        return Draw(stats.neighbours(S, str(drawn[0]), drawn[1:], rng, permutations=DRAWS))
    return Draw(stats.neighbourhood_purity(S, drawn[1:], rng, permutations=DRAWS))


def learned(rng: Rng, *, world: str, n: int, shift: float = 0.0) -> Draw:
    """Rule L: the trained model is one more copy; its units' noise is its own."""
    spread = 0.1 if world == "iid" else 0.02
    copies = rng.normal(scale=spread, size=20).tolist()
    units = rng.normal(scale=0.3, size=n) + rng.normal(scale=spread) + shift
    half = np.array([1.984, 1.660]) * units.std(ddof=1) / np.sqrt(n)
    mean = float(units.mean())
    trained = Estimate(mean, n, (mean - half[0], mean + half[0]), (mean - half[1], mean + half[1]))
    return Draw(stats.learned_contrast(trained, copies, rng))


def reproduction(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule N: the published number is one more draw."""
    values = rng.normal(scale=0.02, size=n + 1) if world == "iid" else 0.01 * rng.standard_t(5, size=n + 1)
    estimate = stats.reproduces(values[1:], f"{values[0]:.3f}", rng)
    return Draw(estimate, float(f"{values[0]:.3f}"))


def two_vectors(rng: Rng, *, world: str, n: int, r: float = 0.0) -> Draw:
    """Rule P: two unrelated numbers per KD, or correlated ones; "hubs" has heavy tails."""
    x, y = rng.normal(size=(2, n)) if world == "iid" else rng.standard_t(4, size=(2, n))
    return Draw(stats.vector_correlation(x, r * x + y, rng, permutations=DRAWS), None if r else 0.0)


def cases() -> list[Case]:
    """Return every rule in every world it has to withstand."""
    out: list[Case] = []

    def add(rule: str, world: str, n: int, simulate: Callable[..., Draw], criterion: Criterion, **more: object) -> None:
        kwargs = {name: more.pop(name) for name in ("kind", "interval", "share", "label") if name in more}
        label = str(kwargs.pop("label", world))
        out.append(Case(rule, label, n, partial(simulate, world=world, n=n, **more), criterion, **kwargs))  # pyright: ignore[reportArgumentType]

    add("C", "iid", 225, correlation, Above(0, 0.1), shared=0.08, kind="power", share=0.5, label="r = .08")
    add("C", "hubs", 225, correlation, Above(0, 0.1), shared=0.08, kind="reported", share=0.5, label="r = .08, hubs")
    for n, k in ((60, 8), (60, 15), (225, 8), (225, 20)):
        for world in ("iid", "hubs", "magnitude", "clusters"):
            add(f"A k={k}", world, n, coherence, Above(0, 0.1), k=k, biased=False)
        for world in ("hubs", "magnitude"):
            add(
                f"A k={k}",
                world,
                n,
                coherence,
                Above(0, 0.1),
                k=k,
                biased=True,
                interval=False,
                label=f"{world}, set of hubs",
            )
    add("A k=20", "iid", 225, coherence, Above(0, 0.1), k=20, biased=False, shift=0.6, kind="power", label="planted")
    for n, k in ((60, 10), (225, 20)):
        for world in ("iid", "hubs", "clusters"):
            add(f"B k={k}", world, n, coherence_difference, Above(0, 0.1), k=k)
    for n in (60, 225):
        for world in ("iid", "hubs", "clusters", "weak magnitude", "strong magnitude", "outliers"):
            known = world in ("iid", "hubs", "clusters")
            add("C", world, n, correlation, Above(0, 0.1), interval=known, share=0.5 if n > 100 else 1.0)
        add("C paired", "hubs", n, correlation_difference, Above(0, 0.1))
        for world in ("iid", "hubs", "clusters"):
            add("D", world, n, cluster, Above(0, 0.005), share=0.5 if n > 100 else 1.0)
            add(
                "H", "iid" if world == "clusters" else world, n, clusterings, Above(0, 0.05), share=0.5
            ) if world != "clusters" else None
            add("G", world, n, profiles, Above(0, 0.05), share=0.5)
        for world, k in (("iid", 4), ("skewed", 4), ("iid", 10), ("skewed", 10)):
            add(f"E k={k}", world, n, contrast, Above(0, 0.25), k=k)
        add("E k=10", "iid", n, contrast, Above(0, 0.25), k=10, biased=True, interval=False, label="set of large")
        for world in ("iid", "hubs"):
            add("E own gene", world, n, own_gene, Below(0, 0.05))
            add("F", world, n, rank, Below(0), share=0.5)
            add("I enrichment", world, n, together, Above(0, 0.1), k=12, which="enrichment", interval=False)
            add("I coclustering", world, n, together, Above(0, 0.1), k=12, which="coclustering")
            add("J neighbours", world, n, nearest, Above(0, 2), k=12, biased=False, which="neighbours")
            add("J purity", world, n, nearest, Above(0, 0.1), k=12, biased=False, which="purity")
            add("L", world, n, learned, Above(0, 0.1))
            add("P", world, n, two_vectors, Above(0, 0.1))
        for rule in ("neighbours", "purity"):
            add(
                f"J {rule}",
                "hubs",
                n,
                nearest,
                Above(0, 0.1),
                k=12,
                biased=True,
                which=rule,
                interval=False,
                label="hubs, family of hubs",
            )
    add("H", "hubs", 225, clusterings, Above(0, 0.05), same=0.4, kind="power", share=0.5, label="40 % agree")
    add("P", "iid", 225, two_vectors, Above(0, 0.1), r=0.5, kind="power", label="r = .45")
    for world in ("iid", "heavy tails"):
        for n in (5, 20):
            add("N", world, n, reproduction, Reproduces(0, 0.02), kind="coverage")
    return out
