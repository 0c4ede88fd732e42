"""Evidence for knockdowns by name: the same as that for all, and what is missing said."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.worlds.planted import World, world
from jacprobe.errors import EvidenceMissingError
from jacprobe.requests import Among, Delta, Expression, IfThere, Listed, Named, Targeted, TargetedPair

ROLE = "fewshot/hepg2"
PAIR = TargetedPair(ROLE, regulator="HSPA5", target="ARFGEF2")


@pytest.fixture(scope="module")
def planted() -> World:
    return world()


def test_names_come_first_and_those_of_a_list_after_them_each_once(planted):
    few = planted.resolve(Listed(ROLE, "few"))
    joined = planted.resolve(Named((few[3], "MYC"), Listed(ROLE, "few")))
    assert joined[:2] == (few[3], "MYC")
    assert set(joined) == {*few, "MYC"}
    assert len(joined) == len(set(joined))


def test_a_pair_at_some_knockdowns_is_that_of_all(planted):
    names = ("CHEK1", "TRAPPC3", "non-targeting")
    some, everyone = planted.resolve(Among(PAIR, Named(names))), planted.resolve(PAIR)
    assert some["kd"].values.tolist() == list(names)
    np.testing.assert_allclose(some.sel(kd=list(names[:2])), everyone.sel(kd=list(names[:2])), rtol=1e-6)
    assert "non-targeting" not in everyone["kd"].values


def test_further_regulators_stand_after_the_panels_and_change_nothing(planted):
    alone = planted.resolve(Targeted(ROLE, panel="panel_secretory"))
    more = planted.resolve(Targeted(ROLE, panel="panel_secretory", others=5))
    own = alone["regulator"].values.tolist()
    assert more["regulator"].values.tolist()[: len(own)] == own
    assert len(set(more["regulator"].values.tolist()) - {*own, *alone["target"].values.tolist()}) == 5
    np.testing.assert_array_equal(more.sel(regulator=own), alone)


def test_a_knockdown_that_no_model_has_is_named(planted):
    for of in (PAIR, Delta(ROLE)):
        with pytest.raises(EvidenceMissingError, match="FOXO9 not among the knockdowns"):
            planted.resolve(Among(of, Named(("MYC", "FOXO9"))))
    assert planted.resolve(IfThere(Among(PAIR, Named(("FOXO9",))))) is None


def test_expression_is_the_cells_mean(planted):
    cells = planted.control_cells(ROLE)
    np.testing.assert_allclose(planted.resolve(Expression(ROLE)), cells.values.mean(axis=0))
