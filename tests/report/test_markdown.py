"""verdicts.md: the answer and the table, inert on GitHub."""

from __future__ import annotations

from jacprobe.report.markdown import verdicts_markdown
from jacprobe.report.overview import overview
from tests.report.ledgers import ESCAPE, SCRIPT, few, line, many


def test_the_answer_comes_first_then_the_conclusions_then_the_table():
    text = verdicts_markdown(overview(few()))
    assert text.startswith("# Do the findings hold? Study toy\n\n8 claims about")
    order = [
        "**3 hold, 2 are refuted",
        "**2 unexpected:**",
        "Decided by `nb05-gone`",
        "## Not evaluated",
        "| verdict |",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    row = next(row for row in text.splitlines() if "`nb02-large`" in row and row.startswith("|"))
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[0] == "● SUPPORTED"
    assert cells[2:] == ["0.3", "0.9 [0.7, 1.1]", "\\> 0, SESOI 0.1", "SUPPORTED", "1"]


def test_every_row_has_seven_cells_whatever_the_ledger_says():
    lines = [*few(), line("nb02-pipes", finding="a | b\n| c `x` @all #1", flags=["|"] * 3)]
    text = verdicts_markdown(overview(lines))
    rows = [row for row in text.splitlines() if row.startswith("| ") and "---" not in row]
    assert len(rows) == len(lines) + len({each["group"] for each in lines})
    for row in rows:
        assert row.replace("\\|", "").count("|") == 8, row


def test_no_text_of_a_ledger_is_markup():
    text = verdicts_markdown(overview(few()), cut=f"{SCRIPT} {ESCAPE}")
    assert "\x1b" not in text
    assert "<script" not in text.replace("\\<", "")
    assert "<img" not in text.replace("\\<", "")


def test_a_comment_has_room_for_thousands_of_claims():
    text = verdicts_markdown(overview(many(5000)))
    assert len(text) < 65_536
    assert "unexpected ones of 5,000 claims" in text
