"""Flips in closed-form worlds: one claim's truth changed, or none and a fresh draw of everything that is random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.worlds.mutations import WORLDS
from fixtures.worlds.planted import world
from fixtures.worlds.turns import rows
from jacprobe.estimate import Estimate
from jacprobe.judging import Judging
from jacprobe.stats import paired_difference
from jacprobe.verdicts.comparison import Basis, Comparison, Outcome, compare, to_pair

if TYPE_CHECKING:
    from fixtures.worlds.planted import World
    from jacprobe.verdicts.ledger import Entry

KNOCKOUTS = "nb04-knockout-agreement-below-circuit-threshold"
CLAIMS = [rows()[name] for name in ("nb02-splicing-coherent", "nb02-ribosome-coherent", KNOCKOUTS)]


def judged(study: World) -> tuple[Judging, list[Entry]]:
    judging = Judging(study, {claim.id: claim for claim in CLAIMS})
    return judging, [judging.record(claim) for claim in CLAIMS]


@pytest.fixture(scope="module")
def before() -> tuple[Judging, list[Entry]]:
    return judged(WORLDS["planted"]())


def held_against(before: tuple[Judging, list[Entry]], study: World) -> Comparison:
    (old, old_lines), (new, new_lines) = before, judged(study)
    differences: dict[str, Estimate | str] = {}
    for _, line in to_pair(old_lines, new_lines):
        sides = [judging.estimate(judging.rows[line["id"]]) for judging in (old, new)]
        assert all(isinstance(side, Estimate) for side in sides)
        differences[line["id"]] = paired_difference(*sides)  # pyright: ignore[reportArgumentType] - asserted just now
    return compare(old_lines, new_lines, differences)


def test_a_truth_that_changed_for_one_claim_flips_that_claim_alone(before):
    """Knockouts that agree between lines leave the perturbation embedding as it is."""
    found = held_against(before, WORLDS["lines agree on knockouts"]())
    assert [(flip.id, flip.basis) for flip in found.flips] == [(KNOCKOUTS, Basis.PAIRED)]
    assert {change.outcome for change in found.changes if change.id != KNOCKOUTS} == {Outcome.SAME}


def test_the_same_truth_drawn_again_flips_nothing(before):
    assert held_against(before, world(seed=1)).flips == ()
