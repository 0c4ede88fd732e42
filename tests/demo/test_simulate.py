from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jacprobe.demo import simulate
from jacprobe.demo.simulate import Truth, draw_cells, draw_truth
from jacprobe.demo.study import observed_responses
from jacprobe.demo.truth import CONTROL, read_plan


@pytest.fixture(scope="module")
def truth() -> Truth:
    return draw_truth(read_plan(), np.random.default_rng(0))


def mean_expression(x: np.ndarray) -> np.ndarray:
    """Counts over depth have mean mu, since depth cancels and the Gamma noise has mean one."""
    return np.expm1(x.astype(float)).mean(axis=0)


def test_control_cells_have_the_planted_mean(truth: Truth):
    """Without modules and batches E[count / depth] = exp(log mean)."""
    plain = replace(truth, modules=np.zeros_like(truth.modules), batch_offset=np.zeros_like(truth.batch_offset))
    x, _ = draw_cells(plain, 1, np.full(20_000, -1), np.random.default_rng(1))
    error = np.log(mean_expression(x)) - plain.log_mean[1]
    # Var[count / depth] / mu^2 is about 1/8 + 1.07 / mu, so the log mean of 20,000 cells is known to 4 sd below.
    bound = 4.5 * np.sqrt((1 / 8 + 1.1 / np.exp(plain.log_mean[1])) / 20_000)
    assert np.all(np.abs(error) < bound)


def test_a_knockdown_scales_each_gene_by_its_effect_and_its_own_gene_more(truth: Truth):
    """E[exp(b e)] with b ~ Beta(8, 2) multiplies every gene; the own gene falls by exp(own_target) besides."""
    kd = truth.plan.knockdowns.index("RPL5")
    own = truth.own_target[kd]
    plain = replace(truth, modules=np.zeros_like(truth.modules), batch_offset=np.zeros_like(truth.batch_offset))
    x, _ = draw_cells(plain, 0, np.full(20_000, kd), np.random.default_rng(2))
    strength = np.random.default_rng(3).beta(8, 2, (200_000, 1))
    factor = np.exp(strength * truth.effect[0, kd]).mean(axis=0)
    factor[own] *= np.exp(truth.plan.own_target)
    expected = np.exp(plain.log_mean[0]) * factor
    assert truth.plan.genes[own] == "RPL5"
    np.testing.assert_allclose(mean_expression(x), expected, rtol=0.06)


def test_batches_are_balanced_and_shift_expression(truth: Truth):
    cells, batch = draw_cells(truth, 2, np.full(8000, -1), np.random.default_rng(4))
    assert np.all(np.bincount(batch) == 2000)
    shift = np.log(mean_expression(cells[batch == 0])) - np.log(mean_expression(cells[batch == 1]))
    planted = truth.batch_offset[2, 0] - truth.batch_offset[2, 1]
    assert np.corrcoef(shift, planted)[0, 1] > 0.8


def test_programs_act_in_the_planned_lines_only(truth: Truth):
    """Excess of the mean pairwise correlation of effects over that of all knockdowns, which share two axes."""
    plan = truth.plan

    def agreement(knockdowns: tuple[str, ...], line: int) -> float:
        r = np.corrcoef(truth.effect[line, [plan.knockdowns.index(kd) for kd in knockdowns]])
        return float((r.sum() - len(r)) / (len(r) * (len(r) - 1)))

    def excess(family: str) -> list[float]:
        return [agreement(plan.families[family], line) - agreement(plan.knockdowns, line) for line in range(4)]

    assert min(excess("mitoribosome")) > 0.3
    assert excess("er_secretory")[0] > 0.4
    assert max(excess("er_secretory")[1:]) < 0.15


def test_hepatocyte_knockdowns_flip_sign_between_the_lines(truth: Truth):
    for kd in ("FOXO1", "FDPS"):
        home, elsewhere = (truth.effect[line, truth.plan.knockdowns.index(kd)] for line in (0, 1))
        assert np.corrcoef(home, elsewhere)[0, 1] < -0.5


def test_the_same_generator_gives_the_same_study(truth: Truth):
    again = draw_truth(read_plan(), np.random.default_rng(0))
    assert np.array_equal(again.effect, truth.effect)
    knockdown = np.arange(20)
    first, second = (draw_cells(truth, 0, knockdown, np.random.default_rng(5))[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, draw_cells(truth, 0, knockdown, np.random.default_rng(6))[0])


def test_observed_responses_are_means_minus_control(truth: Truth, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(simulate, "CELLS_PER_KNOCKDOWN", 3)
    monkeypatch.setattr(simulate, "HOME_CELLS_PER_KNOCKDOWN", 3)
    monkeypatch.setattr(simulate, "TRAINING_CONTROLS", 20)
    monkeypatch.setattr(simulate, "SHIPPED_CONTROLS", 8)
    study, controls = simulate.simulate(truth, np.random.default_rng(7))
    assert controls.n_obs == 4 * 8
    assert study.n_obs == 4 * (259 * 3 + 20)
    keys = list(zip(study.obs["cell_line"], study.obs["gene"], strict=True))
    assert keys == sorted(keys)

    observed = observed_responses(study)
    x = np.asarray(study.obsm["X_hvg"], dtype=float)
    row = [key == ("k562", "MYC") for key in keys], [key == ("k562", CONTROL) for key in keys]
    np.testing.assert_allclose(
        np.asarray(observed["k562:MYC"].X)[0], x[row[0]].mean(axis=0) - x[row[1]].mean(axis=0), atol=1 / 2048 + 1e-6
    )
    assert observed.n_obs == 4 * 259
    assert set(observed.obs["n_cells"]) == {3}
