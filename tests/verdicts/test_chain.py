"""The chain of a ledger: whatever is done to its lines is named at the first line that it shows in."""

from __future__ import annotations

import pytest

from jacprobe.verdicts.chain import broken, chained, head
from tests.verdicts.test_comparison import line

LINES = chained([line(f"nb01-{letter}", seconds=1.0) for letter in "abcd"])


def changed(place, **changes):
    return [one | changes if i == place else one for i, one in enumerate(LINES)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (changed(1, verdict="REFUTED"), r"line 2 \(nb01-b\) was changed"),
        (changed(2, provenance=LINES[2]["provenance"] | {"entries": {"ab": "0:cd"}}), r"line 3 \(nb01-c\) was changed"),
        (LINES[:1] + LINES[2:], r"line 2 was removed: here stands nb01-c, once line 3"),
        (LINES[1:], r"line 1 was removed"),
        (LINES[:3], r"line 4 of 4 was removed"),
        ([LINES[0], LINES[2], LINES[1], LINES[3]], r"line 2 \(nb01-c\) was moved: it once was line 3"),
        ([*LINES[:2], line("nb01-x"), *LINES[2:]], r"line 3 \(nb01-x\) has no chain"),
        ([*LINES[:2], LINES[1], *LINES[2:]], r"line 3 \(nb01-b\) was moved"),
        ([*chained([line(f"nb02-{letter}") for letter in "abcd"])[:2], *LINES[2:]], r"line 3 .* follows another line"),
    ],
)
def test_the_first_line_that_is_not_as_it_was_written_is_named(lines, said):
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(broken(lines))


def test_a_ledger_as_it_was_written_holds_and_seconds_do_not_matter():
    assert broken(LINES) is None
    assert broken([one | {"seconds": 9.0} for one in LINES]) is None
    assert (
        chained([line(f"nb01-{letter}", seconds=2.0) for letter in "abcd"])[-1]["provenance"] == LINES[-1]["provenance"]
    )
    assert head(LINES) == LINES[-1]["provenance"]["chain"]["hash"]
    assert head([]) == head([line("nb01-a")]) == ""
