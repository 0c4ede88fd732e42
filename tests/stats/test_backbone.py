"""What a split says of a model, and differences between models that a second training must not give as well."""

from __future__ import annotations

import numpy as np
import pytest

from jacprobe.errors import EvidenceMissingError
from jacprobe.stats import matrix_correlation_difference
from jacprobe.stats.backbone import coherence_difference, trained_knockdowns
from jacprobe.stats.labels import Labelled

NAMES = tuple(f"KD{i}" for i in range(50))


def pair(seed: int, strength: float) -> tuple[Labelled, Labelled]:
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((50, 10))
    sides = []
    for _ in range(2):
        rows = strength * common + rng.standard_normal((50, 10))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        sides.append(Labelled(rows @ rows.T, NAMES))
    return sides[0], sides[1]


def test_trained_knockdowns_are_counted_and_held_out_ones_are_not():
    rng = np.random.default_rng(0)
    split = {"A": "held out", "B": "trained", "C": "trained"}
    estimate = trained_knockdowns(split, rng, {"A": "trained"})
    assert estimate.effect == 2
    assert estimate.diagnostics["other_split"] == {"trained": 1}


def test_an_unknown_split_says_nothing():
    with pytest.raises(EvidenceMissingError, match="no split for 1 of 2"):
        trained_knockdowns({"A": "held out", "B": "unknown"}, np.random.default_rng(0))


def test_a_difference_that_another_seed_gives_too_carries_a_caution():
    rng = np.random.default_rng(0)
    strong, weak, as_strong, as_weak = pair(1, 2.0), pair(2, 0.3), pair(3, 2.0), pair(4, 0.3)
    plain = matrix_correlation_difference(*strong, *weak, rng)
    steady = coherence_difference(*strong, *weak, rng, replicate=as_strong)
    shaky = coherence_difference(*strong, *weak, rng, replicate=as_weak)
    assert steady.effect == shaky.effect == plain.effect
    assert steady.caution is None
    assert shaky.caution is not None
    assert "another training seed" in shaky.caution
