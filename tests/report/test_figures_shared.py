"""Figures that claims share: they show what lines and evidence hold, and are left out with a reason where it is not."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import xarray as xr

from jacprobe.errors import EvidenceMissingError, JacprobeError
from jacprobe.kept_chunks import key
from jacprobe.opening import open_study
from jacprobe.report.figures import gallery, overview, panels, style
from jacprobe.report.figures.held import held_study
from jacprobe.report.figures.shared import ROUTING
from jacprobe.requests import Clusters, Delta
from jacprobe.stats.profiles import cross_correlations
from jacprobe.stats.spectra import leading_share_by_cosines, shares_without_each
from jacprobe.store.fill import put
from tests.report.ledgers import MOST_BYTES

FEWSHOT = "fewshot/hepg2"


def line(claim_id: str = "nb05-toy", **changes: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "id": claim_id, "group": "nb05", "study": "nowhere", "effect": 0.5, "ci": [0.4, 0.6], "n": 13,
        "criterion": "> 0, SESOI 0.1", "statistic": "a mean", "verdict": "SUPPORTED", "published": [],
        "provenance": {"schema": 1},
    }  # fmt: skip
    diagnostics = {"published_effect": 0.3, "controls": {"untrained": {"copies": [0.1, 0.2], "trained": 0.45}}}
    return own | {k: v for k, v in changes.items() if k in own} | {
        "diagnostics": diagnostics | {k: v for k, v in changes.items() if k not in own}
    }  # fmt: skip


def points(axes: Any, marker: str) -> list[float]:
    return [float(x) for one in axes.lines if one.get_marker() == marker for x in one.get_xdata()]


def cosines(n: int, seed: int = 0, groups: int = 3) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(groups, 20))[np.arange(n) % groups] + 0.5 * rng.normal(size=(n, 20))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"KD{i}" for i in range(n)]
    return xr.DataArray(rows @ rows.T, dims=["kd", "kd_other"], coords={"kd": names, "kd_other": names})


def test_a_forest_shows_every_effect_and_published_value_where_it_is():
    lines = [line(f"nb05-{i}", effect=0.1 * i, ci=[0.1 * i - 0.05, 0.1 * i + 0.05]) for i in range(1, 4)]
    lines += [line("nb05-count", effect=15.0, ci=[12.0, 18.0], published_effect=None)]
    lines += [line("nb05-none", effect=None), line("nb05-nan", effect=math.nan), line("nb05-exact", ci=None)]
    near, far = [one for one in overview.forest(lines).figure.axes if len(one.lines) > 2]
    assert points(near, "o") == pytest.approx([0.1, 0.2, 0.3])
    assert points(near, "D") == [0.3] * 3
    assert points(far, "o") == [15.0]


def test_controls_of_many_claims_stand_beside_the_trained_model():
    lines = [line("nb05-a"), line("nb05-b", controls={}), line("nb05-c", controls={"untrained": [40.0, 50.0]})]
    assert [one["id"] for one in overview.control_lines(lines)] == ["nb05-a"]
    (axes,) = [one for one in overview.trained_against_random(lines[:1]).figure.axes if len(points(one, "o")) == 2]
    assert points(axes, "o") == [0.1, 0.2]
    assert points(axes, "D") == [0.45]


def test_pairs_are_of_the_knockdowns_that_both_have_each_once():
    first, second = cosines(6), cosines(6, 1).isel(kd=slice(None, None, -1), kd_other=slice(None, None, -1))
    x, y = panels.pairs(first, second.isel(kd=slice(2, None), kd_other=slice(2, None)))
    assert len(x) == len(y) == 6
    assert x[0] == first.sel(kd="KD0", kd_other="KD1")
    assert y[0] == second.sel(kd="KD0", kd_other="KD1")


def test_deciles_are_medians_and_quartiles_of_a_tenth_of_the_pairs_each():
    x = np.arange(100.0)
    at, middle, (low, high) = panels.deciles(x[::-1], 2 * x[::-1])
    assert at == pytest.approx(np.arange(4.5, 100, 10))
    assert middle == pytest.approx(2 * at)
    assert high - low == pytest.approx(np.full(10, 9.0))


def test_the_scatter_holds_every_pair_and_its_deciles():
    first, second = cosines(30), cosines(30, 1)
    sheet = panels.scatter(
        {"fewshot": (first, second), "zeroshot": (second, first)}, {"fewshot": 0.5, "zeroshot": None}
    )
    at, middle, _ = panels.deciles(*panels.pairs(first, second)[::-1])
    (deciles,) = [one for one in sheet.figure.axes[0].lines if one.get_marker() == "o"]
    assert np.asarray(deciles.get_xdata()) == pytest.approx(at)
    assert np.asarray(deciles.get_ydata()) == pytest.approx(middle)
    words = "\n".join(one.text for one in sheet.words)
    assert "n = 30 knockdowns, 435 pairs, r = 0.5" in words
    assert len(style.png(sheet)) <= MOST_BYTES


@pytest.mark.parametrize("n", [30, 700])
def test_the_heatmap_is_in_the_order_of_clusters_and_small(n):
    labels = xr.DataArray(np.arange(n) % 3 + 1, dims=["kd"], coords={"kd": [f"KD{i}" for i in range(n)]})
    sheet = panels.heatmap(cosines(n), labels)
    image = np.asarray(sheet.figure.axes[0].images[0].get_array())
    third = len(image) // 3
    block, other = image[: third - 1, : third - 1].mean(), image[: third - 1, third + 1 : 2 * third - 1].mean()
    assert block > other + 1
    assert len(style.png(sheet)) <= MOST_BYTES


def test_without_umap_learn_its_figure_is_left_out_with_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(EvidenceMissingError, match=r"umap-learn is not installed.*jacprobe\[umap\]"):
        panels.umap(np.ones((20, 3)))


def test_a_layout_keeps_groups_together_and_is_the_same_each_time():
    group = np.arange(90) % 3
    rows = np.random.default_rng(1).normal(size=(3, 30))[group] * 2 + np.random.default_rng(2).normal(size=(90, 30))
    place = panels.umap(rows)
    assert np.array_equal(place, panels.umap(rows))
    apart = np.linalg.norm(place[:, None] - place[None], axis=2) + 1e9 * np.eye(90)
    nearest = np.argsort(apart, axis=1)[:, :10]
    assert (group[nearest] == group[:, None]).mean() > 0.95


def test_both_maps_show_every_knockdown_once():
    place = np.random.default_rng(0).normal(size=(40, 2))
    family = ["ribosome" if i < 10 else "er_secretory" if i < 15 else None for i in range(40)]
    sheet = panels.two_maps(place, [i % 16 for i in range(40)], family)
    for axes in sheet.figure.axes[:2]:
        drawn = sorted((float(x), float(y)) for one in axes.lines for x, y in np.asarray(one.get_xydata()))
        assert drawn == sorted(map(tuple, place.tolist()))
    words = [one.text for one in sheet.words]
    assert "ribosome (10)" in words
    assert "er secretory (5)" in words


def test_shares_without_each_knockdown_are_those_of_the_claims_measure():
    similarity = cosines(20)
    norms = xr.DataArray(np.r_[50.0, np.ones(19)], dims=["kd"], coords={"kd": similarity.kd.values})
    whole, without = shares_without_each(similarity, norms)
    found = leading_share_by_cosines(similarity, norms, normalise=False).diagnostics["raw"]
    assert whole == pytest.approx(found["share"])
    assert [without.min(), without.max()] == pytest.approx(found["leave_one_out"])
    assert similarity.kd.values[np.argmin(without)] == found["carried_by"] == "KD0"
    sheet = panels.shares({"raw": (whole, without)}, {"untrained": np.array([0.1, 0.2])}, 0.628, 20)
    axes = sheet.figure.axes[0]
    assert points(axes, "o") == [whole]
    assert points(axes, "D") == [0.628]
    assert sorted(points(axes, "|")) == pytest.approx(sorted([*without, 0.1, 0.2]))


def test_knockouts_are_matched_by_name_and_mismatched_ones_are_all_others():
    rng = np.random.default_rng(0)
    dims, genes = ["gene_in", "gene"], {"gene": [f"g{i}" for i in range(30)]}
    a = xr.DataArray(rng.normal(size=(4, 30)), dims=dims, coords={"gene_in": list("abcd"), **genes})
    b = a.isel(gene_in=[3, 1, 0, 2])
    matched, mismatched = cross_correlations(a, b)
    assert matched == pytest.approx(np.ones(4))
    assert mismatched.shape == (12,)
    assert np.abs(mismatched).max() < 0.9
    sheet = panels.knockouts({"across": matched, "other": mismatched}, 0.057, 0.4)
    drawn = [one.get_data() for one in sheet.figure.axes[0].patches]  # pyright: ignore[reportAttributeAccessIssue]
    inside = [int(np.count_nonzero(one.values < one.baseline)) for one in drawn]
    assert inside[0] == 1
    assert inside[1] > 1
    assert {0.057, 0.4} <= {float(np.asarray(one.get_xdata())[0]) for one in sheet.figure.axes[0].lines}


def test_what_cannot_be_had_is_left_out_with_its_reason(tmp_path):
    found = gallery([line(ROUTING), line("nb05-same-cluster-jacobians-more-similar")], tmp_path, tmp_path / "store")
    assert [one.slug for one in found.figures] == ["trained-against-random", "forest-nb05"]
    reasons = {one.slug: one.reason for one in found.left_out}
    assert "without provenance" in reasons["routing-scatter"]
    assert reasons["response-umap"].startswith("not in this ledger: nb05-ribosomal-output-cluster")
    assert not (tmp_path / "store").exists()


def test_an_empty_ledger_has_no_figures(tmp_path):
    assert gallery([], tmp_path).figures == ()


def test_many_claims_are_shown_in_several_figures_of_one_size(tmp_path):
    found = gallery([line(f"nb05-a-claim-of-many-{i}") for i in range(50)], tmp_path)
    slugs = [one.slug for one in found.figures]
    assert slugs == [f"{name}-{part}" for name in ("trained-against-random", "forest-nb05") for part in (1, 2, 3)]
    assert sorted({name for one in found.figures for name in one.claims}) == sorted(
        f"nb05-a-claim-of-many-{i}" for i in range(50)
    )
    assert all(len(one.png) <= MOST_BYTES for one in found.figures)


def test_a_second_report_draws_nothing_and_opens_no_study(tmp_path, monkeypatch):
    first = gallery([line()], tmp_path)
    monkeypatch.setattr(style, "png", lambda _: pytest.fail("drawn again"))
    assert gallery([line()], tmp_path).figures == first.figures


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return a store that holds the demo's responses and nothing else, and lines that were judged on them."""
    store = tmp_path_factory.mktemp("figures") / "store"
    study = open_study("demo", store=store)
    identity = study.identity(FEWSHOT)
    kds = [name for name in identity.perturbations if name != identity.control]
    values = np.random.default_rng(0).normal(size=(len(kds), len(identity.genes))).astype("float32")
    delta = xr.DataArray(values, dims=["kd", "gene"], coords={"kd": kds, "gene": list(identity.genes)})
    assert study.store is not None
    put(study.store, key(Delta(FEWSHOT), study), delta, "a test")
    made = {
        "schema": 1, "study_sha256": study.sha256, "seed": 0, "batch": "first", "n_cells": study.n_cells, "quick": None,
        "models": {FEWSHOT: {"weights_sha256": identity.weights_sha256}},
        "command": "pytest claims/ --study demo --seed 0 --claim nb05-toy",
    }  # fmt: skip
    return store, [line(study="demo", provenance=made)], delta


def test_evidence_is_read_where_it_is_and_never_made(judged):
    store, lines, delta = judged
    before = sorted(path for path in store.rglob("*"))
    held = held_study(lines, store)
    assert np.array_equal(held.resolve(Delta(FEWSHOT)).values, delta.values)
    for absent in (Clusters(Delta(FEWSHOT)), Delta(FEWSHOT, draw=1), Delta("zeroshot/hepg2")):
        with pytest.raises(EvidenceMissingError, match="not in the store"):
            held.resolve(absent)
    with pytest.raises(EvidenceMissingError, match="not kept"):
        held.model(FEWSHOT)
    assert sorted(path for path in store.rglob("*")) == before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"study_sha256": "0" * 64}, "as it is now"),
        ({"models": {FEWSHOT: {"weights_sha256": "0" * 64}}}, "other weights"),
        ({"study_sha256": None}, "without provenance"),
        ({"command": "pytest claims/ --study 'demo"}, "a command that is none"),
        ({"command": "pytest claims/ --study '/no such/folder'"}, "/no such/folder"),
        ({"command": "pytest claims/ --study demo --evidence /no/evidence"}, "/no/evidence"),
    ],
)
def test_figures_are_never_of_another_study_than_the_ledger(judged, changed, said):
    store, (judged_line,), _ = judged
    other = judged_line | {"provenance": judged_line["provenance"] | changed}
    with pytest.raises(JacprobeError, match=said):
        held_study([other], store)
