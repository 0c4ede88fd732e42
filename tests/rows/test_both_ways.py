"""Every claim can come out both ways: SUPPORTED in a world where it is true, something else where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.worlds.mutations import WORLDS
from fixtures.worlds.turns import rows, turns, verdict
from jacprobe.judging import Judging

ROWS, TURNS = rows(), turns()


def by_world(of: str) -> list[Any]:
    """Return the claims world by world, each world's for one worker, so that it is made once and its evidence too."""
    worlds = {claim_id: getattr(TURNS[claim_id], of) for claim_id in ROWS}
    return [
        pytest.param(claim_id, marks=pytest.mark.xdist_group(f"world {worlds[claim_id]}"))
        for claim_id in sorted(ROWS, key=lambda claim_id: worlds[claim_id])
    ]


POSITIVE = [claim_id for claim_id, claim in ROWS.items() if claim.kind == "positive"]


@pytest.mark.parametrize("claim_id", by_world("true"))
def test_supported_where_it_is_true(claim_id):
    assert verdict(claim_id, TURNS[claim_id].true) == "SUPPORTED"


@pytest.mark.parametrize("claim_id", by_world("false"))
def test_not_supported_where_it_is_false(claim_id):
    assert verdict(claim_id, TURNS[claim_id].false) in ("REFUTED", "INCONCLUSIVE")


@pytest.mark.xdist_group("world planted")
def test_the_planted_world_supports_what_is_claimed_to_be_there():
    supported = [claim_id for claim_id in POSITIVE if verdict(claim_id, "planted") == "SUPPORTED"]
    assert len(supported) >= 0.8 * len(POSITIVE), sorted(set(POSITIVE) - set(supported))


@pytest.mark.xdist_group("world structureless")
def test_the_structureless_world_supports_next_to_nothing():
    supported = [claim_id for claim_id in POSITIVE if verdict(claim_id, "structureless") == "SUPPORTED"]
    assert len(supported) <= 0.05 * len(POSITIVE), supported


def test_a_missing_model_is_not_evaluated():
    nothing = WORLDS["planted"]().reopened(models={}, built={})
    judging = Judging(nothing, ROWS)
    assert {judging.judge(claim)[0].verdict for claim in ROWS.values()} == {"NOT EVALUATED"}
