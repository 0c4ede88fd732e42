"""Knockout measures against loops, closed forms and planted agreement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats import share_anticorrelated
from jacprobe.stats.knockout_sets import divergent_outputs, strongest_coherence
from jacprobe.stats.knockouts import (
    agreement_reproduces,
    anticorrelated,
    ceiling,
    closer_within_line,
    line_agreement,
    reliable_everywhere,
    share_moved,
)
from jacprobe.stats.output_modules import largest_correlation, over_modules
from jacprobe.verdicts.criteria import Above, Below, NotElevated
from jacprobe.verdicts.judge import Verdict, judge
from tests.stats.similarities import cosines, spearman

OUTPUTS = [f"G{i}" for i in range(120)]
SILENCED = OUTPUTS[:40]


def responses(values: np.ndarray) -> xr.DataArray:
    coords = {"gene_in": SILENCED, "gene": OUTPUTS}
    return xr.DataArray(values, dims=("gene_in", "gene"), coords=coords)


def vector(values: Any) -> xr.DataArray:
    spread = np.broadcast_to(np.asarray(values, dtype=float), 40)
    return xr.DataArray(spread, dims=("gene_in",), coords={"gene_in": SILENCED})


@pytest.fixture
def profiles(rng):
    return rng.standard_normal((3, 40, 120))


def test_agreement_is_the_mean_of_spearman_beside_its_ceiling(rng, profiles):
    a, b, _ = profiles
    estimate = line_agreement(
        responses(a), responses(b), rng, reliability=(vector(0.81), vector(1.0)), replicate=vector(0.2), permutations=99
    )
    r = [spearman(x, y) for x, y in zip(a, b, strict=True)]
    assert estimate.effect == pytest.approx(np.mean(r))
    assert estimate.diagnostics["ceiling"] == pytest.approx(0.9)
    assert estimate.as_published["nb04_summary"]["negative"] == np.count_nonzero(np.array(r) < 0)
    assert any("two trainings of one line agree 0.20" in flag for flag in estimate.flags)


def test_copying_the_silenced_gene_is_no_agreement(rng, profiles):
    a, b, _ = profiles
    own = (np.arange(40), np.arange(40))
    a[own] = b[own] = -50.0
    copied = line_agreement(responses(a), responses(b), rng, permutations=999)
    beyond = line_agreement(responses(a), responses(b), rng, beyond_mismatched=True, permutations=999)
    assert copied.p is not None
    assert copied.p < 0.05
    a[own], b[own] = np.median(a, axis=1), np.median(b, axis=1)
    left = [[spearman(x, y) for y in b] for x in a]
    apart = (np.sum(left) - np.trace(left)) / (40 * 39)
    assert beyond.effect == pytest.approx(np.trace(left) / 40 - apart)


def test_agreement_reproduces_over_draws(rng):
    draws = [vector(0.05 + 0.01 * i) for i in range(5)]
    estimate = agreement_reproduces(draws, "0.057", rng)
    assert estimate.effect == pytest.approx(0.07)
    assert estimate.n == 5


def test_the_largest_correlation_is_bounded_for_all_genes_at_once(rng, profiles):
    a, b, _ = profiles
    b[7] = a[7]
    draws = [vector([spearman(x, y) for x, y in zip(a, b, strict=True)]) for _ in range(3)]
    alike = largest_correlation(responses(a), responses(b), rng, draws=draws, replicate=vector(0.3))
    assert (alike.diagnostics["gene"], alike.effect) == ("G7", pytest.approx(1.0))
    assert judge(Below(0.4), alike).verdict is Verdict.REFUTED
    opposed = largest_correlation(responses(a), responses(-a), rng)
    assert judge(Below(0.4), opposed).verdict is Verdict.SUPPORTED
    assert opposed.flags == ("one control-cell draw: the interval is over output modules only",)


def test_modules_that_move_together_widen_the_standard_error():
    """Copies of each output in blocks of four: the standard error is that of 30 outputs, not of 120."""
    rng = np.random.default_rng(6)
    found = []
    for copies in (1, 4):
        few = rng.standard_normal((2, 200, 120 // copies))
        x, y = (np.repeat(side, copies, axis=1) for side in few)
        centred = [side - side.mean(axis=1, keepdims=True) for side in (x, y)]
        unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in centred]
        r, se, modules = over_modules(unit[0], unit[1], rng)
        assert modules == 30
        assert np.median(se) == pytest.approx(np.std(r), rel=0.25)
        found.append(np.median(se))
    assert found[1] / found[0] == pytest.approx(2, rel=0.25)


def test_anticorrelation_that_could_not_be_seen_is_left_possible(rng):
    a, b = rng.standard_normal((2, 40, 2000))
    few = np.repeat(rng.standard_normal((2, 40, 12)), 10, axis=2)
    seen, unseen = share_anticorrelated(a, b), share_anticorrelated(few[0], few[1])
    assert seen.ci90 is not None
    assert seen.ci90[1] == pytest.approx(1 - 0.05 ** (1 / 40))
    assert seen.diagnostics["effective_outputs"] == pytest.approx(2000, rel=0.1)
    assert unseen.diagnostics["effective_outputs"] == pytest.approx(12, rel=0.3)
    assert unseen.ci90 is not None
    assert unseen.ci90[1] > 0.3


def test_a_share_that_another_training_shows_too_speaks_of_no_line(rng, profiles):
    a, b, c = profiles
    b[:8], c[:8] = -a[:8], -a[:8]
    lines = anticorrelated(responses(a), responses(b), rng, replicate=responses(profiles[2][::-1]))
    both = anticorrelated(responses(a), responses(b), rng, replicate=responses(c))
    assert lines.effect == both.effect == pytest.approx(8 / 40)
    assert judge(Above(0, 0.05), lines).verdict is Verdict.SUPPORTED
    assert judge(Above(0, 0.05), both).verdict is Verdict.INCONCLUSIVE


def test_the_least_reliable_model_counts(rng):
    noise = rng.normal(0, 0.02, 40)
    sure = (vector(0.95 + noise), vector(0.95 - noise))
    estimate = reliable_everywhere({"one": sure, "other": (vector(0.7 + noise), vector(0.7 - noise))}, rng)
    assert estimate.effect == pytest.approx(0.7)
    assert judge(Above(0.8), estimate).verdict is Verdict.REFUTED
    assert judge(Above(0.8), reliable_everywhere({"one": sure}, rng)).verdict is Verdict.SUPPORTED
    by_luck = (vector(0.95 + noise), vector(0.7 + noise))
    assert judge(Above(0.8), reliable_everywhere({"one": by_luck}, rng)).verdict is Verdict.INCONCLUSIVE


def test_ceilings_are_taken_off_each_side(rng):
    reliability = {"hepg2": vector(0.81), "again": vector(1.0), "jurkat": vector(0.49)}
    within, across = vector(0.45 + rng.normal(0, 0.01, 40)), vector(0.0)
    roles = ("hepg2", "again", "jurkat")
    estimate = closer_within_line(within, across, reliability, rng, roles=roles)
    assert estimate.effect == pytest.approx(float(within.mean()) / 0.9)
    assert estimate.diagnostics["ceilings"]["across"] == pytest.approx(0.63)
    with pytest.raises(InputError, match="do not repeat"):
        ceiling(vector(-0.1), vector(0.5))


def test_what_a_draw_does_to_all_genes_is_no_effect_of_the_line():
    """Draws that lower all genes' r alike, cells of another line or not: at the 5 % level over 300 worlds."""
    rng, false = np.random.default_rng(7), 0

    def pair() -> xr.DataArray:
        return vector(0.9 - 0.05 * abs(rng.normal()) + rng.normal(0, 0.02, 40))

    for _ in range(300):
        estimate = share_moved([pair() for _ in range(5)], (pair(), pair()), rng)
        assert estimate.p is not None
        false += estimate.p <= 0.05
    assert false <= stats.binom.ppf(0.999, 300, 0.05)
    moved = share_moved([vector(0.6 + rng.normal(0, 0.02, 40)) for _ in range(5)], (pair(), pair()), rng)
    assert judge(Above(0, 0.10), moved).verdict is Verdict.SUPPORTED


def test_divergent_outputs_are_counted_beyond_matched_genes(rng):
    a, b = rng.standard_normal((2, 40, 120))
    expression = xr.DataArray(rng.uniform(0, 3, 120), dims=("gene",), coords={"gene": OUTPUTS})
    members = OUTPUTS[50:70]
    nothing = divergent_outputs(responses(a), responses(b), members, rng, expression=expression)
    b[:, 50:70] = -a[:, 50:70] - 0.5
    planted = divergent_outputs(responses(a), responses(b), [*members, "UNKNOWN"], rng, expression=expression)
    first = np.argsort(-np.abs(a - b).mean(axis=0))[:20]
    assert planted.diagnostics["members_in_top"] == np.isin(first, range(50, 70)).sum()
    assert planted.dropped == ("UNKNOWN",)
    assert judge(Above(0, 2), planted).verdict is Verdict.SUPPORTED
    assert judge(Above(0, 2), nothing).verdict is not Verdict.SUPPORTED
    same_line = divergent_outputs(responses(a), responses(b), members, rng, replicate=responses(b))
    assert judge(Above(0, 2), same_line).verdict is Verdict.INCONCLUSIVE


def similarity(X: np.ndarray) -> xr.DataArray:
    return xr.DataArray(cosines(X), dims=("a", "b"), coords={"a": SILENCED, "b": SILENCED})


def test_the_most_coherent_of_several_sets_is_judged_against_the_largest_by_chance(rng):
    X = rng.standard_normal((40, 60))
    sets = {"ten": SILENCED[:10], "twelve": SILENCED[10:22], "three": SILENCED[30:33]}
    norms = vector(np.linalg.norm(X, axis=1))
    nothing = strongest_coherence(similarity(X), norms, sets, rng, untrained=[similarity(X)], permutations=999)
    assert set(nothing.diagnostics["sets"]) == {"ten", "twelve"}
    assert nothing.n == 10
    assert judge(NotElevated(0.10), nothing).verdict is Verdict.SUPPORTED
    assert nothing.diagnostics["untrained_largest"] == [pytest.approx(max(nothing.diagnostics["sets"].values()))]
    X[:10] += 0.8 * rng.standard_normal(60)
    planted = strongest_coherence(similarity(X), norms, sets, rng, permutations=999)
    assert planted.effect == pytest.approx(planted.diagnostics["sets"]["ten"])
    assert judge(NotElevated(0.10), planted).verdict is Verdict.REFUTED
    with pytest.raises(EvidenceMissingError, match=r"three 3"):
        strongest_coherence(similarity(X), norms, {"three": SILENCED[30:33]}, rng)
