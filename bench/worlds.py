"""Worlds with known truth: independent noise, hubs, clusters, magnitudes; and what simulating a rule in one gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jacprobe.estimate import Estimate
from jacprobe.stats import ward_labels

Array = NDArray[np.float64]
Rng = np.random.Generator

DRAWS = 199


@dataclass(frozen=True)
class Draw:
    """One simulated study: the estimate, the true effect where it is known, and p of tests that stand beside it."""

    estimate: Estimate
    truth: float | None = None
    naive: dict[str, float] = field(default_factory=dict)


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


def direction(rng: Rng, d: int) -> Array:
    """Return a random vector of length sqrt(d), as long as the noise of one node."""
    v = rng.normal(size=d)
    return np.sqrt(d) * v / np.linalg.norm(v)


def numbers(rng: Rng, world: str, n: int) -> Array:
    """Return one number per node: normal ("iid"), log-normal ("hubs": few are far out) or in eight "clusters"."""
    if world == "hubs":
        return np.exp(rng.normal(scale=0.7, size=n))
    values = rng.normal(size=n)
    return values + 2 * rng.normal(size=8)[rng.integers(0, 8, n)] if world == "clusters" else values


def labels(rng: Rng, world: str, n: int) -> NDArray[np.intp]:
    """Return one of eight clusters per node: of equal size, of very unequal ones ("hubs"), or cut from "clusters"."""
    if world == "clusters":
        return ward_labels(vectors(rng, world, n)[0], 8)
    unequal = np.array([0.44, 0.2, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03])
    return rng.choice(8, n, p=unequal if world == "hubs" else np.full(8, 1 / 8))
