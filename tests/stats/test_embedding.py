"""NB02's joined measures against loops, closed forms and planted differences."""

from __future__ import annotations

import numpy as np
import pytest

from jacprobe.errors import InputError
from jacprobe.stats import set_coherence
from jacprobe.stats.embedding import coherence_everywhere, coherence_learned, coordinate_agreement, mean_cosine

SETS = {"first": [str(i) for i in range(12)], "second": [str(i) for i in range(12, 24)]}


def vectors(rng: np.random.Generator, shared: float, n: int = 80, D: int = 30) -> np.ndarray:
    """Unit vectors in which the two sets share a direction of weight `shared`."""
    X = rng.standard_normal((n, D))
    for start in (0, 12):
        X[start : start + 12] += shared * np.sqrt(D) * np.linalg.qr(rng.standard_normal((D, 1)))[0].T
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def gram(X: np.ndarray) -> np.ndarray:
    return X @ X.T


def test_everywhere_is_the_weakest_of_all_sets_and_models():
    rng = np.random.default_rng(0)
    models = {"a": vectors(rng, 1.0), "b": vectors(rng, 0.4)}
    similarity = {role: gram(X) for role, X in models.items()}
    norms = {role: rng.uniform(1, 2, 80) for role in models}
    joined = coherence_everywhere(similarity, norms, SETS, np.random.default_rng(1))
    alone = [
        set_coherence(similarity[role], members, np.random.default_rng(1), norms[role]).effect
        for role in models
        for members in SETS.values()
    ]
    assert joined.effect == pytest.approx(min(alone))
    assert set(joined.diagnostics["models"]) == {f"{role}, {name}" for role in models for name in SETS}


def test_learned_coherence_is_the_trained_excess_over_the_copies_mean():
    rng = np.random.default_rng(2)
    trained = gram(vectors(rng, 1.0))
    copies = [gram(vectors(rng, 0.0)) for _ in range(20)]

    def excess(S, members):
        index = [int(m) for m in members]
        pairs = [S[i, j] for i in index for j in index if i != j]
        return np.mean(pairs) - np.mean([S[i, j] for i in range(80) for j in range(80) if i != j])

    def mean(S):
        return np.mean([excess(S, members) for members in SETS.values()])

    estimate = coherence_learned(trained, copies, SETS, rng)
    assert estimate.effect == pytest.approx(mean(trained) - np.mean([mean(S) for S in copies]))
    assert estimate.p == pytest.approx(1 / 21)
    assert estimate.ci is not None
    assert estimate.ci[0] > 0


def test_an_untrained_model_among_its_copies_is_not_learned():
    rng = np.random.default_rng(3)
    estimate = coherence_learned(gram(vectors(rng, 0.0)), [gram(vectors(rng, 0.0)) for _ in range(20)], SETS, rng)
    assert estimate.ci is not None
    assert estimate.ci[0] < 0 < estimate.ci[1]


def test_mean_cosine_has_the_interval_of_the_last_printed_digit():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 50, 20))
    wanted = np.mean([x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)])
    estimate = mean_cosine(a, b, "0.33", rng)
    assert estimate.effect == pytest.approx(wanted)
    assert estimate.ci == pytest.approx((wanted - 0.005, wanted + 0.005))
    with pytest.raises(InputError, match="20 and 19 dimensions"):
        mean_cosine(a, b[:, :19], "0.33", rng)


@pytest.mark.parametrize(("shared", "found"), [(1.0, True), (0.0, False)])
def test_coordinates_agree_where_the_seed_is_shared(shared, found):
    rng = np.random.default_rng(5)
    a, noise, other = rng.standard_normal((3, 60, 20))
    estimate = coordinate_agreement(a, shared * a + noise, other, rng, permutations=999)
    assert estimate.p is not None
    assert (estimate.p <= 0.05) is found
