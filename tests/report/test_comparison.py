"""A comparison reads the same in every format, and nothing of a ledger runs there."""

from __future__ import annotations

import json

import pytest

from jacprobe.report.comparison import Compared, apart, as_html, as_json, as_markdown, as_table, rows, summary
from jacprobe.verdicts.comparison import Outcome, compare
from tests.verdicts.test_comparison import line

SCRIPT = "<script>alert(1)</script>|\x1b[31mred"
OLD = [line("nb01-flipped"), line("nb01-same"), line("nb01-gone")]
NEW = [line("nb01-same"), line("nb01-flipped", "REFUTED", 0.0), line("nb01-new")]
THIRD = [line("nb01-same"), line("nb01-flipped", "NOT EVALUATED", 0.3, reason=SCRIPT)]


@pytest.fixture
def compared():
    ledgers = (OLD, NEW, THIRD)
    comparisons = tuple(compare(OLD, other) for other in ledgers[1:])
    return Compared(("first", "second", "third"), tuple(map(tuple, ledgers)), comparisons, (f"cut {SCRIPT}",))


def test_changed_verdicts_stand_side_by_side_and_new_and_gone_claims_apart(compared):
    (first,) = rows(compared)
    assert first.id == "nb01-flipped"
    assert first.verdicts == ("SUPPORTED", "REFUTED", "NOT EVALUATED")
    assert [change and change.outcome for change in first.changes] == [Outcome.FLIP, Outcome.NO_VERDICT]
    assert apart(compared) == [
        ("only in second", ["nb01-new"]),
        ("only in first, not in second", ["nb01-gone"]),
        ("only in first, not in third", ["nb01-gone"]),
    ]
    assert (
        summary(compared)[0] == "first and second: 1 flip, 1 new, 1 gone, 1 same; changed verdicts judged: 1 unpaired"
    )


def test_every_format_names_the_flip_and_the_reason_and_is_inert(compared):
    for text in (as_table(compared, colour=False), as_markdown(compared), as_html(compared)):
        assert "nb01-flipped" in text
        assert "unpaired" in text
        assert "nb01-gone" in text
        assert "\x1b" not in text
    assert "<script>" not in as_html(compared)
    assert "<script>" not in as_markdown(compared).replace("\\<script\\>", "")
    assert "nb01-same" not in as_table(compared, colour=False)


def test_colour_is_only_where_it_was_asked_for(compared):
    assert "\x1b[1;31m" in as_table(compared, 100, colour=True)
    assert "\x1b" not in as_table(compared, 100, colour=False)


def test_json_has_every_claim(compared):
    found = json.loads(as_json(compared))
    assert found["flips"] == 1
    (change,) = [one for one in found["comparisons"][0]["changes"] if one["outcome"] == "flip"]
    assert (change["id"], change["basis"], change["difference"], change["margin"]) == (
        "nb01-flipped",
        "unpaired",
        -0.3,
        0.1,
    )
    assert {one["id"] for one in found["comparisons"][0]["changes"]} == {line["id"] for line in [*OLD, *NEW]}


def test_ledgers_without_a_change_make_no_table():
    same = Compared(("a", "b"), (tuple(OLD), tuple(OLD)), (compare(OLD, OLD),))
    assert as_table(same, colour=False) == "a and b: 3 same\n"
    assert "No flips" in as_html(same)
