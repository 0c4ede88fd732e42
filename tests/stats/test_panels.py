"""Panels, ranks over draws and the two estimators of J, against loops and known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jacprobe.stats import outranks
from jacprobe.stats.panels import (
    controls_are_neutral,
    outranks_over_draws,
    panel_sensitivity,
    rank_over_draws,
    rank_reproduces,
)
from jacprobe.verdicts.criteria import Above, NotElevated
from jacprobe.verdicts.judge import Verdict, judge

KDS = [f"K{i}" for i in range(60)]
PANEL = {"regulators": ["r0", "r1"], "targets": ["t0", "t1", "dead"], "pathway_kds": KDS[:4], "control_kds": KDS[4:7]}
CLUSTERS = {name: str(i // 6) for i, name in enumerate(KDS)}


def panel(rng: np.random.Generator, raised: float = 0.0, others: int = 2, kds: list[str] = KDS) -> xr.DataArray:
    values = rng.normal(1, 0.1, (len(kds), 2 + others, 3))
    values[[i for i, kd in enumerate(kds) if kd in KDS[:4]], :2] += raised
    values[..., 2] = 0
    regulators = ["r0", "r1", *(f"x{i}" for i in range(others))]
    coords = {"kd": kds, "regulator": regulators, "target": PANEL["targets"]}
    return xr.DataArray(values, dims=("kd", "regulator", "target"), coords=coords)


def vector(values: Any, names: list[str] = KDS) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, dtype=float), dims=("kd",), coords={"kd": names})


def test_a_panel_is_contrasted_over_its_own_live_pairs(rng):
    J = panel(rng, raised=1.0)
    estimate = panel_sensitivity(J, PANEL, rng, clusters=CLUSTERS)
    own = np.abs(J.values[:, :2, :2]).mean(axis=(1, 2))
    assert estimate.effect == pytest.approx((own[:4].mean() - own[4:].mean()) / own.mean())
    assert estimate.dropped == ("target dead",)
    signed = [J.values[part, :2].ravel() for part in (slice(0, 4), slice(4, 7))]
    test = stats.mannwhitneyu(signed[0], signed[1], alternative="greater", method="asymptotic")
    assert estimate.as_published["nb03_triples"]["p"] == pytest.approx(float(test.pvalue))
    assert estimate.as_published["nb03_triples"]["fold"] == pytest.approx(signed[0].mean() / signed[1].mean())
    assert abs(estimate.diagnostics["other_regulators"]["effect"]) < 0.1


def test_a_raised_panel_is_refuted_unless_another_training_lacks_it(rng):
    raised = panel(rng, raised=1.0)
    alone = panel_sensitivity(raised, PANEL, rng, clusters=CLUSTERS)
    again = panel_sensitivity(raised, PANEL, rng, clusters=CLUSTERS, replicate=panel(rng, raised=0.8))
    lacking = panel_sensitivity(raised, PANEL, rng, clusters=CLUSTERS, replicate=panel(rng))
    nothing = panel_sensitivity(panel(rng), PANEL, rng, clusters=CLUSTERS)
    assert judge(NotElevated(0.25), alone).verdict is Verdict.REFUTED
    assert judge(NotElevated(0.25), again).verdict is Verdict.REFUTED
    assert judge(NotElevated(0.25), lacking).verdict is Verdict.INCONCLUSIVE
    assert judge(NotElevated(0.25), nothing).verdict is Verdict.SUPPORTED


def test_controls_may_stand_above_the_pathway(rng):
    J = panel(rng, raised=-0.8)
    options: dict[str, Any] = {"group": "control_kds", "against": "pathway_kds", "absolute": False}
    estimate = panel_sensitivity(J, PANEL, rng, clusters=CLUSTERS, **options)
    assert estimate.nulls[0].p == pytest.approx(1 / 35)
    assert judge(Above(0, 0.25), estimate).verdict is Verdict.SUPPORTED


def test_the_panels_own_knockdowns_alone_are_said_to_be_alone(rng):
    J = panel(rng, others=0, kds=KDS[:7])
    flags = panel_sensitivity(J, PANEL, rng, untrained=[panel(rng, kds=KDS[:7])]).flags
    assert any("4 against 3 controls, exactly relabelled" in flag for flag in flags)
    assert any("no response clusters" in flag for flag in flags)


def test_neutral_controls_are_taken_relative_to_all(rng):
    values = rng.normal(1, 0.05, 60)
    values[4:7] += 0.76
    estimate = controls_are_neutral(vector(-values), PANEL, rng, clusters=CLUSTERS, replicate=vector(values))
    scaled = values / values.mean()
    assert estimate.effect == pytest.approx(scaled[4:7].mean() - np.delete(scaled, [4, 5, 6]).mean())
    assert estimate.as_published["nb03_over_all"]["control_kds"] == pytest.approx(scaled[4:7].mean())
    assert estimate.caution is None
    assert controls_are_neutral(vector(values), PANEL, rng, replicate=vector(values[::-1])).caution is not None


def test_a_rank_over_draws_counts_knockdowns_and_as_published_the_control_too(rng):
    draws = [vector(np.arange(60) + rng.normal(0, 0.1, 60)) for _ in range(5)]
    estimate = rank_over_draws(draws, "K57", rng, control=vector([100.0], ["non-targeting"]), replicate=draws[0])
    assert estimate.effect == pytest.approx(3 / 60)
    assert dict(estimate.as_published["nb03_rank"]) == {"rank": 4, "of": 61}
    assert estimate.diagnostics["seed_replicate"] == pytest.approx(3 / 60)
    alone = rank_over_draws(draws[:1], "K57", rng)
    assert "one control-cell draw" in alone.flags[0]
    bottom = rank_over_draws(draws, "K1", rng, looked_at=7, alternative="greater")
    assert bottom.p == pytest.approx(7 * 2 / 61)
    assert any("named after looking at 7" in flag for flag in bottom.flags)


def test_a_rank_reproduces_within_what_draws_leave_open(rng):
    draws = [vector(np.arange(60) + shift * np.eye(60)[50]) for shift in (0, 0.5, 1.5, 2.5, 3.5)]
    estimate = rank_reproduces(draws, "K50", "0.1333", rng)
    assert estimate.diagnostics["ranks"] == [10, 10, 9, 8, 7]
    assert estimate.effect == pytest.approx(np.mean([10, 10, 9, 8, 7]) / 60)
    assert estimate.ci is not None
    assert estimate.ci[0] < 0.1333 < estimate.ci[1]


def test_twenty_draws_can_tell_which_of_two_stands_above(rng):
    draws = [vector([3 + rng.normal(), 0.0, 2.9], ["a", "b", "c"]) for _ in range(20)]
    clear, even = (outranks_over_draws(draws, "a", [rival], rng) for rival in ("b", "c"))
    assert judge(Above(0.95), clear).verdict is Verdict.SUPPORTED
    assert judge(Above(0.95), even).verdict is Verdict.REFUTED
    both = outranks_over_draws(draws, "a", ["b", "c"], rng)
    assert (both.effect, both.flags) == (even.effect, ("decided by c",))


def test_the_normal_chance_covers_the_true_one():
    rng, covered = np.random.default_rng(4), 0
    table = xr.DataArray(np.zeros((20, 2)), dims=("draw", "kd"), coords={"kd": ["a", "b"]})
    for _ in range(400):
        table[:, 0] = 1.5 + rng.standard_normal(20)
        ci = outranks(table, "a", ["b"], normal=True).ci
        assert ci is not None
        covered += ci[0] < stats.norm.cdf(1.5) < ci[1]
    assert covered >= stats.binom.ppf(0.001, 400, 0.95)
