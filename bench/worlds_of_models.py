"""Rules L to P in the worlds: a trained model beside copies, draws of control cells, two numbers per knockdown."""

from __future__ import annotations

import numpy as np

from bench.worlds import DRAWS, Draw, Rng, cosines, numbers, vectors
from jacprobe import stats
from jacprobe.estimate import Estimate
from jacprobe.stats.moments import mean_off_diagonal


def learned(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule L: the trained model is one more copy; a mean over units, or in "clusters" the coherence of a set."""
    if world == "clusters":
        return _learned_coherence(rng, n)
    spread = 0.1 if world == "iid" else 0.02
    copies = rng.normal(scale=spread, size=20).tolist()
    units = rng.normal(scale=0.3, size=n) + rng.normal(scale=spread)
    half = np.array([1.984, 1.660]) * units.std(ddof=1) / np.sqrt(n)
    mean = float(units.mean())
    trained = Estimate(mean, n, (mean - half[0], mean + half[0]), (mean - half[1], mean + half[1]))
    return Draw(stats.learned_contrast(trained, copies, rng), 0.0)


def _learned_coherence(rng: Rng, n: int) -> Draw:
    members = rng.choice(n, 12, replace=False)
    trained, *copies = (cosines(vectors(rng, "clusters", n)[0]) for _ in range(21))
    excess = [mean_off_diagonal(S[np.ix_(members, members)]) - mean_off_diagonal(S) for S in copies]
    estimate = stats.set_coherence(trained, members, rng, permutations=DRAWS)
    return Draw(stats.learned_contrast(estimate, excess, rng), 0.0)


def reproduction(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule N: the published number is one more draw."""
    values = rng.normal(scale=0.02, size=n + 1) if world == "iid" else 0.01 * rng.standard_t(5, size=n + 1)
    estimate = stats.reproduces(values[1:], f"{values[0]:.3f}", rng)
    return Draw(estimate, float(f"{values[0]:.3f}"))


def spread(rng: Rng, *, world: str, n: int) -> Draw:
    """Rule N: the sd over n draws of control cells."""
    return Draw(stats.draw_spread(0.02 * numbers(rng, world, n), rng), 0.02)


def two_vectors(rng: Rng, *, world: str, n: int, r: float = 0.0) -> Draw:
    """Rule P: two unrelated numbers per KD, or correlated ones."""
    x, y = numbers(rng, world, n), numbers(rng, world, n)
    return Draw(stats.vector_correlation(x, r * x + y, rng, permutations=DRAWS), None if r else 0.0)
