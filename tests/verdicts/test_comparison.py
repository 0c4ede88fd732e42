"""Two ledgers: every claim gets one outcome, flips are those of rule M, and what says nothing is refused."""

from __future__ import annotations

import pytest

from jacprobe.errors import StudyError
from jacprobe.estimate import Estimate
from jacprobe.verdicts.comparison import Basis, Outcome, compare, to_pair
from tests.report.ledgers import BLANK


def line(claim_id, verdict="SUPPORTED", effect=0.3, **changes):
    made = {
        "id": claim_id, "study": "toy", "verdict": verdict, "effect": effect, "ci": [effect - 0.1, effect + 0.1],
        "p": 0.01, "criterion": "> 0, SESOI 0.1", "criterion_hash": "same", "reason": "because", "flags": [],
        "provenance": {}, "diagnostics": {"margin": 0.1},
    }  # fmt: skip
    return BLANK | made | changes


def composite(claim_id, verdict, *parts):
    return line(claim_id, verdict, diagnostics={"margin": 0.0, "parts": list(parts)}, ci=None, p=None) | {
        "effect": None
    }


def outcomes(old, new, differences=None):
    return {change.id: change.outcome for change in compare(old, new, differences).changes}


def test_every_claim_gets_one_outcome():
    old = [
        line("nb01-same"),
        line("nb01-flipped"),
        line("nb01-moved"),
        line("nb01-lost"),
        line("nb01-criterion"),
        line("nb01-gone"),
    ]
    new = [
        line("nb01-same", effect=0.9),
        line("nb01-flipped", "REFUTED", 0.05),
        line("nb01-moved", "INCONCLUSIVE", 0.25),
        line("nb01-lost", "NOT EVALUATED", 0.3),
        line("nb01-criterion", "REFUTED", 0.0, criterion_hash="other"),
        line("nb01-new"),
    ]
    assert outcomes(old, new) == {
        "nb01-same": Outcome.SAME,
        "nb01-flipped": Outcome.FLIP,
        "nb01-moved": Outcome.MOVED,
        "nb01-lost": Outcome.NO_VERDICT,
        "nb01-criterion": Outcome.CRITERION,
        "nb01-new": Outcome.NEW,
        "nb01-gone": Outcome.GONE,
    }
    assert [one["id"] for one, _ in to_pair(old, new)] == ["nb01-flipped", "nb01-moved"]


@pytest.mark.parametrize(
    ("ci", "outcome", "said"),
    [
        ((-0.4, -0.11), Outcome.FLIP, "beyond the margin of 0.1"),
        ((-0.4, -0.09), Outcome.MOVED, "not decided"),
        ((-0.09, 0.05), Outcome.MOVED, "within the margin"),
    ],
)
def test_the_interval_of_a_paired_difference_decides(ci, outcome, said):
    difference = Estimate(sum(ci) / 2, 30, ci, ci)
    (change,) = compare([line("nb01-a")], [line("nb01-a", "REFUTED", 0.0)], {"nb01-a": difference}).changes
    assert (change.outcome, change.basis, change.ci) == (outcome, Basis.PAIRED, ci)
    assert said in change.why


def test_an_unpaired_comparison_says_why_it_is_one():
    (change,) = compare([line("nb01-a")], [line("nb01-a", "REFUTED", 0.0)], {"nb01-a": "the model is gone"}).changes
    assert (change.outcome, change.basis) == (Outcome.FLIP, Basis.UNPAIRED)
    assert change.why == "the effects differ by 0.3, more than 0.1; unpaired: the model is gone"


def test_where_nothing_is_random_there_is_nothing_to_pair():
    exact = {"ci": None, "p": None, "diagnostics": {"margin": 0.0}}
    old, new = [line("instrument-a", effect=0.0, **exact)], [line("instrument-a", "REFUTED", 1.0, **exact)]
    assert to_pair(old, new) == []
    assert compare(old, new).changes[0].basis is Basis.EXACT


def test_a_composite_flips_with_its_parts_and_theirs_wherever_they_stand():
    old = [composite("conclusion-a", "SUPPORTED", "conclusion-b"), composite("conclusion-b", "SUPPORTED", "nb01-a")]
    new = [composite("conclusion-a", "REFUTED", "conclusion-b"), composite("conclusion-b", "REFUTED", "nb01-a")]
    flipped, moved = line("nb01-a", "REFUTED", 0.0), line("nb01-a", "REFUTED", 0.25)
    assert set(outcomes([*old, line("nb01-a")], [*new, flipped]).values()) == {Outcome.FLIP}
    assert set(outcomes([*old, line("nb01-a")], [*new, moved]).values()) == {Outcome.MOVED}
    assert "not in both ledgers: nb01-a" in compare(old, new).changes[0].why


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([], [line("nb01-a")], "without lines"),
        ([line("nb01-a", study="other")], [line("nb01-a")], "studies other, toy"),
        ([line("nb01-a")], [line("nb01-a", provenance={"quick": 40})], "quick look"),
        ([line("nb01-a"), line("nb01-a")], [line("nb01-a")], "nb01-a twice"),
        ([line("nb01-a")], [line("nb01-a", "REFUTED", diagnostics={})], "without a margin"),
    ],
)
def test_ledgers_that_say_nothing_of_each_other_are_refused(old, new, message):
    with pytest.raises(StudyError, match=message):
        compare(old, new)
