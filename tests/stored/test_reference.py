"""The claims on NB03 and on NB05's clusters, judged on the tables of the published models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jacprobe.judging import Judging
from jacprobe.opening import open_study
from jacprobe.suite import load_rows, suite_root
from jacprobe.verdicts.expectations import study_expectations

SUPPORTED, REFUTED, INCONCLUSIVE = "SUPPORTED", "REFUTED", "INCONCLUSIVE"
# Four against three knockdowns have 35 labellings: Holm's least p over two panels is .057, so nothing could be shown.
VERDICTS = {
    "nb03-secretory-panel-not-elevated": INCONCLUSIVE,
    "nb03-ribosome-panel-not-elevated": INCONCLUSIVE,
    "nb03-secretory-panel-reversed": INCONCLUSIVE,
    "nb03-control-knockdowns-are-neutral": REFUTED,
    "nb03-chek1-rank-reproduces": SUPPORTED,
    "nb03-chek1-in-top-percent": SUPPORTED,
    "nb03-srp54-in-bottom-tenth": SUPPORTED,
    "nb03-dna-damage-outranks-secretory": INCONCLUSIVE,
    "nb03-input-jacobian-not-pathway-specific": INCONCLUSIVE,
    "nb05-largest-cluster-size-reproduces": SUPPORTED,
    "nb05-ribosome-knockdowns-co-cluster": SUPPORTED,
    "nb05-er-secretory-knockdowns-co-cluster": INCONCLUSIVE,
}


@pytest.fixture(scope="module")
def lines():
    folder = os.environ.get("JACPROBE_REFERENCE")
    if not folder or not (Path(folder) / "original").is_dir():
        pytest.skip("JACPROBE_REFERENCE does not point at a folder with original/")
    rows = load_rows(suite_root() / "claims")
    study = open_study("replogle-nadig", evidence=Path(folder) / "original")
    judging = Judging(study, rows, study_expectations(study.folder, rows))
    return {claim_id: judging.record(rows[claim_id]) for claim_id in VERDICTS}


@pytest.mark.parametrize("claim_id", VERDICTS)
def test_verdicts(lines, claim_id):
    line = lines[claim_id]
    assert line["verdict"] == VERDICTS[claim_id], line["reason"]


def test_panels_beside_the_test_over_triples(lines):
    for pathway, p, fold in (("secretory", 0.947, 0.53), ("ribosome", 0.559, 0.94)):
        line = lines[f"nb03-{pathway}-panel-not-elevated"]
        triples = line["as_published"]["nb03_triples"]
        assert triples["p"] == pytest.approx(p, abs=5e-4)
        assert triples["fold"] == pytest.approx(fold, abs=5e-3)
        assert line["n"] == 4
        assert line["p"] >= 1 / 35  # no labelling of seven gives less
        assert any("4 against 3 controls" in flag and "needs J under them" in flag for flag in line["flags"])
    assert "target MFGE8" in lines["nb03-secretory-panel-not-elevated"]["diagnostics"]["dropped"]


def test_ranks_count_non_targeting_as_published_and_leave_it_out_as_judged(lines):
    for name, rank, judged in (
        ("nb03-chek1-rank-reproduces", 15, 15 / 2023),
        ("nb03-srp54-in-bottom-tenth", 1888, 1887 / 2023),
    ):
        line = lines[name]
        assert line["as_published"]["nb03_rank"] == {"rank": rank, "of": 2024}
        assert line["effect"] == pytest.approx(judged)
        assert any("one control-cell draw" in flag for flag in line["flags"])
    assert lines["nb03-chek1-rank-reproduces"]["reason"].startswith("REPRODUCED")


def test_one_draw_shows_an_order_and_not_how_often_it_holds(lines):
    line = lines["nb03-dna-damage-outranks-secretory"]
    assert line["effect"] == 1
    assert line["ci"][0] < 0.05


def test_controls_are_not_neutral(lines):
    line = lines["nb03-control-knockdowns-are-neutral"]
    assert line["as_published"]["nb03_over_all"]["control_kds"] == pytest.approx(1.76, abs=5e-3)
    assert line["diagnostics"]["nulls"][0]["p"] == pytest.approx(0.0039, abs=2e-3)


def test_clusters(lines):
    largest = lines["nb05-largest-cluster-size-reproduces"]
    assert largest["as_published"] == {"largest": 512, "of": 2023, "share": pytest.approx(512 / 2023)}
    (sizes,) = largest["diagnostics"]["sizes"]
    assert len(sizes) == 15
    assert sum(sizes) == 2023
    ribosome = lines["nb05-ribosome-knockdowns-co-cluster"]
    assert ribosome["n"] == 73
    assert ribosome["as_published"] == {"membership": {"cluster": "8", "members": 68, "of": 73}}
    assert ribosome["diagnostics"]["best_cluster"] == "8"
    assert ribosome["diagnostics"]["best_cluster_hits"] == 68
    er = lines["nb05-er-secretory-knockdowns-co-cluster"]
    assert er["diagnostics"]["share"] == pytest.approx(0.206, abs=5e-4)
    assert er["diagnostics"]["background"] == pytest.approx(0.112, abs=5e-4)


def test_every_verdict_names_its_files(lines):
    for claim_id, line in lines.items():
        if line["kind"] != "composite":
            assert line["provenance"]["evidence"], claim_id
            assert any(flag.startswith("stored") for flag in line["flags"]), claim_id
