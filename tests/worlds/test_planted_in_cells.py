"""What is planted in the models' dependence on their cells: silenced genes, panels, layers, lines."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from fixtures.worlds.effects import NOTHING, PLANTED
from fixtures.worlds.plan import GENES, KNOCKDOWNS, LIPID, MARKERS, MOOD, PANELS, PATHWAY, ROLES, SILENCED_SETS
from jacprobe.errors import InputError
from tests.worlds.answers import (
    HEPG2,
    JURKAT,
    REPLICATE,
    SAME_SEED,
    ZEROSHOT,
    cells_of,
    changed,
    cosines,
    of,
    responses,
    silenced,
)
from tests.worlds.test_planted import GROUP, PLACE, within

# Genes that set a context answer for the context, not for themselves.
PLAIN = [i for i, gene in enumerate(GENES) if gene not in {*MOOD, *MARKERS["hepg2"], *MARKERS["jurkat"]}]


def agreement(study, a, b, **of_b):
    first, second = silenced(study, a)[PLAIN], silenced(study, b, **of_b)[PLAIN]
    off = [np.delete(np.arange(len(GENES)), i) for i in PLAIN]
    return np.array([np.corrcoef(x[keep], y[keep])[0, 1] for x, y, keep in zip(first, second, off, strict=True)])


@pytest.fixture(scope="module")
def planted():
    return of(PLANTED)


@pytest.fixture(scope="module")
def nothing():
    return of(NOTHING)


def test_silenced_genes_agree_by_training_seed_then_line(planted, nothing):
    shared, replicate, other = (agreement(planted, HEPG2, role) for role in (SAME_SEED, REPLICATE, JURKAT))
    assert shared.mean() == pytest.approx(PLANTED.ko_shared_seed, abs=0.06)
    assert replicate.mean() == pytest.approx(PLANTED.ko_replicate, abs=0.06)
    assert 0 < other.mean() < 0.2
    assert (other < -0.35).mean() == pytest.approx(PLANTED.ko_reversed, abs=0.05)
    for role in (SAME_SEED, REPLICATE, JURKAT):
        assert abs(agreement(nothing, HEPG2, role).mean()) < 0.05


def test_silenced_genes_answer_alike_over_draws_and_otherwise_in_the_other_line(planted, nothing):
    assert agreement(planted, HEPG2, HEPG2, draw=1).mean() > 0.9
    assert 0.5 < agreement(planted, HEPG2, HEPG2, line="jurkat").mean() < 0.85
    deaf = changed(line_context=0.0, low=0.0)
    assert agreement(deaf, HEPG2, HEPG2, line="jurkat").mean() > 0.95


def test_lipid_outputs_diverge_most_between_the_lines(planted):
    apart = np.abs(silenced(planted, HEPG2) - silenced(planted, JURKAT)).mean(axis=0)
    assert sum(GENES[i] in LIPID for i in np.argsort(-apart)[:20]) >= 16
    alike = changed(ko_lipid=-0.22)
    apart = np.abs(silenced(alike, HEPG2) - silenced(alike, JURKAT)).mean(axis=0)
    assert sum(GENES[i] in LIPID for i in np.argsort(-apart)[:20]) < 8


def test_sets_of_silenced_genes_answer_alike_only_if_they_are_to(planted):
    for study, wanted in ((planted, 0.0), (changed(ko_sets=0.5), 0.5)):
        profiles = silenced(study, HEPG2)
        for genes in SILENCED_SETS.values():
            rows = profiles[[GENES.index(gene) for gene in genes]]
            rest = np.delete(rows, [GENES.index(gene) for gene in genes], axis=1)
            alike = np.corrcoef(rest)[np.triu_indices(len(genes), 1)].mean()
            # The line's part of the answer is no set's: it takes a fifth of what they share.
            assert alike == pytest.approx(wanted, abs=0.15)


def panel_means(study, panel):
    """Mean over the panel's pairs of dY[target]/dX[regulator] by autograd, per knockdown."""
    model = study.model(HEPG2).to(dtype=torch.float64)
    cells = cells_of(study, HEPG2)
    regulators, targets = ([GENES.index(gene) for gene in genes] for genes in PANELS[panel])
    batch = torch.zeros(1, len(cells), dtype=torch.long)
    found = []
    for p in model.pert_vectors(torch.arange(len(KNOCKDOWNS))):
        shift = torch.zeros(len(GENES), dtype=torch.float64, requires_grad=True)
        total = model.forward((cells + shift)[None], p[None], batch)[0].mean(dim=0)[targets].sum()
        found.append(torch.autograd.grad(total, shift)[0][regulators].mean().item() / len(targets))
    return np.array(found)


def test_panels_are_raised_by_pathways_only_if_they_are_to_and_by_the_controls(planted):
    for study, raised in ((planted, 0.0), (changed(secretory=0.8, ribosome=0.8), 0.8)):
        for panel, pathway in PATHWAY.items():
            means = panel_means(study, panel) / np.median(panel_means(study, panel))
            inside = np.array([means[PLACE[kd]] for kd in pathway if kd != "SRP54"])
            assert inside.mean() - 1 == pytest.approx(raised, abs=0.2)
    secretory = panel_means(planted, "panel_secretory")
    order = [KNOCKDOWNS[i] for i in np.argsort(-secretory)]
    assert order[0] == "CHEK1"
    assert max(order.index(kd) for kd in ("MYC", "BRCA1")) < 8
    assert order.index("SRP54") > 0.9 * len(order)


def features(study, role, **kind):
    """The last layer's mean under each knockdown minus that under the control: [n, D]."""
    model = study.model(role).to(dtype=torch.float64)
    cells = cells_of(study, role, **kind)[None]
    batch = torch.zeros(1, cells.shape[1], dtype=torch.long)
    every = model.pert_vectors(torch.arange(len(model.perturbations)))
    with torch.no_grad():
        held = [model.activations(cells, p[None], batch, model.n_layers)[0].mean(dim=0).numpy() for p in every]
    return np.array(held[:-1]) - held[-1]


def test_families_cohere_in_the_layers_where_they_are_to(planted, nothing):
    for role in (HEPG2, JURKAT, ZEROSHOT):
        cosine = cosines(features(planted, role))
        for group in ("mitoribosome", "oxphos", "ribosome"):
            assert cosine[within(group)].mean() > cosine.mean() + 0.15
        assert abs(cosine[within("proteasome")].mean() - cosine.mean()) < 0.1
        assert (cosine[within("er")].mean() > cosine.mean() + 0.2) == (role == HEPG2)
    cosine = cosines(features(nothing, HEPG2))
    assert all(abs(cosine[within(group)].mean() - cosine.mean()) < 0.1 for group in ("mitoribosome", "oxphos", "er"))


def test_knockdowns_with_line_biased_features_differ_between_the_lines_srp54_most(planted, nothing):
    def across(study):
        here, there = features(study, HEPG2), features(study, HEPG2, line="jurkat")
        return (here * there).sum(axis=1) / np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1), here, there

    cosine, here, there = across(planted)
    turned = np.abs(here.mean(axis=0) - there.mean(axis=0)) > 0.1
    share = np.square(here[:, turned]).sum(axis=1) / np.square(here).sum(axis=1)
    assert 0 < turned.sum() <= 6
    assert np.corrcoef(share, cosine)[0, 1] < -0.8
    assert KNOCKDOWNS[int(np.argmin(cosine))] == "SRP54"
    assert across(nothing)[0].min() > 0.9


# What an effect is changed to where a little more of it is no change, or none that is allowed.
CHANGES = {
    **dict.fromkeys(("shared", "centred", "memorised"), False),
    **dict.fromkeys(("er_everywhere", "er_routing", "architecture", "regrouped", "panel_low"), True),
    "coherent": (),
    "core": 5,
    "core_zeroshot": 3,
    "giant": 5.0,
    "transfer": 0.9,
    "replicate": 0.9,
}


def traces(study):
    """Hashes of everything that effects can reach."""
    weights = [study.model(role).weights_sha256 for role in (*ROLES, f"{HEPG2}#untrained-0")]
    arrays = [study.control_cells(HEPG2).values, study.observed("hepg2").values]
    return (*weights, *(array.tobytes() for array in arrays))


@pytest.mark.parametrize("name", [item.name for item in fields(PLANTED)])
def test_every_effect_reaches_something(planted, name):
    value = CHANGES.get(name)
    if value is None:
        value = getattr(PLANTED, name) + 0.1
    assert traces(of(replace(PLANTED, **{name: value}))) != traces(planted)


def test_a_world_is_the_same_each_time(planted):
    assert traces(of.__wrapped__(PLANTED)) == traces(planted)
    np.testing.assert_array_equal(responses(of.__wrapped__(PLANTED), HEPG2), responses(planted, HEPG2))


def test_groups_and_their_places_are_those_of_the_plan():
    assert len(set(KNOCKDOWNS)) == len(KNOCKDOWNS) == len(GROUP)
    assert len(set(GENES)) == len(GENES)


def test_a_share_beyond_one_is_refused():
    with pytest.raises(InputError, match=r"transfer=1\.2"):
        replace(PLANTED, transfer=1.2)
