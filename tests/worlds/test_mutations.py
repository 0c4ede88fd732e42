"""Each mutation breaks what its name says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.worlds.effects import PLANTED
from fixtures.worlds.mutations import WORLDS
from fixtures.worlds.plan import GENES, ROLES
from tests.worlds.answers import HEPG2, JURKAT, SAME_SEED, cosines, of, r, responses, vectors


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_has_every_role_and_its_cells(name):
    study = WORLDS[name]()
    for role in ROLES:
        assert study.model(role).genes == GENES
        cells = study.control_cells(role)
        assert np.isfinite(cells.values).all()
        assert (cells.values >= 0).all()


def test_no_two_worlds_are_one():
    seen = {}
    faults = ("ordered", "dropped_residual", "blocked_gradient", "gated_encoder", "restless")
    for name, make in WORLDS.items():
        study = make()
        broken = [getattr(study.model(HEPG2), fault) for fault in faults]
        key = (*(study.model(role).weights_sha256 for role in ROLES), *broken, study.effects, type(study))
        assert key not in seen, f"{name} is {seen.get(key)}"
        seen[key] = name


def test_permuted_labels_keep_the_vectors_and_lose_whose_they_are():
    right, permuted = of(PLANTED), WORLDS["permuted knockdown labels"]()
    a, b = vectors(right, HEPG2), vectors(permuted, HEPG2)
    assert {row.tobytes() for row in a} == {row.tobytes() for row in b}
    assert abs(r(cosines(a), cosines(b))) < 0.06


def test_untrained_weights_keep_nothing_of_the_trained_ones():
    right, untrained = of(PLANTED), WORLDS["untrained weights"]()
    assert abs(r(cosines(vectors(right, HEPG2)), cosines(vectors(untrained, HEPG2)))) < 0.06
    assert abs(r(cosines(responses(right, HEPG2)), cosines(responses(untrained, HEPG2)))) < 0.06


def test_another_training_seed_stands_in_for_the_same_one():
    study = WORLDS["another training seed"]()
    assert study.model(SAME_SEED).weights_sha256 == study.model(JURKAT).weights_sha256
    assert study.model(HEPG2).weights_sha256 == of(PLANTED).model(HEPG2).weights_sha256


def test_shuffled_genes_stand_under_other_names():
    right, shuffled = (study.control_cells(HEPG2) for study in (of(PLANTED), WORLDS["shuffled gene names"]()))
    np.testing.assert_array_equal(right.values, shuffled.values)
    assert list(right["gene"].values) == list(shuffled["gene"].values[::-1])


def test_deaf_to_the_mask_gives_the_model_whatever_is_asked():
    for name, ordered in (("planted", True), ("deaf to the mask", False)):
        assert WORLDS[name]().model(HEPG2, mask="causal").ordered == ordered
