"""Evidence made of other evidence: means of clusters, and what stands beside a verdict without being needed."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.worlds.planted import world
from jacprobe.judging import Judging
from jacprobe.requests import ClusterMeans, Clusters, Copies, Delta, IfThere
from jacprobe.stats.clusterings import adjusted_rand_index
from jacprobe.store.store import Store
from jacprobe.suite import load_rows, suite_root

ROLE = "fewshot/hepg2"
CLUSTERS = Clusters(Delta(ROLE))


@pytest.fixture(scope="module")
def study():
    return world()


def test_means_of_clusters_are_those_of_their_members(study):
    delta, labels = study.resolve(Delta(ROLE)), study.resolve(CLUSTERS)
    means = study.resolve(ClusterMeans(Delta(ROLE), CLUSTERS))
    assert means.dims == ("cluster", "gene")
    assert means["gene"].values.tolist() == delta["gene"].values.tolist()
    for cluster in means["cluster"].values:
        members = labels["kd"].values[labels.values == cluster]
        wanted = np.mean([delta.sel(kd=kd).values for kd in members], axis=0)
        np.testing.assert_allclose(means.sel(cluster=cluster), wanted, atol=1e-6)


def test_linkages_are_told_apart(study):
    published = study.resolve(Clusters(Delta(ROLE), linkage="ward-on-cosine"))
    assert published["kd"].values.tolist() == study.resolve(CLUSTERS)["kd"].values.tolist()
    assert 0 < adjusted_rand_index(published.values, study.resolve(CLUSTERS).values) <= 1


def test_what_is_not_there_is_none_and_what_is_there_is_itself(study):
    alone = study.reopened(models={ROLE: study.models[ROLE]}, built={ROLE: study.built[ROLE]})
    assert alone.resolve(IfThere(Clusters(Delta("seed-replicate")))) is None
    assert alone.resolve(IfThere(CLUSTERS)).equals(alone.resolve(CLUSTERS))


def test_a_claim_names_only_the_optional_models_that_the_study_has(study):
    rows = load_rows(suite_root() / "claims")
    claim = rows["nb05-ribosome-knockdowns-co-cluster"]
    alone = study.reopened(models={ROLE: study.models[ROLE]}, built={ROLE: study.built[ROLE]})
    assert Judging(study, rows).models(claim) == [ROLE, "seed-replicate"]
    assert Judging(alone, rows).models(claim) == [ROLE]
    assert Judging(alone, rows).judge(claim)[0].verdict == "SUPPORTED"


def test_clusters_of_copies_are_kept_as_the_whole_numbers_they_are(study, tmp_path):
    keeping = study.reopened(store=Store.at(tmp_path / "store"))
    for request in (Copies(CLUSTERS, "untrained", 2), Copies(ClusterMeans(Delta(ROLE), CLUSTERS), "untrained", 2)):
        first, again = keeping.resolve(request), keeping.reopened().resolve(request)
        anew = study.resolve(request)
        for a, b, c in zip(first, again, anew, strict=True):
            assert a.dtype == b.dtype == c.dtype
            np.testing.assert_array_equal(a.values, b.values)
            np.testing.assert_array_equal(a.values, c.values)
