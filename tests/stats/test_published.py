import csv
import os
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jacprobe.stats import enrichment, leading_share, panel_contrast, percentile_rank, published, vector_contrast
from jacprobe.verdicts.criteria import Above, Equivalent
from jacprobe.verdicts.judge import Verdict, judge


@pytest.fixture(scope="module")
def tables():
    folder = os.environ.get("JACPROBE_REFERENCE")
    if not folder or not (Path(folder) / "original").is_dir():
        pytest.skip("JACPROBE_REFERENCE does not point at a folder with original/")

    def read(name):
        with (Path(folder) / "original" / name).open(newline="") as file:
            return list(csv.DictReader(file))

    return read


def panel(tables, pathway):
    lines = [line for line in tables("nb03_jacobian_results.csv") if line["pathway"] == pathway]
    axes = {axis: list(dict.fromkeys(line[axis] for line in lines)) for axis in ("kd", "regulator", "target")}
    J = xr.DataArray(np.full([len(names) for names in axes.values()], np.nan), dims=tuple(axes), coords=axes)
    for line in lines:
        J.loc[{axis: line[axis] for axis in axes}] = float(line["J"])
    return J, list(dict.fromkeys(line["kd"] for line in lines if line["pathway_kd"] == "True"))


CONTROLS = ["MYC", "BRCA1", "CHEK1"]


@pytest.mark.parametrize(
    ("pathway", "p", "fold", "U"), [("secretory", 0.947, 0.53, 2018), ("ribosome", 0.559, 0.94, 2365)]
)
def test_published_panel_tests_come_out_as_printed(tables, pathway, p, fold, U):
    J, kds = panel(tables, pathway)
    found = published.mann_whitney_over_triples(J.sel(kd=kds).values, J.sel(kd=CONTROLS).values)
    assert round(found["p"], 3) == p
    assert round(found["fold"], 2) == fold
    assert found["U"] == U


def test_knockdown_level_test_of_the_secretory_panel_decides_nothing(tables):
    J, kds = panel(tables, "secretory")
    rng = np.random.default_rng(0)
    estimate = panel_contrast(J, CONTROLS, rng, controls=kds, absolute=False, relative=False)
    assert estimate.effect == pytest.approx(0.0029 * 20 / 16, rel=0.02)
    assert estimate.least_p == pytest.approx(1 / 35)
    assert estimate.dropped == ("target MFGE8",)
    assert judge(Above(0, 0.001), estimate).verdict == Verdict.INCONCLUSIVE
    for signed in (True, False):
        pathway = panel_contrast(J, kds, rng, controls=CONTROLS, absolute=not signed)
        verdict = judge(Above(0, 0.25), pathway)
        assert verdict.verdict == Verdict.INCONCLUSIVE
        assert verdict.reason == "n = 4 is below the 5 units that this verdict needs"


def one_pair(tables):
    lines = tables("nb03_distribution_hspa5_arfgef2.csv")
    values = {line["kd"]: float(line["J"]) for line in lines}
    control = values.pop("non-targeting")
    return xr.DataArray(list(values.values()), dims="kd", coords={"kd": list(values)}), control


@pytest.mark.parametrize(("kd", "published_rank", "rank"), [("CHEK1", 15, 15), ("SRP54", 1888, 1887)])
def test_published_ranks_count_the_control_as_a_knockdown(tables, kd, published_rank, rank):
    values, control = one_pair(tables)
    estimate = percentile_rank(values, kd, control=control)
    assert estimate.as_published["nb03_rank"] == {"rank": published_rank, "of": 2024}
    assert estimate.diagnostics["ranks"] == {kd: rank}
    assert estimate.n == 2023


def test_published_controls_are_not_neutral(tables):
    values, _ = one_pair(tables)
    estimate = vector_contrast(
        values / float(values.mean()), CONTROLS, np.random.default_rng(0), alternative="two-sided"
    )
    assert float(values.sel(kd=CONTROLS).mean() / values.mean()) == pytest.approx(1.76, abs=0.005)
    assert estimate.p == pytest.approx(0.0039, abs=0.003)
    assert judge(Equivalent(0.25), estimate).verdict == Verdict.REFUTED


def clusters(tables):
    return {line["pert_name"]: line["cluster"] for line in tables("nb05_clusters.csv")}


FAMILIES = {
    "RP": r"^(RPL(P[0-2]|\d+[AXY]?|26L1|36AL)|RPS(\d+[AXY]?|A)|FAU|UBA52)$",
    "MRP": r"^MRP[SL]\d",
}


@pytest.mark.parametrize(
    ("family", "cluster", "hits", "k"), [("RP", "8", 68, 73), ("MRP", "4", 50, 66), ("RP", "7", 0, 73)]
)
def test_families_stand_where_membership_puts_them(tables, family, cluster, hits, k):
    labels = clusters(tables)
    members = [name for name in labels if re.match(FAMILIES[family], name)]
    estimate = enrichment(labels, members, cluster=cluster)
    assert (estimate.diagnostics["hits"][cluster], estimate.n) == (hits, k)
    best = enrichment(labels, members)
    assert best.diagnostics["cluster"] == {"RP": "8", "MRP": "4"}[family]
    assert judge(Above(0, 0.1), best).verdict == Verdict.SUPPORTED
    if hits == 0:
        assert judge(Above(0, 0.1), estimate).verdict == Verdict.REFUTED


def test_the_share_of_variance_is_that_of_scikit_learn(rng):
    decomposition = pytest.importorskip("sklearn.decomposition")
    J = rng.normal(size=(20, 50)) + 2 * rng.normal(size=50)
    svd = decomposition.TruncatedSVD(3, algorithm="arpack").fit(J)
    share = leading_share(J.reshape(20, 10, 5)).as_published["nb05_explained_variance_ratio"]
    assert share == pytest.approx(svd.explained_variance_ratio_[0], rel=1e-10)


def test_naive_pairs_call_hubs_coherent(rng):
    S = np.add.outer(h := rng.normal(size=60), h) + rng.normal(scale=0.1, size=(60, 60))
    S = S + S.T
    naive = published.naive_correlation_over_pairs(S, S[::-1, ::-1])
    assert naive["pairs"] == 1770
    found = published.mann_whitney_over_pairs(S, np.argsort(h)[-10:])
    assert found["p"] < 1e-6
    assert found["within"] > found["across"]


def test_a_set_draw_without_plus_one_can_give_zero(rng):
    S = np.eye(40)
    S[:6, :6] = 1
    assert published.set_draw_without_plus_one(S, np.arange(6), rng)["p"] == 0
