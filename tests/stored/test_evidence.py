"""Evidence computed by others: what its files answer, what is said of it, and what it cannot tell."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from jacprobe.errors import EvidenceMissingError, StudyError
from jacprobe.judging import Judging
from jacprobe.opening import open_study
from jacprobe.requests import (
    Among,
    Clusters,
    Copies,
    Correlation,
    Cosine,
    Delta,
    Draws,
    EveryRole,
    Features,
    IfThere,
    Jacobian,
    Listed,
    Named,
    OnehotCosine,
    PertEmbedding,
    Split,
    Targeted,
)
from jacprobe.stored import evidence as stored
from jacprobe.stored.catalogue import FEWER_CELLS, ON_COSINE, OWN_LISTS, PUBLISHED_FORWARD, SAME_CELLS
from jacprobe.suite import load_rows, suite_root
from tests.stored.conftest import GENES, KDS

FEWSHOT, ZEROSHOT = "fewshot/hepg2", "zeroshot/hepg2"
CLUSTERS = Clusters(Delta(FEWSHOT))


def study_of(folder, **more):
    return open_study("replogle-nadig", evidence=folder, **more)


def test_tables_answer_with_their_names_and_draws_are_the_one_that_is_there(tables):
    study = study_of(tables)
    labels = study.resolve(CLUSTERS)
    assert labels["kd"].values.tolist() == KDS
    assert labels.sel(kd="SMU1") == 1 + KDS.index("SMU1") // 4 % 15
    (only,) = study.resolve(Draws(Clusters(Delta(FEWSHOT), linkage="ward-on-cosine"), 10))
    assert only.equals(labels)
    assert study.roles == (FEWSHOT, ZEROSHOT)
    assert study.knockdowns == tuple(KDS)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (Delta(FEWSHOT), "no nb05_delta_y.parquet"),
        (Clusters(Delta(FEWSHOT), linkage="average"), "no nb05_delta_y.parquet"),
        (Cosine(Among(Jacobian(ZEROSHOT), Listed(FEWSHOT))), "no nb06_jacobians.npy and no nb06_jacobian_kd_names"),
        (EveryRole(Features(FEWSHOT), (FEWSHOT, "fewshot/jurkat"), "all"), "no pert_mean_features_hepg2.parquet"),
        (Targeted(FEWSHOT, panel="panel_secretory"), "no nb03_jacobian_results.csv"),
        (Copies(CLUSTERS, "untrained", 3), "no untrained copies of fewshot/hepg2.*what is learned"),
        (Split(ZEROSHOT), "no model for the role zeroshot/hepg2.*no file of the original holds Split"),
        (PertEmbedding(FEWSHOT), "no file of the original holds PertEmbedding"),
        (Delta(FEWSHOT, draw=1), "no file of the original holds Delta"),
        (Delta("seed-replicate"), "no model for the role seed-replicate"),
    ],
)
def test_what_is_not_there_is_named_by_its_file(tables, request_, named):
    study = study_of(tables)
    with pytest.raises(EvidenceMissingError, match=named):
        study.resolve(request_)
    assert study.resolve(IfThere(request_)) is None


def test_arrays_are_rows_by_name_and_stay_on_disk(arrays):
    study = study_of(arrays)
    J = study.resolve(Among(Jacobian(FEWSHOT), Listed(FEWSHOT)))
    assert J.dims == ("kd", "gene", "latent")
    assert J["kd"].values.tolist() == KDS[:20]
    assert J["gene"].values.tolist() == GENES
    assert isinstance(J.variable.values.base, np.memmap) or isinstance(J.values, np.memmap)
    whole = np.load(arrays / "nb05_jacobians.npy", mmap_mode="r")
    some = study.resolve(Among(Jacobian(FEWSHOT), Named(("RPL5", "RPL3"))))
    np.testing.assert_array_equal(some.values, whole[[2, 0]])
    with pytest.raises(EvidenceMissingError, match=r"MTPAP not in nb05_jacobians.npy"):
        study.resolve(Among(Jacobian(FEWSHOT), Named(("RPL5", "MTPAP"))))
    assert study.resolve(Listed(FEWSHOT, "few")) == tuple(KDS[:20])


def test_what_nb08_to_nb10_stored_is_in_the_order_of_the_lists_that_they_took(scratch):
    folder = scratch("nb05_delta_y.parquet")
    rng, short = np.random.default_rng(0), KDS[:3]
    (folder / "nb05_jacobian_kd_names.pkl").write_bytes(pickle.dumps(short))
    (folder / "nb09_jacobian_kd_names.pkl").write_bytes(pickle.dumps(KDS[1:4]))
    whole = {name: rng.normal(size=(3, 2000, 328)).astype(np.float32) for name in ("nb09", "nb10")}
    for name, values in whole.items():
        np.save(folder / f"{name}_jacobians.npy", values)
    onehot = rng.normal(size=(3, 2000, 2024)).astype(np.float32)
    np.save(folder / "nb08_jacobians_onehot.npy", onehot)
    study = study_of(folder)
    assert study.stored is not None
    study.stored.check()
    for request, name in (
        (Among(Jacobian(FEWSHOT), Listed(FEWSHOT, "all")), "nb09"),
        (Jacobian(FEWSHOT, times=4), "nb10"),
    ):
        found = study.resolve(request)
        assert found["kd"].values.tolist() == KDS[1:4]
        np.testing.assert_array_equal(found.values, whole[name])
    cosines = study.resolve(OnehotCosine(Among(Jacobian(FEWSHOT), Listed(FEWSHOT))))
    flat = onehot.reshape(3, -1).astype(np.float64)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines.values, flat @ flat.T, atol=1e-5)
    assert cosines["kd"].values.tolist() == short
    assert study.stored.remarks(Delta(FEWSHOT, times=4)) == (FEWER_CELLS,)
    np.testing.assert_array_equal(study.resolve(Delta(FEWSHOT, times=4)), study.resolve(Delta(FEWSHOT)))


def test_each_models_rows_are_of_its_own_published_list(arrays):
    study = study_of(arrays)
    for kind in (Jacobian, Delta):
        assert study.resolve(Among(kind(ZEROSHOT), Listed(FEWSHOT)))["kd"].values.tolist() == KDS[12:32]


def test_similarities_and_clusters_are_made_of_stored_rows(arrays, tmp_path):
    study = study_of(arrays, store=tmp_path / "store")
    S = study.resolve(Cosine(Among(Jacobian(FEWSHOT), Listed(FEWSHOT))))
    flat = np.load(arrays / "nb05_jacobians.npy").reshape(20, -1).astype(np.float64)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(S.values, flat @ flat.T, atol=1e-5)
    assert study.resolve(Clusters(Delta(FEWSHOT), linkage="average")).sizes["kd"] == len(KDS)
    r = study.resolve(Correlation(Delta(FEWSHOT), Delta(ZEROSHOT)))  # no table of them: made of the responses
    assert r.sizes["kd"] == len(KDS)
    assert not list((tmp_path / "store").glob("**/zarr.json"))  # nothing kept under weights that nobody knows


def test_what_is_said_of_stored_evidence_is_of_the_files_that_are_there(arrays, tables):
    full, bare = study_of(arrays).stored, study_of(tables).stored
    assert full is not None
    assert bare is not None
    similarity = Cosine(Among(Jacobian(FEWSHOT), Listed(FEWSHOT)))
    assert full.remarks(similarity) == (PUBLISHED_FORWARD, OWN_LISTS)
    assert bare.remarks(similarity) == ()
    assert full.remarks(Cosine(Among(Jacobian(FEWSHOT, residual="published"), Listed(FEWSHOT)))) == (OWN_LISTS,)
    assert bare.remarks(CLUSTERS) == (ON_COSINE,)
    assert bare.remarks(Clusters(Delta(FEWSHOT, draw=1))) == (ON_COSINE, SAME_CELLS)
    assert bare.remarks(Draws(Clusters(Delta(FEWSHOT), linkage="ward-on-cosine"))) == (stored.ONE_DRAW,)
    assert bare.remarks(IfThere(Copies(CLUSTERS, "untrained", 3))) == ()
    assert list(bare.files(CLUSTERS)) == ["nb05_clusters.csv"]


def test_stored_and_computed_evidence_of_one_claim_is_marked(tables):
    study = study_of(tables)
    assert study.stored is not None
    requests = [CLUSTERS, Delta(FEWSHOT)]
    assert stored.mixed(requests, study.stored, [FEWSHOT])
    assert not stored.mixed(requests, study.stored, [])
    assert not stored.mixed([CLUSTERS], study.stored, [FEWSHOT])
    assert not stored.mixed([Delta(FEWSHOT)], study.stored, [FEWSHOT])


def test_a_folder_without_any_of_the_files_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"none of the original's files; wanted of insilico_ko_gene_idx\.npy"):
        study_of(tmp_path)
    with pytest.raises(StudyError, match="no folder"):
        study_of(tmp_path / "nowhere")


NB06 = (
    "nb06-cluster-agreement-reproduces",
    "nb06-clusterings-unrelated",
    "nb06-er-co-clustering-absent-in-zeroshot",
    "nb06-er-co-clustering-lost-in-zeroshot",
    "nb06-response-agreement-reproduces",
    "nb06-most-responses-diverge",
    "nb06-named-knockdowns-lead-agreement",
)


@pytest.mark.parametrize("claim_id", NB06)
def test_tables_of_clusters_and_correlations_judge_claims(tables, claim_id):
    rows = load_rows(suite_root() / "claims")
    line = Judging(study_of(tables), rows).record(rows[claim_id])
    assert line["verdict"] in ("SUPPORTED", "REFUTED", "INCONCLUSIVE"), line["reason"]
    assert set(line["provenance"]["evidence"]) <= {
        "nb05_clusters.csv",
        "nb06_clusters.csv",
        "nb06_kd_fewshot_zeroshot_corr.csv",
    }
    assert line["provenance"]["evidence"]
    assert all(len(sha256) == 64 for sha256 in line["provenance"]["evidence"].values())


def test_both_statistics_stand_beside_the_verdict(tables):
    rows = load_rows(suite_root() / "claims")
    judging = Judging(study_of(tables), rows)
    lines = {claim_id: judging.record(rows[claim_id]) for claim_id in NB06}
    summary = lines["nb06-response-agreement-reproduces"]["as_published"]["nb06_summary"]
    assert summary["mean"] == pytest.approx(0.3)
    assert summary["median"] == pytest.approx(0.3)
    assert summary["of"] == len(KDS)
    assert summary["sd"] == pytest.approx(np.linspace(0.9, -0.3, len(KDS)).std())
    assert lines["nb06-cluster-agreement-reproduces"]["as_published"]["adjusted_rand_index"] < 1
    absent = lines["nb06-er-co-clustering-absent-in-zeroshot"]
    assert absent["as_published"]["membership"]["of"] == absent["n"]
    assert absent["diagnostics"]["share"] > absent["diagnostics"]["background"]
    assert absent["diagnostics"]["nulls"]
