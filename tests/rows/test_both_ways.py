"""Every claim can come out both ways: SUPPORTED in a world where it is true, something else where it is not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.worlds.planted import World, world
from jacprobe.judging import Judging
from jacprobe.suite import load_rows

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = load_rows(Path(__file__).parents[2] / "claims")


@cache
def planted() -> World:
    return world(structured=True)


@cache
def structureless() -> World:
    return world(structured=False)


def faulty(fault: str) -> Callable[[], World]:
    return lambda: world(structured=True, **{fault: True})


class ShuffledGenes(World):
    """Cells whose genes stand under each other's names."""

    def control_cells(self, role, draw=0):
        cells = super().control_cells(role, draw)
        return cells.assign_coords(gene=cells["gene"].values[::-1])


class DeafToTheMask(World):
    """Asking for the causal build gives the model as it is."""

    def model(self, role, mask="model"):  # noqa: ARG002 - this is the fault
        return super().model(role)


def mutated(kind: type[World]) -> Callable[[], World]:
    right = planted()
    return lambda: kind(**{name: getattr(right, name) for name in right.__dataclass_fields__ if name != "_cache"})


# Rows that are not here must not be SUPPORTED where nothing is planted.
WHERE_NOT = {
    "instrument-forward-matches-predict-step": faulty("dropped_residual"),
    "instrument-control-cells-exchangeable": faulty("ordered"),
    "instrument-causal-mask-is-caught": mutated(DeafToTheMask),
    "instrument-jacobians-match-finite-differences": faulty("blocked_gradient"),
    "instrument-gene-and-knockdown-names": mutated(ShuffledGenes),
    "instrument-same-seed-same-numbers": faulty("restless"),
    "nb02-encoder-is-a-lookup-table": faulty("gated_encoder"),
}


def verdict(claim_id: str, study: World) -> str:
    return Judging(study, ROWS).judge(ROWS[claim_id])[0].verdict


@pytest.mark.parametrize("claim_id", ROWS)
def test_supported_where_it_is_true(claim_id):
    assert verdict(claim_id, planted()) == "SUPPORTED"


@pytest.mark.parametrize("claim_id", ROWS)
def test_not_supported_where_it_is_false(claim_id):
    world_without = WHERE_NOT.get(claim_id, structureless)
    assert verdict(claim_id, world_without()) in ("REFUTED", "INCONCLUSIVE")


def test_a_missing_model_is_not_evaluated():
    judging = Judging(planted().reopened(models={}, built={}), ROWS)
    assert {judging.judge(claim)[0].verdict for claim in ROWS.values()} == {"NOT EVALUATED"}
