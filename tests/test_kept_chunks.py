"""Evidence in the store: never computed twice, never mixed up, the same bits as computed anew."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.worlds.planted import World, world
from jacprobe.collect import collect, tasks
from jacprobe.errors import InputError, UnknownNameError
from jacprobe.kept_chunks import KEPT, kept, key
from jacprobe.requests import Delta, Jacobian, Knockout
from jacprobe.store.store import Store

ROLE = "fewshot/hepg2"


@pytest.fixture(scope="module")
def fresh() -> World:
    return world(structured=True)


@pytest.fixture
def storing(fresh: World, tmp_path) -> World:
    return fresh.reopened(store=Store.at(tmp_path / "store"))


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """Names of the first axis, as they are computed."""
    names: list[str] = []
    for request, kind in list(KEPT.items()):

        def spy(study, request_, kind=kind):
            compute = kind.compute(study, request_)
            return lambda block: names.extend(block) or compute(block)

        spied = type(kind)(kind.probe, kind.version, kind.labels, spy, kind.block, kind.attrs)
        monkeypatch.setitem(KEPT, request, spied)
    return names


@pytest.mark.parametrize("request_", [Delta(ROLE), Knockout(ROLE)])
def test_kept_evidence_is_that_computed_anew_bit_for_bit(fresh, storing, request_):
    anew, there = kept(request_, fresh), kept(request_, storing)
    assert there.equals(anew)
    assert there.values.tobytes() == anew.values.tobytes()


def test_jacobians_of_a_few_knockdowns_are_kept_under_their_names(fresh, storing):
    only = ["MYC", "RPL5"]
    there = kept(Jacobian(ROLE), storing, only=only)
    assert there["kd"].values.tolist() == only
    np.testing.assert_array_equal(there.values, kept(Jacobian(ROLE), fresh, only=only).values)


def test_nothing_is_computed_twice(storing, computed):
    kept(Delta(ROLE), storing, only=["MYC", "MAX"])
    first = len(computed)
    kept(Delta(ROLE), storing.reopened(), only=["MYC", "MAX"])
    assert first > 0
    assert len(computed) == first


def test_a_few_names_are_computed_alone_and_with_the_bits_that_all_have(fresh, storing, computed):
    whole = kept(Delta(ROLE), fresh)
    computed.clear()
    spread = [str(name) for name in whole["kd"].values[::40]]
    there = kept(Delta(ROLE), storing, only=spread)
    assert computed == spread
    assert there.values.tobytes() == whole.sel(kd=spread).values.tobytes()


def test_a_shared_store_is_read_before_anything_is_computed(fresh, storing, computed, tmp_path):
    kept(Delta(ROLE), storing)
    done = len(computed)
    above = fresh.reopened(store=Store.at(tmp_path / "own", [storing.store.root]))
    kept(Delta(ROLE), above)
    assert len(computed) == done


@pytest.mark.parametrize(
    ("change", "request_"),
    [
        ({}, Delta("zeroshot/hepg2")),
        ({}, Delta(ROLE, draw=1)),
        ({}, Knockout(ROLE)),
        ({"seed": 5}, Delta(ROLE)),
        ({"batch": "own"}, Delta(ROLE)),
    ],
)
def test_whatever_changes_the_numbers_changes_the_key(fresh, change, request_):
    assert key(request_, fresh.reopened(**change)) != key(Delta(ROLE), fresh)


def test_the_key_knows_neither_the_role_nor_any_path(fresh):
    found = key(Delta(ROLE), fresh)
    assert "role" not in found
    assert not [value for value in found.values() if "/" in str(value)]


def test_collecting_fills_what_was_asked_for_and_says_how_far_it_is(storing, computed):
    told = []
    todo = tasks(storing, ["delta"], kds=5, draws=2)
    collect(storing, todo, lambda task, now: told.append((task.title, now.done, now.total)))
    assert len(todo) == 2 * len(storing.models)
    assert ("delta fewshot/hepg2 draw 1", 5, 5) in told
    before = len(computed)
    collect(storing, todo)
    assert len(computed) == before


def test_what_cannot_be_collected_is_refused(fresh):
    with pytest.raises(UnknownNameError, match=r"unknown probe dleta \(nearest: delta\)"):
        tasks(fresh, ["dleta"])
    with pytest.raises(InputError, match="at least 1"):
        tasks(fresh, kds=0)
    with pytest.raises(InputError, match="without a store"):
        collect(fresh, [])
