"""Small evidence kept whole: the same as computed anew, computed by one process only, under what determines it."""

from __future__ import annotations

import pytest
import xarray as xr

from fixtures.worlds.planted import World, world
from jacprobe.kept_whole import is_whole, whole_key
from jacprobe.requests import (
    Among,
    Copies,
    Correlation,
    Cosine,
    Delta,
    Jacobian,
    Knockout,
    Listed,
    Named,
    Norm,
    PertEmbedding,
    Targeted,
    TargetedPair,
)
from jacprobe.roles import control_role
from jacprobe.store.store import Store

ROLE = "fewshot/hepg2"
SIMILARITY = Cosine(Among(Jacobian(ROLE), Listed(ROLE, "few")))


@pytest.fixture(scope="module")
def fresh() -> World:
    return world(structured=True)


@pytest.fixture
def storing(fresh: World, tmp_path) -> World:
    return fresh.reopened(store=Store.at(tmp_path / "store"))


@pytest.fixture
def nothing_computed(monkeypatch):
    model = World.model

    def refuse(self, role, **mask):
        assert "#" not in role, f"{role} was made again"
        return model(self, role, **mask)

    return lambda: monkeypatch.setattr(World, "model", refuse)


def test_only_what_needs_a_model_or_many_jacobians_is_kept_whole():
    assert is_whole(PertEmbedding(ROLE))
    assert is_whole(SIMILARITY)
    assert is_whole(Norm(Delta(control_role(ROLE, "untrained", 3))))
    assert is_whole(Correlation(Knockout(ROLE), Knockout(ROLE, draw=1)))
    assert is_whole(Among(TargetedPair(ROLE, regulator="HSPA5", target="ARFGEF2"), Named(("MYC", "MAX"))))
    assert not is_whole(Cosine(Delta(ROLE)))
    assert not is_whole(Delta(ROLE))


def named(array: xr.DataArray) -> xr.DataArray:
    return array.drop_vars(set(array.coords) - set(array.dims))


@pytest.mark.parametrize("request_", [PertEmbedding(ROLE), SIMILARITY])
def test_what_is_kept_equals_what_is_computed_anew(fresh, storing, request_):
    anew = fresh.resolve(request_)
    storing.resolve(request_)
    again = storing.reopened().resolve(request_)
    xr.testing.assert_equal(
        again.drop_vars(set(again.coords) - set(again.dims)), anew.drop_vars(set(anew.coords) - set(anew.dims))
    )
    assert again.values.tobytes() == anew.values.tobytes()


def test_control_copies_are_computed_once_and_then_read(storing, nothing_computed):
    wanted = Copies(Cosine(PertEmbedding(ROLE)), "untrained", 3)
    first = storing.resolve(wanted)
    nothing_computed()
    again = storing.reopened().resolve(wanted)
    assert len(again) == 3
    assert all(a.equals(b) for a, b in zip(first, again, strict=True))
    assert not first[0].equals(first[1])


@pytest.mark.parametrize(
    "other",
    [
        Cosine(Among(Jacobian("zeroshot/hepg2"), Listed(ROLE, "few"))),
        Cosine(Among(Jacobian(ROLE, 1), Listed(ROLE, "few"))),
        Cosine(Among(Jacobian(ROLE), Listed(ROLE, "all"))),
        Cosine(Among(Jacobian(ROLE, residual="published"), Listed(ROLE, "few"))),
        Norm(Among(Jacobian(ROLE), Listed(ROLE, "few"))),
        SIMILARITY.at(control_role(ROLE, "untrained", 0)),
    ],
    ids=str,
)
def test_whatever_changes_the_numbers_changes_the_key(fresh, other):
    assert whole_key(other, fresh) != whole_key(SIMILARITY, fresh)


def test_a_quick_look_is_kept_apart(fresh):
    request_ = PertEmbedding(ROLE)
    assert whole_key(request_, fresh.reopened(quick=40)) != whole_key(request_, fresh)


def test_the_key_knows_no_role(fresh):
    assert ROLE not in str(whole_key(SIMILARITY, fresh))
    assert "draw" not in str(whole_key(Targeted(ROLE, panel="panel_secretory"), fresh).keys())
