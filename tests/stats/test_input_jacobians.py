"""The input Jacobian's measures against loops over knockdowns, and where they must and must not find something."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jacprobe.errors import InputError
from jacprobe.stats.input_jacobians import divergence_contrast, estimators_agree, models_differ
from jacprobe.verdicts.criteria import Equivalent
from jacprobe.verdicts.judge import Verdict, judge
from tests.stats.similarities import spearman

KDS = [f"K{i}" for i in range(40)]


def panel(values: np.ndarray, regulators: list[str]) -> xr.DataArray:
    coords = {"kd": KDS, "regulator": regulators, "target": ["t0", "t1"]}
    return xr.DataArray(values, dims=("kd", "regulator", "target"), coords=coords)


def vector(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("kd",), coords={"kd": KDS})


def test_estimators_agree_as_their_pairs_do_on_average(rng):
    each, mean = rng.standard_normal((2, 40, 2, 2))
    mean += each
    mean[:, 1, 1] = 0.5
    wide = panel(np.concatenate([each, each[:, :1]], axis=1), ["r0", "r1", "further"])
    estimate = estimators_agree([wide], [panel(mean, ["r0", "r1"])], rng)
    pairs = [(0, 0), (0, 1), (1, 0)]
    assert estimate.effect == pytest.approx(np.mean([spearman(each[:, r, t], mean[:, r, t]) for r, t in pairs]))
    assert estimate.dropped == ("r1 on t1",)
    with pytest.raises(InputError, match="no pair"):
        estimators_agree([wide], [panel(np.zeros((40, 2, 2)), ["r0", "r1"])], rng)


def test_its_interval_is_the_jackknife_of_the_mean_over_pairs():
    rng = np.random.default_rng(5)
    each = rng.standard_normal((40, 2, 2))
    mean = each + rng.standard_normal((40, 2, 2))
    estimate = estimators_agree([panel(each, ["a", "b"])], [panel(mean, ["a", "b"])], rng)
    # Ranks are taken once: deleting a knockdown leaves the ranks of the others.
    a, b = (stats.rankdata(side.reshape(40, 4), axis=0) for side in (each, mean))
    without = np.array(
        [
            np.mean([np.corrcoef(np.delete(a[:, j], i), np.delete(b[:, j], i))[0, 1] for j in range(4)])
            for i in range(40)
        ]
    )
    se = np.sqrt(39 / 40 * np.square(without - without.mean()).sum())
    assert estimate.ci is not None
    assert estimate.ci[1] == pytest.approx(estimate.effect + stats.t.ppf(0.975, 39) * se)


def test_divergence_is_contrasted_in_sd_over_knockdowns(rng):
    cosine = rng.normal(0.1, 0.02, 40)
    estimate = divergence_contrast(vector(cosine), KDS[:2], KDS[2:5], rng)
    assert estimate.effect == pytest.approx((cosine[2:5].mean() - cosine[:2].mean()) / cosine.std(ddof=1))
    groups = [rng.permutation(cosine)[:5] for _ in range(4000)]
    random = np.array([g[2:].mean() - g[:2].mean() for g in groups]) / cosine.std(ddof=1)
    observed = estimate.effect
    assert estimate.p == pytest.approx(2 * min(np.mean(random >= observed), np.mean(random <= observed)), abs=0.05)


def test_five_knockdowns_are_alike_only_where_they_resemble_each_other(rng):
    cosine = rng.normal(0.1, 0.02, 40)
    assert judge(Equivalent(0.5), divergence_contrast(vector(cosine), KDS[:2], KDS[2:5], rng)).verdict is not (
        Verdict.SUPPORTED
    )
    cosine[:5] = 0.1 + 0.0005 * np.arange(5)
    assert judge(Equivalent(0.5), divergence_contrast(vector(cosine), KDS[:2], KDS[2:5], rng)).verdict is (
        Verdict.SUPPORTED
    )
    cosine[:2] -= 0.1
    assert judge(Equivalent(0.5), divergence_contrast(vector(cosine), KDS[:2], KDS[2:5], rng)).verdict is (
        Verdict.REFUTED
    )


def jacobians(rng: np.random.Generator, own: float) -> np.ndarray:
    rows = rng.standard_normal(200) + own * rng.standard_normal((40, 200))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_models_differ_by_what_their_jacobians_say(rng):
    first, second = jacobians(rng, 0.5), jacobians(rng, 0.5)
    within = [
        xr.DataArray(J @ J.T, dims=("kd", "kd_other"), coords={"kd": KDS, "kd_other": KDS}) for J in (first, second)
    ]
    across = (first * second).sum(axis=1)
    sets = {"one": KDS[:10], "two": KDS[10:20]}
    estimate = models_differ(within, vector(across), sets, rng, replicate=vector(across))
    pairs = [J[i] @ J[j] for J in (first, second) for i in range(40) for j in range(i)]
    assert estimate.effect == pytest.approx(np.mean(pairs) - across.mean())
    low, high = estimate.ci or (0, 0)
    assert 0 < low < estimate.effect < high
    share = estimate.diagnostics["pathway_share"]
    groups = across[:20].reshape(2, 10)
    between = 10 * np.square(groups.mean(axis=1) - groups.mean()).sum()
    assert share["share"] == pytest.approx(between / np.square(groups - groups.mean()).sum())
    assert share["by_chance"] == pytest.approx(1 / 19)
    one = models_differ([within[0], within[0]], vector(np.ones(40)), sets)
    assert one.effect < 0
    assert one.diagnostics["pathway_share"] is None
