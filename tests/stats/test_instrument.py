"""Measures of the instrument claims against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from jacprobe.errors import EvidenceMissingError
from jacprobe.stats import own_gene_contrast
from jacprobe.stats.instrument import dead_outputs, largest_deviation, own_genes_fall
from jacprobe.stats.own_gene import own_gene_excess
from jacprobe.verdicts.criteria import Below
from jacprobe.verdicts.judge import judge


def panel(targets, dead=()):
    values = np.ones((3, 2, len(targets)))
    values[:, :, [targets.index(target) for target in dead]] = 0
    return xr.DataArray(values, dims=("kd", "regulator", "target"), coords={"target": list(targets)})


def slopes(values):
    return xr.DataArray(values, dims=("gene",), coords={"gene": [f"G{i}" for i in range(len(values))]})


def test_the_larger_share_of_dead_outputs_decides_and_they_are_named(rng):
    panels = (panel(["A", "B", "C", "D", "E"], ["B"]), panel(["F", "G", "H", "I", "J"]))
    estimate = dead_outputs(panels, panels, slopes([1.0] * 39 + [0.0]), rng)
    assert (estimate.effect, estimate.n, estimate.flags) == (0.1, 50, ())
    assert estimate.diagnostics["panel targets"]["dead"] == ["B"]
    assert estimate.diagnostics["all genes"] == {"dead": ["G39"], "of": 40, "share": 0.025}
    assert judge(Below(0.05), estimate).verdict == "REFUTED"
    assert judge(Below(0.05), dead_outputs(None, None, slopes([1.0] * 39 + [0.0]), rng)).verdict == "SUPPORTED"


def test_what_is_not_there_is_said_and_nothing_at_all_is_not_evaluated(rng):
    stored = (panel(["A", "B"], ["B"]), panel(["F", "G"]))
    estimate = dead_outputs(None, stored, None, rng)
    assert estimate.effect == 0.25
    assert [flag.split(":")[0] for flag in estimate.flags] == [
        "not there, and not judged",
        "panels over the mean cell, in which all cells share one state of the ReLU",
    ]
    with pytest.raises(EvidenceMissingError, match="no Jacobian"):
        dead_outputs(None, None, None, rng)


def test_a_target_that_any_knockdown_moves_is_alive(rng):
    J = panel(["A", "B"], ["A", "B"])
    J[2, 1, 0] = 1e-9
    assert dead_outputs((J,), None, None, rng).diagnostics["panel targets"]["dead"] == ["B"]


def test_own_genes_are_shown_by_split_beside_untrained_copies(rng):
    kds, genes = [f"G{i}" for i in range(20)], [f"G{i}" for i in range(30)]
    delta = xr.DataArray(rng.normal(size=(20, 30)), dims=("kd", "gene"), coords={"kd": kds, "gene": genes})
    split = {name: "trained" if i < 12 else "held out" for i, name in enumerate(kds)}
    by_hand = {k: float(delta.sel(kd=k, gene=k)) - float(delta.drop_sel(kd=k).sel(gene=k).mean()) for k in kds}
    assert own_gene_excess(delta) == pytest.approx(by_hand)
    estimate = own_genes_fall({"model": delta}, {"model": split}, rng, [delta, -delta], permutations=99)
    assert estimate.effect == pytest.approx(own_gene_contrast(delta, rng, permutations=99).effect)
    assert estimate.diagnostics["by_split"]["model"] == pytest.approx(
        {"trained": np.mean(list(by_hand.values())[:12]), "held out": np.mean(list(by_hand.values())[12:])}
    )
    assert estimate.diagnostics["controls"]["untrained"]["mean"] == pytest.approx(0.0, abs=1e-12)


def test_deviations_of_several_kinds_are_compared_together(rng):
    first = xr.DataArray([1e-9, -3e-9], dims=("kd",), attrs={"left_out": "4"})
    second = xr.DataArray([[2e-9]], dims=("kd", "target"), attrs={"left_out": 0})
    estimate = largest_deviation({"a": first}, rng, panel={"a": second})
    assert (estimate.effect, estimate.n) == (3e-9, 3)
    assert estimate.diagnostics["largest_by_model"] == {"a": 3e-9, "a, panel": 2e-9}
    assert estimate.diagnostics["left_out"] == {"a": 4}
