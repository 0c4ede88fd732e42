"""Every claim can come out both ways: SUPPORTED in a world where it is true, something else where it is not."""

from __future__ import annotations

import pytest

from fixtures.worlds.mutations import WORLDS
from fixtures.worlds.turns import rows, turns, verdict
from jacprobe.judging import Judging

ROWS, TURNS = rows(), turns()
# World by world, so that each is made once.
BY_TRUE = sorted(ROWS, key=lambda claim_id: TURNS[claim_id].true)
BY_FALSE = sorted(ROWS, key=lambda claim_id: TURNS[claim_id].false)
POSITIVE = [claim_id for claim_id, claim in ROWS.items() if claim.kind == "positive"]


@pytest.mark.parametrize("claim_id", BY_TRUE)
def test_supported_where_it_is_true(claim_id):
    assert verdict(claim_id, TURNS[claim_id].true) == "SUPPORTED"


@pytest.mark.parametrize("claim_id", BY_FALSE)
def test_not_supported_where_it_is_false(claim_id):
    assert verdict(claim_id, TURNS[claim_id].false) in ("REFUTED", "INCONCLUSIVE")


def test_the_planted_world_supports_what_is_claimed_to_be_there():
    supported = [claim_id for claim_id in POSITIVE if verdict(claim_id, "planted") == "SUPPORTED"]
    assert len(supported) >= 0.8 * len(POSITIVE), sorted(set(POSITIVE) - set(supported))


def test_the_structureless_world_supports_next_to_nothing():
    supported = [claim_id for claim_id in POSITIVE if verdict(claim_id, "structureless") == "SUPPORTED"]
    assert len(supported) <= 0.05 * len(POSITIVE), supported


def test_a_missing_model_is_not_evaluated():
    nothing = WORLDS["planted"]().reopened(models={}, built={})
    judging = Judging(nothing, ROWS)
    assert {judging.judge(claim)[0].verdict for claim in ROWS.values()} == {"NOT EVALUATED"}
