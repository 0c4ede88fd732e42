"""What fine-tuning adds: sizes, distinctness and likeness across lines, against loops and planted differences."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.estimates import p_of
from jacprobe.stats import set_coherence_difference
from jacprobe.stats.fine_tuning import alike_across_lines, more_distinct, sharpened
from jacprobe.stats.labels import Labelled

NAMES = tuple(f"k{i}" for i in range(60))
MEMBERS = NAMES[:10]


def gram(rng: np.random.Generator, shared: float) -> Labelled:
    X = rng.standard_normal((60, 30))
    X[:10] += shared * np.sqrt(30) * np.linalg.qr(rng.standard_normal((30, 1)))[0].T
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return Labelled(X @ X.T, NAMES)


def test_sharpened_is_a_contrast_of_log_ratios(rng):
    before, after = rng.uniform(1, 2, 60), rng.uniform(1, 2, 60)
    after[:10] *= 1.5
    estimate = sharpened(
        {"f": Labelled(after, NAMES)}, Labelled(before, NAMES), {"a": MEMBERS[:6], "b": MEMBERS[4:]}, rng
    )
    ratio = np.log(after / before)
    assert estimate.effect == pytest.approx(ratio[:10].mean() - ratio[10:].mean())
    assert p_of(estimate) < 0.01


def test_what_another_training_reverses_is_not_sharpened(rng):
    before = Labelled(np.ones(60), NAMES)
    larger, smaller = (np.where(np.arange(60) < 10, x, 1.0) * rng.uniform(0.95, 1.05, 60) for x in (1.5, 0.7))
    estimate = sharpened({"f": Labelled(larger, NAMES), "r": Labelled(smaller, NAMES)}, before, {"a": MEMBERS}, rng)
    assert p_of(estimate) > 0.05
    assert estimate.n == 2


def test_more_distinct_is_the_lesser_space(rng):
    norms = Labelled(rng.uniform(1, 2, 60), NAMES)
    here, there = [(gram(rng, s), norms) for s in (1.5, 0.6)], [(gram(rng, 0.0), norms) for _ in range(2)]
    estimate = more_distinct({"f": here}, there, MEMBERS, rng, spaces=("responses", "layer"))
    alone = [
        set_coherence_difference(a[0], b[0], MEMBERS, np.random.default_rng(0)).effect
        for a, b in zip(here, there, strict=True)
    ]
    assert estimate.effect == pytest.approx(min(alone))
    assert set(estimate.diagnostics["models"]) == {"responses", "layer"}


def test_rows_are_correlated_without_the_diagonal(rng):
    a, b = gram(rng, 0.5), gram(rng, 0.5)
    estimate = alike_across_lines(a, b, MEMBERS, rng)
    r = [
        np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1]
        for i, (x, y) in enumerate(zip(a.values, b.values, strict=True))
    ]
    assert estimate.effect == pytest.approx(np.mean(r[:10]) - np.mean(r[10:]))


def test_a_set_with_one_place_in_both_lines_is_found(rng):
    a, b = gram(rng, 1.0), gram(rng, 1.0)
    apart = gram(rng, 0.0)
    assert p_of(alike_across_lines(a, b, MEMBERS, rng, apart)) < 0.01
    assert p_of(alike_across_lines(a, apart, MEMBERS, rng)) > 0.05
