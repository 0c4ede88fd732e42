"""Measures of one model in two lines' cells, against loops and features whose line bias is planted."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jacprobe.errors import EvidenceMissingError
from jacprobe.stats.line_bias import least_alike, less_alike_where_biased, line_bias_reproduces
from tests.stats.similarities import spearman

N, F = 60, 20
KDS = [f"KD{i}" for i in range(N)]


def labelled(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("kd", "feature"), coords={"kd": KDS, "feature": range(F)})


def lines(rng: np.random.Generator, bias: float) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray, xr.DataArray]:
    """Centred and raw features in two lines; KD i uses the five biased features with weight i / N."""
    use = np.linspace(0, 1, N)[:, None]
    home = rng.standard_normal((N, F)) * np.where(np.arange(F) < 5, use, 1 - use)
    away = home + 0.1 * rng.standard_normal((N, F))
    away[:, :5] *= 1 - bias
    level = 3.0 * (np.arange(F) < 5) * (bias > 0)
    return labelled(home), labelled(away), labelled(home + level), labelled(away - level)


def weighted_bias(home: xr.DataArray, raw_home: xr.DataArray, raw_away: xr.DataArray) -> list[float]:
    """Mean |d| by loops."""
    d = []
    for f in range(F):
        a, b = raw_home[:, f].values, raw_away[:, f].values
        d.append(abs(a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))
    return [float(np.average(d, weights=np.abs(row))) for row in home.values]


def likeness(home: xr.DataArray, away: xr.DataArray) -> list[float]:
    pairs = zip(home.values, away.values, strict=True)
    return [float(u @ v / np.linalg.norm(u) / np.linalg.norm(v)) for u, v in pairs]


def test_the_correlation_is_that_of_likeness_with_weighted_bias(rng):
    home, away, raw_home, raw_away = lines(rng, 1.5)
    estimate = less_alike_where_biased(home, away, raw_home, raw_away, rng, (raw_home, raw_away), permutations=199)
    x, y = likeness(home, away), weighted_bias(home, raw_home, raw_away)
    assert estimate.effect == pytest.approx(spearman(x, y))
    assert estimate.p == pytest.approx(1 / 200)
    assert len(estimate.nulls) == 2
    of_raw = spearman(likeness(raw_home, raw_away), weighted_bias(raw_home, raw_home, raw_away))
    assert estimate.diagnostics["r_raw"] == pytest.approx(of_raw)
    norms = np.log(np.linalg.norm(home, axis=1))
    size = stats.rankdata(norms)
    residuals = [(r := stats.rankdata(v)) - np.polyval(np.polyfit(size, r, 1), size) for v in (x, y)]
    assert estimate.diagnostics["r_given_log_norm"] == pytest.approx(stats.pearsonr(*residuals)[0])


def test_lines_without_biased_features_show_nothing(rng):
    home, away, raw_home, raw_away = lines(rng, 0.0)
    estimate = less_alike_where_biased(home, away, raw_home, raw_away, rng, permutations=199)
    assert estimate.p is not None
    assert estimate.p > 0.05


def test_reproduction_takes_the_bias_of_the_next_draw(rng):
    draws = [lines(rng, 1.5) for _ in range(3)]
    home, away, raw_home, raw_away = (tuple(side) for side in zip(*draws, strict=True))
    estimate = line_bias_reproduces(home, away, raw_home, raw_away, "-0.41", rng)
    own = [
        spearman(likeness(home[i], away[i]), weighted_bias(home[i], raw_home[j], raw_away[j]))
        for i, j in ((0, 1), (1, 2), (2, 0))
    ]
    assert estimate.diagnostics["r_by_draw"] == pytest.approx(own)
    assert estimate.effect == pytest.approx(np.mean(own))
    raw = [spearman(likeness(h, a), weighted_bias(h, h, a)) for h, a in zip(raw_home, raw_away, strict=True)]
    assert estimate.as_published["nb01_spearman_of_raw_features"] == pytest.approx(raw)


def test_the_least_alike_knockdown_ranks_first_in_every_draw(rng):
    draws = [lines(rng, 0.0)[:2] for _ in range(5)]
    for _, away in draws:
        away[7] = -away[7]
    home, away = (tuple(side) for side in zip(*draws, strict=True))
    estimate = least_alike(home, away, rng, kd="KD7")
    assert estimate.effect == pytest.approx(1 / N)
    assert estimate.diagnostics["ranks"] == {"KD7": 1}
    assert estimate.diagnostics["lower"] == []
    assert estimate.caution is None


def test_a_rank_named_after_looking_at_many_is_cautioned(rng):
    draws = [lines(rng, 0.0)[:2] for _ in range(5)]
    home, away = (tuple(side) for side in zip(*draws, strict=True))
    for _, there in draws:
        there[7] = -there[7]
    estimate = least_alike(home, away, rng, looked_at=KDS[:8], kd="KD7")
    assert estimate.p == pytest.approx(8 / (N + 1))
    assert "8 knockdowns" in str(estimate.caution)


def test_features_that_are_zero_are_missing_evidence(rng):
    home, away, *_ = lines(rng, 0.0)
    home[4] = 0
    with pytest.raises(EvidenceMissingError, match="KD4"):
        least_alike([home], [away], rng, kd="KD7")
