"""Selective features against a loop over halves, planted features, and random sets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jacprobe.errors import EvidenceMissingError
from jacprobe.stats import selectivity
from jacprobe.stats.selectivity import best_selectivity, selective_feature_lost

N, F, K = 90, 40, 12
MEMBERS = [str(i) for i in range(K)]


def features(rng: np.random.Generator, shift: float) -> np.ndarray:
    """Features of which the fourth is raised in the members."""
    X = rng.standard_normal((N, F))
    X[:K, 3] += shift
    return X


def slowly(X: np.ndarray, halves: selectivity._Halves, members: list[int]) -> float:
    """The definition: choose by mean rank on one half, measure by mean standard value on the other."""
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    R = stats.rankdata(X, axis=0)
    others = [i for i in range(len(X)) if i not in members]
    values = []
    for m, o in zip(halves.members, halves.others, strict=True):
        inside = [[members[i] for i in part] for part in (m[: len(m) // 2], m[len(m) // 2 :])]
        outside = [[others[i] for i in part] for part in (o[: len(o) // 2], o[len(o) // 2 :])]
        for choose, measure in ((0, 1), (1, 0)):
            best = np.argmax(R[inside[choose]].mean(axis=0) - R[outside[choose]].mean(axis=0))
            values.append(Z[inside[measure], best].mean() - Z[outside[measure], best].mean())
    return float(np.mean(values))


def test_selectivity_is_measured_on_the_half_that_did_not_choose(rng):
    X = features(rng, 1.0)
    halves = selectivity._divide(np.random.default_rng(3), N, K)
    assert best_selectivity(X, MEMBERS, np.random.default_rng(3)) == pytest.approx(
        slowly(X, halves, list(range(K))), abs=1e-5
    )


def test_a_feature_of_one_model_alone_is_lost_in_the_other(rng):
    found = selective_feature_lost(features(rng, 3.0), features(rng, 0.0), MEMBERS, rng, permutations=99)
    assert found.effect == pytest.approx(found.parts["a"].effect - found.parts["b"].effect)
    assert found.ci is not None
    assert found.ci[0] > 0
    assert found.p == pytest.approx(1 / 100)
    assert found.parts["b"].p is not None
    assert found.parts["b"].p > 0.05
    assert max(found.diagnostics["features"]["a"], key=found.diagnostics["features"]["a"].count) == "3"


def test_a_feature_of_both_models_is_not_lost(rng):
    found = selective_feature_lost(features(rng, 3.0), features(rng, 3.0), MEMBERS, rng, permutations=99)
    assert found.ci is not None
    assert found.ci[0] < 0 < found.ci[1]


def test_one_knockdown_does_not_make_a_feature_of_its_set(rng):
    X = features(rng, 0.0)
    X[0, 5] = 1000.0
    assert abs(best_selectivity(X, MEMBERS, rng)) < 1


def test_leaving_a_member_out_leaves_it_out_of_both_sides(rng):
    X = features(rng, 1.0)
    halves = selectivity._divide(np.random.default_rng(0), N, K)
    table = selectivity._table(X)
    without = selectivity._without(table, np.arange(K), 4, halves)
    contrasts = selectivity._contrasts(np.arange(K), N, halves, left_out=4)
    assert not contrasts[:, :, 4].any()
    assert without == pytest.approx(selectivity._held_out(table, contrasts)[0])


def test_single_units_and_copies_stand_beside(rng):
    a, b = features(rng, 3.0), features(rng, 0.0)
    raised = -features(rng, 3.0)
    found = selective_feature_lost(
        a, b, MEMBERS, rng, neurons=(raised, b), replicate=raised, untrained=[raised[:50]], permutations=99
    )
    shown = found.diagnostics["single_units"]
    assert shown["a"] == pytest.approx(shown["seed_replicate"], abs=0.5)
    assert shown["a"] > 1.5 > shown["b"]
    assert shown["untrained"]["kds"] == 50


def test_three_members_are_too_few(rng):
    with pytest.raises(EvidenceMissingError, match="at least 4"):
        selective_feature_lost(features(rng, 1.0), features(rng, 0.0), MEMBERS[:3], rng, permutations=99)
