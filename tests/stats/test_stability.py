"""Coherence over lists, cells and draws, against correlations taken pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.estimates import p_of
from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats.labels import Labelled
from jacprobe.stats.stability import (
    coherence_of_more_cells,
    coherence_over_lists,
    coherence_spread,
    selection_inflates,
)
from tests.stats.similarities import cosines, sides

NAMES = tuple(f"KD{i}" for i in range(40))


def related(rng: np.random.Generator, strength: float, n: int = 40) -> tuple[Labelled, Labelled]:
    """Two similarity matrices over the same KDs that go together as far as their rows do."""
    common = rng.standard_normal((n, 12))
    sides = [strength * common + rng.standard_normal((n, 12)) for _ in range(2)]
    return Labelled(cosines(sides[0]), NAMES[:n]), Labelled(cosines(sides[1]), NAMES[:n])


def slow(a: Labelled, b: Labelled, names: tuple[str, ...]) -> float:
    index = [a.names.index(name) for name in names]
    pairs = [(a.values[i, j], b.values[i, j]) for k, i in enumerate(index) for j in index[k + 1 :]]
    return float(np.corrcoef(np.array(pairs).T)[0, 1])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def lists_of(rng: np.random.Generator, m: int, k: int = 25) -> list[tuple[str, ...]]:
    return [tuple(np.array(NAMES)[np.sort(rng.permutation(40)[:k])].tolist()) for _ in range(m)]


def test_the_coherence_over_lists_is_the_mean_of_each_list(rng):
    a, b = related(rng, 1.5)
    lists = lists_of(rng, 6)
    estimate = coherence_over_lists(a, b, lists, rng, permutations=199)
    assert estimate.effect == pytest.approx(np.mean([slow(a, b, names) for names in lists]))
    assert estimate.n == len(set().union(*lists))
    assert estimate.p is not None
    assert estimate.p == max(estimate.diagnostics["p"].values())


def test_leaving_a_knockdown_out_of_every_list_gives_the_interval(rng):
    a, b = related(rng, 1.5)
    lists = lists_of(rng, 3)
    estimate = coherence_over_lists(a, b, lists, rng, permutations=99)
    union = sorted(set().union(*lists))
    without = np.array(
        [np.mean([slow(a, b, tuple(name for name in names if name != left)) for names in lists]) for left in union]
    )
    se = np.sqrt((len(union) - 1) / len(union) * np.square(without - without.mean()).sum())
    assert estimate.ci is not None
    half = (estimate.ci[1] - estimate.ci[0]) / 2
    from scipy import stats

    assert half == pytest.approx(stats.t.ppf(0.975, len(union) - 1) * se)


def test_unrelated_matrices_are_seldom_coherent_over_lists():
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, b = related(rng, 0.0)
        found.append(p_of(coherence_over_lists(a, b, lists_of(rng, 5), rng, permutations=99)) <= 0.05)
    # Binomial bound at .05: 5 of 40.
    assert sum(found) <= 5


def test_selection_is_the_difference_of_the_strongest_and_the_mean_of_random_lists(rng):
    a, b = related(rng, 1.0)
    lists, strongest = lists_of(rng, 20), NAMES[:20]
    estimate = selection_inflates(a, b, strongest, lists, rng)
    wanted = slow(a, b, strongest) - np.mean([slow(a, b, names) for names in lists])
    assert estimate.effect == pytest.approx(wanted)
    assert estimate.diagnostics["shared_with_first_list"] == len(set(strongest) & set(lists[0]))


def test_more_cells_are_compared_draw_by_draw(rng):
    pairs = [related(rng, 1.0) for _ in range(10)]
    more, fewer = pairs[:5], pairs[5:]
    estimate = coherence_of_more_cells(
        sides(more), sides(fewer), rng
    )  # fmt: skip
    differences = [slow(*x, NAMES) - slow(*y, NAMES) for x, y in zip(more, fewer, strict=True)]
    from scipy import stats

    assert estimate.effect == pytest.approx(np.mean(differences))
    assert estimate.p == pytest.approx(np.asarray(stats.ttest_1samp(differences, 0))[1])


def test_the_spread_is_that_of_the_less_stable_model(rng):
    steady = [related(np.random.default_rng(1), 1.0) for _ in range(5)]
    shaky = [related(rng, 1.0) for _ in range(5)]
    estimate = coherence_spread(rng, steady=sides(steady), shaky=sides(shaky))
    assert estimate.effect == pytest.approx(np.std([slow(*pair, NAMES) for pair in shaky], ddof=1))
    assert estimate.diagnostics["sd"]["steady"] == pytest.approx(0.0, abs=1e-12)


def test_what_cannot_be_measured_is_refused(rng):
    a, b = related(rng, 1.0)
    with pytest.raises(InputError, match="no lists"):
        coherence_over_lists(a, b, [], rng)
    with pytest.raises(EvidenceMissingError, match="1 random lists"):
        selection_inflates(a, b, NAMES[:20], [NAMES[:20]], rng)
    with pytest.raises(EvidenceMissingError, match="at least 3"):
        coherence_of_more_cells(([a], [b]), ([a], [b]), rng)
