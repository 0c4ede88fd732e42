"""Predicted against measured responses: contrasts of trained and held-out knockdowns, rivals, error rates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from fixtures.estimates import ci_of, p_of
from jacprobe.errors import EvidenceMissingError
from jacprobe.stats.accuracy import better_than_mean, closer_with_data, memorised
from jacprobe.stats.labels import Labelled

NAMES = tuple(f"k{i}" for i in range(80))
MEMBERS = NAMES[:16]
SPLIT = {name: "held out" if i % 3 == 0 else "trained" for i, name in enumerate(NAMES)}
HELD = np.array([tag == "held out" for tag in SPLIT.values()])


def test_memorised_is_a_difference_of_differences(rng):
    r = rng.uniform(0, 1, 80)
    estimate = memorised(Labelled(r, NAMES), SPLIT, MEMBERS, rng)
    inside = np.arange(80) < 16
    means = {(i, h): r[(inside == i) & (h == HELD)].mean() for i in (True, False) for h in (True, False)}
    assert estimate.effect == pytest.approx(
        means[True, False] - means[True, True] - means[False, False] + means[False, True]
    )
    assert estimate.n == 6


def test_memorised_finds_what_is_planted_and_nothing_else():
    rng, found, runs = np.random.default_rng(1), {True: 0, False: 0}, 200
    for _ in range(runs):
        for planted in found:
            # Held-out knockdowns are worse in any set: no memorising of this one.
            r = 0.5 - 0.2 * HELD + 0.1 * rng.standard_normal(80)
            r[:16] -= 0.3 * HELD[:16] * planted
            estimate = memorised(Labelled(r, NAMES), SPLIT, MEMBERS, rng, permutations=499)
            found[planted] += p_of(estimate) <= 0.05 and ci_of(estimate)[0] > 0
    assert found[True] / runs > 0.95
    assert found[False] / runs <= 0.08


def test_memorised_needs_both_kinds_of_members(rng):
    only_trained = [name for name in MEMBERS if SPLIT[name] == "trained"]
    with pytest.raises(EvidenceMissingError):
        memorised(Labelled(rng.uniform(0, 1, 80), NAMES), SPLIT, only_trained, rng)


def measured(rng: np.random.Generator, common: float) -> xr.DataArray:
    values = rng.standard_normal((80, 50)) + common * rng.standard_normal(50)
    return xr.DataArray(values, dims=("kd", "gene"), coords={"kd": list(NAMES), "gene": range(50)})


def test_both_rivals_must_be_beaten_in_every_model(rng):
    observed = [measured(rng, 1.0), measured(rng, 0.0)]
    r = [Labelled(0.9 + 0.01 * rng.standard_normal(80), NAMES) for _ in range(2)]
    shift = [[Labelled(0.2 + 0.01 * rng.standard_normal(80), NAMES)] for _ in range(2)]
    estimate = better_than_mean(r, [SPLIT] * 2, observed, shift, rng, models=("a", "b"))
    mean = observed[0].values[~HELD].mean(axis=0)
    baseline = np.mean([np.corrcoef(x, mean)[0, 1] for x in observed[0].values[HELD]])
    assert estimate.diagnostics["models"]["a over mean response"]["mean_y"] == pytest.approx(baseline)
    assert estimate.effect == pytest.approx(min(part["effect"] for part in estimate.diagnostics["models"].values()))
    assert estimate.n == HELD.sum()
    beaten = better_than_mean(r, [SPLIT] * 2, observed, [shift[0], [r[1]]], rng, shift, models=("a", "b"))
    assert p_of(beaten) > 0.05


def test_closer_is_paired_over_what_all_models_were_held_out_of(rng):
    fewshot, zeroshot = rng.uniform(0.5, 0.7, 80), rng.uniform(0.3, 0.5, 80)
    splits = {"f": SPLIT, "z": dict.fromkeys(NAMES, "held out")}
    estimate = closer_with_data({"f": Labelled(fewshot, NAMES)}, Labelled(zeroshot, NAMES), splits, rng)
    assert estimate.effect == pytest.approx((fewshot - zeroshot)[HELD].mean())
    assert estimate.diagnostics["held_out_kds"] == HELD.sum()


def test_nothing_held_out_is_missing_evidence(rng):
    r = Labelled(rng.uniform(0, 1, 80), NAMES)
    with pytest.raises(EvidenceMissingError):
        closer_with_data({"f": r}, r, {"f": dict.fromkeys(NAMES, "trained")}, rng)
