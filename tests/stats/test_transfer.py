"""Responses in two models: planted agreement, outliers and controls, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from fixtures.estimates import ci90_of, ci_of, p_of
from jacprobe.errors import EvidenceMissingError
from jacprobe.stats.labels import Labelled
from jacprobe.stats.transfer import (
    agreement_reproduces,
    below_training_seed,
    named_agreement,
    named_lead,
    responses_diverge,
    set_transfers,
    summary,
)

NAMES = tuple(f"k{i}" for i in range(60))


def responses(rng: np.random.Generator, signal: np.ndarray, noise: float) -> xr.DataArray:
    values = signal + noise * rng.standard_normal(signal.shape)
    return xr.DataArray(values, dims=("kd", "gene"), coords={"kd": list(NAMES), "gene": range(signal.shape[1])})


def correlations(a: xr.DataArray, b: xr.DataArray) -> xr.DataArray:
    r = [np.corrcoef(x, y)[0, 1] for x, y in zip(a.values, b.values, strict=True)]
    return xr.DataArray(r, dims="kd", coords={"kd": list(NAMES)})


def test_the_mean_over_draws_reproduces(rng):
    draws = [0.277 + 0.1 * rng.standard_normal(2000) for _ in range(5)]
    estimate = agreement_reproduces(draws, "0.277", rng)
    assert estimate.effect == pytest.approx(np.mean([d.mean() for d in draws]))
    assert estimate.as_published["nb06_summary"] == summary(draws[0])


def test_diverging_as_often_between_two_trainings_bars_support(rng):
    low, high = Labelled(np.full(60, 0.1), NAMES), Labelled(np.full(60, 0.9), NAMES)
    assert responses_diverge(low, rng, high).caution is None
    assert responses_diverge(low, rng, low).caution is not None
    assert responses_diverge(low, rng, high, high).diagnostics["other_draw_share"] == 0


def test_below_the_seed_is_the_paired_mean_difference(rng):
    within, across = rng.uniform(0.4, 0.6, 60), rng.uniform(0.1, 0.3, 60)
    estimate = below_training_seed(within, across, rng, within + 0.1)
    assert estimate.effect == pytest.approx((within - across).mean())
    assert estimate.diagnostics["by_the_other_training"] == pytest.approx(-0.1)
    assert estimate.flags


@pytest.mark.parametrize("least", [False, True])
def test_a_set_stands_out_on_its_side(rng, least):
    r = 0.3 + 0.05 * rng.standard_normal(60)
    r[:8] += -0.3 if least else 0.3
    norms = rng.uniform(1, 3, 60)
    estimate = set_transfers(Labelled(r, NAMES), NAMES[:8], rng, Labelled(norms, NAMES), least=least)
    assert estimate.effect == pytest.approx(abs(r[:8].mean() - r[8:].mean()))
    assert p_of(estimate) < 0.01
    assert estimate.diagnostics["mean_members"] == pytest.approx(r[:8].mean())


def test_size_alone_does_not_make_a_set_transfer(rng):
    norms = np.exp(rng.standard_normal(60))
    norms[:8] = np.exp(2 + 0.1 * rng.standard_normal(8))
    r = Labelled(0.2 + 0.1 * np.log(norms) + 0.05 * rng.standard_normal(60), NAMES)
    estimate = set_transfers(r, NAMES[:8], rng, Labelled(norms, NAMES))
    assert estimate.nulls[0].p < 0.05 < p_of(estimate)


def test_a_set_that_two_trainings_share_as_strongly_is_flagged(rng):
    r = Labelled(np.where(np.arange(60) < 8, 0.6, 0.3) + 0.01 * rng.standard_normal(60), NAMES)
    again = Labelled(r.values + np.where(np.arange(60) < 8, 0.1, 0.0), NAMES)
    assert set_transfers(r, NAMES[:8], rng, replicate=again).flags


def test_the_worst_of_the_named_counts(rng):
    draws = [Labelled(np.linspace(1, 0, 60) + 1e-4 * rng.standard_normal(60), NAMES) for _ in range(5)]
    estimate = named_lead(draws, rng, names=("k1", "k5"))
    assert estimate.effect == pytest.approx(6 / 60, abs=0.01)
    assert estimate.diagnostics["leading"][0] == "k0"
    with pytest.raises(EvidenceMissingError):
        named_lead(draws, rng, names=("k1", "absent"))


def planted(rng, sign: float):
    """Two models over 5 draws that agree but for two knockdowns, which the second has with another sign."""
    signal = rng.standard_normal((60, 200))
    other = signal.copy()
    other[:2] *= sign
    a, b = (responses(rng, x, 0.3) for x in (signal, other))
    draws = [correlations(responses(rng, signal, 0.3), responses(rng, other, 0.3)) for _ in range(5)]
    return a, b, draws


def test_opposite_responses_are_below_zero_and_the_larger_counts(rng):
    a, b, draws = planted(rng, -1.0)
    estimate = named_agreement(a, b, draws, rng, names=("k0", "k1"))
    means = [float(np.mean([d.sel(kd=k) for d in draws])) for k in ("k0", "k1")]
    assert estimate.effect == pytest.approx(max(means))
    assert ci90_of(estimate)[1] < 0
    assert set(list(estimate.diagnostics["least"])[:2]) == {"k0", "k1"}


def test_opposite_between_two_trainings_too_bars_support(rng):
    a, b, draws = planted(rng, -1.0)
    assert named_agreement(a, b, draws, rng, -abs(draws[0]), names=("k0", "k1")).caution
    assert named_agreement(a, b, draws, rng, abs(draws[0]), names=("k0", "k1")).caution is None


def test_unrelated_responses_have_an_interval_around_zero(rng):
    a, b, draws = planted(rng, 0.0)
    estimate = named_agreement(a, b, draws, rng, names=("k0",), alternative="two-sided")
    low, high = ci_of(estimate)
    assert low < 0 < high
    # Independent outputs: the standard error of r is about 1 / sqrt(genes), whatever the modules.
    assert (high - low) / 4 == pytest.approx(200**-0.5, rel=0.6)
