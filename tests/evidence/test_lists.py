"""Lists of knockdowns: chosen once, by a rule, for all models and draws."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from fixtures.worlds.planted import world
from jacprobe.evidence.lists import FEW, PER_CLUSTER
from jacprobe.requests import (
    Among,
    Clusters,
    Cosine,
    Delta,
    Draws,
    Features,
    FromSets,
    Jacobian,
    Knockout,
    Listed,
    Lists,
    Norm,
    Silenced,
)

ROLE = "fewshot/hepg2"


@pytest.fixture(scope="module")
def study():
    return world(structured=True)


def test_all_is_every_knockdown_in_the_models_order_without_the_control(study):
    identity = study.identity(ROLE)
    assert list(study.resolve(Listed(ROLE, "all"))) == [kd for kd in identity.perturbations if kd != identity.control]


def test_the_strongest_are_those_of_largest_response_in_each_cluster(study):
    labels, sizes = study.resolve(Clusters(Delta(ROLE))), study.resolve(Norm(Delta(ROLE)))
    chosen = set(study.resolve(Listed(ROLE, "strongest")))
    for cluster in np.unique(labels.values):
        members = labels["kd"].values[labels.values == cluster]
        ranked = sorted(members, key=lambda kd: -float(sizes.sel(kd=kd)))
        assert chosen & set(members) == set(ranked[:PER_CLUSTER])


def test_stratified_lists_take_as_many_of_each_cluster_and_differ_by_number(study):
    labels = study.resolve(Clusters(Delta(ROLE)))
    of = dict(zip(labels["kd"].values, labels.values, strict=True))
    lists = [study.resolve(Listed(ROLE, "stratified", number)) for number in range(3)]
    sizes = Counter(of.values())
    for chosen in lists:
        assert Counter(of[kd] for kd in chosen) == {c: min(PER_CLUSTER, n) for c, n in sizes.items()}
    assert len({frozenset(chosen) for chosen in lists}) > 1


def test_few_are_spread_over_the_routing_list(study):
    routing, few = study.resolve(Listed(ROLE, "routing")), study.resolve(Listed(ROLE, "few"))
    places = [routing.index(kd) for kd in few]
    assert len(few) == min(FEW, len(routing))
    assert places == sorted(places)
    assert max(np.diff(places)) <= len(routing) / len(few) + 1


def test_other_draws_and_lists_are_of_the_same_knockdowns_or_the_same_draw(study):
    over_draws = study.resolve(Draws(Cosine(Among(Delta(ROLE), Listed(ROLE, "few"))), 3))
    assert len({tuple(one["kd"].values) for one in over_draws}) == 1
    over_lists = study.resolve(Lists(Among(Delta(ROLE), Listed(ROLE, "stratified")), 2))
    assert [tuple(one["kd"].values) for one in over_lists] == [
        study.resolve(Listed(ROLE, "stratified", number)) for number in range(2)
    ]


def test_among_restricts_jacobians_before_they_are_computed(study, monkeypatch):
    from jacprobe.probes import routing

    asked: list[str] = []
    prepare = routing.pert_jacobian

    def spy(model, cells, **options):
        at = prepare(model, cells, **options)
        return SimpleNamespace(stacked=lambda names, name: asked.extend(names) or at.stacked(names, name))

    monkeypatch.setattr(routing, "pert_jacobian", spy)
    few = study.resolve(Listed(ROLE, "few"))
    study.reopened().resolve(Among(Jacobian(ROLE), Listed(ROLE, "few")))
    assert sorted(asked) == sorted(few)


def test_the_genes_to_silence_are_the_most_expressed(study):
    chosen = study.resolve(Silenced(ROLE, 10))
    mean = study.control_cells(ROLE).mean("cell")
    assert float(mean.sel(gene=list(chosen)).min()) >= float(mean.drop_sel(gene=list(chosen)).max())
    assert list(study.resolve(Among(Knockout(ROLE), Silenced(ROLE, 10)))["gene_in"].values) == list(chosen)


def test_a_quick_look_takes_at_most_so_many_of_everything(study):
    quick = study.reopened(quick=40)
    assert len(quick.resolve(Listed(ROLE, "all"))) == 40
    assert quick.resolve(Delta(ROLE)).sizes["kd"] == 40
    assert quick.resolve(Knockout(ROLE)).sizes["gene_in"] <= 40


def test_a_list_from_sets_has_some_of_each_and_others_that_no_set_holds(study):
    sets = ("mitoribosome", "oxphos")
    chosen = study.resolve(FromSets(ROLE, sets, each=5, n=30))
    inside = {name: set(study.gene_set(name)) for name in sets}
    assert {name: len(inside[name] & set(chosen)) for name in sets} == {"mitoribosome": 5, "oxphos": 5}
    assert len(chosen) == 30
    everyone = study.knockdowns_of(ROLE)
    assert [everyone.index(kd) for kd in chosen] == sorted(everyone.index(kd) for kd in chosen)


@pytest.mark.parametrize("centre", [True, False])
def test_features_of_some_knockdowns_are_rows_of_all(study, centre):
    listed = FromSets(ROLE, ("oxphos",), n=20)
    some = study.resolve(Among(Features(ROLE, centre=centre), listed))
    everything = study.resolve(Features(ROLE, centre=centre))
    np.testing.assert_array_equal(some, everything.sel(kd=list(study.resolve(listed))))
    assert some.attrs["direction"] == everything.attrs["direction"]
