"""The verdict page: every claim and figure of the ledger is on it, every text of a ledger is inert."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest

from jacprobe.errors import JacprobeError, StudyError
from jacprobe.report.markdown import verdicts_markdown
from jacprobe.report.overview import overview
from jacprobe.report.page import page, spoken
from jacprobe.report.strips import strip
from jacprobe.report.words import facts, number, typeset
from jacprobe.report.write import about, inlined, write_page
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import ESCAPE, SCRIPT, few, line, many


def made(lines, **options):
    return page(overview(lines), sha256="ef" * 32, **options)


def test_every_claim_stands_there_once_with_verdict_numbers_and_command():
    html = made(few())
    assert len(re.findall(r'<details class="claim"', html)) == len(few())
    body = html.split('id="nb02-large"')[1].split("</details>")[0]
    for words in (
        "SUPPORTED", "0.9", "[0.7, 1.1]", "[0.75, 1.05]", "&gt; 0, SESOI 0.1", "0.31", "NB02 table", "random sets",
        "matched sets", "4e-25", "20 values from", "published from one checkpoint", "it was planted", "abababababab",
        "pytest claims/ --claim nb02-large", "nb02/toy", "13 cells",
    ):  # fmt: skip
        assert words in body, words


def test_the_answer_is_counted_from_the_ledger():
    html = made(few())
    counts = overview(few()).counts
    assert counts == {"SUPPORTED": 3, "REFUTED": 2, "INCONCLUSIVE": 1, "NOT EVALUATED": 1, "ERROR": 1}
    assert spoken(counts) == ("3 hold, 2 are refuted, 1 stays undecided, 1 was not evaluated, 1 ended in an error")
    assert spoken(counts) in html
    assert "2 verdicts are unexpected." in html  # the refuted one and the error


def test_a_composite_names_what_decided_it_and_links_its_parts_both_ways():
    html = made(few())
    conclusions = html.split('<ol class="conclusions">')[1].split("</ol>")[0]
    assert re.search(r'decided by\s*<a href="#nb05-gone">', conclusions)
    assert "nb02-small" not in conclusions
    assert "nb09-elsewhere is not in this ledger" in html
    part = html.split('id="nb02-small"')[1].split("</details>")[0]
    assert 'Part of <a href="#conclusion-both">' in part


def unpacked(html):
    """Return what the rows of a packed page open to, by claim id."""
    found = {}
    for block in re.findall(r'<script type="text/plain" id="block-\d+">([^<]*)</script>', html):
        found |= json.loads(gzip.decompress(base64.b64decode(block)))
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_no_text_of_a_ledger_is_markup_or_reaches_a_terminal(packed, monkeypatch):
    if packed:
        monkeypatch.setattr("jacprobe.report.page.MANY", 1)
    html = made(few(), cut=f"cut {SCRIPT} {ESCAPE}", remarks=[SCRIPT])
    assert html.count("</script") == 1 + packed
    html += "".join(unpacked(html).values())
    assert "\x1b" not in html
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert html.count("&lt;script&gt;alert(") >= 10
    assert "\\x1b[31mred" in html


def test_of_many_claims_what_a_row_opens_to_is_packed_and_figures_are_left_out(monkeypatch):
    figures = {"nb02-small": b"png"}
    data = f"data:image/png;base64,{base64.b64encode(b'png').decode()}"
    assert data in made(few(), figures=figures)
    monkeypatch.setattr("jacprobe.report.page.MANY", 7)
    monkeypatch.setattr("jacprobe.report.page.BLOCK", 3)
    html = made(few(), figures=figures)
    bodies = unpacked(html)
    assert data not in html + "".join(bodies.values())
    assert "Figures of claims are left out" in html
    assert html.count('data-block="2"') == 2
    assert list(bodies) == [each["id"] for each in few()]
    assert "pytest claims/ --claim nb02-large" in bodies["nb02-large"]
    assert "pytest claims/ --claim nb02-large" not in html


def test_the_page_asks_nothing_of_anywhere():
    html = made(few(), figures={"nb02-small": b"png"})
    assert not re.findall(r"(?:src|href|url\()=?[\"']?\s*(?:https?:)?//", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"study": "other"}, "studies"),
        ({"id": "nb02-small"}, "twice"),
        ({"id": "nb02 <b>"}, "id"),
        ({"verdict": "TRUE"}, "TRUE"),
        ({"ci": ["a", 1]}, "ci"),
        ({"models": None}, "models"),
        ({"effect": "1"}, "effect"),
    ],
)
def test_a_ledger_that_is_no_one_study_s_is_refused(change, words):
    with pytest.raises(StudyError, match=words):
        overview([line("nb02-small"), line("nb02-large") | change])


def test_an_empty_ledger_is_refused():
    with pytest.raises(StudyError, match="at least one claim"):
        overview([])


def test_nothing_unexpected_and_nothing_expected_are_said():
    assert "Nothing is unexpected: every verdict is one" in made([line("nb02-small")])
    assert "of 1 claims any verdict was" in made([line("nb02-small"), line("nb02-open", expected=None)])
    assert "expects nothing in particular" in made([line("nb02-open", expected=None)])


def test_a_study_whose_truth_is_planted_is_no_support_of_the_publication():
    title, planted = about("demo")
    assert planted
    assert "planted truth" in title
    view = overview([line("nb02-small")], title, planted=planted)
    for text in (page(view, sha256="ef" * 32), verdicts_markdown(view)):
        assert "nothing of the published models" in text
    assert about("replogle-nadig")[1] is False
    assert about("../demo") == about("toy") == ("", False)
    assert "nothing of the published models" not in made([line("nb02-small")])


def test_a_strip_has_interval_effect_and_published_value_in_the_claimed_region():
    found = strip(line("nb02-small", effect=0.5))
    assert found is not None
    # 0 to 0.7 with a tenth of it on either side
    assert found.region == (pytest.approx(8.3, abs=0.05), 100)
    assert found.ci == (pytest.approx(100 * 0.37 / 0.84, abs=0.05), pytest.approx(100 * 0.77 / 0.84, abs=0.05))
    assert found.effect == pytest.approx(100 * 0.57 / 0.84, abs=0.05)
    assert found.published == pytest.approx(100 * 0.37 / 0.84, abs=0.05)
    assert strip(line("nb02-small", ci=None)) is None
    assert strip(line("nb02-small", criterion="all of 3 claims")) is None
    assert strip(line("nb02-small", ci=[0.5, 0.5], criterion="> 0.5")) is not None


def test_numbers_and_nested_data_are_worded_for_people():
    assert (number(-0.04567), number(12345), number(None), number(True)) == ("−0.0457", "12,345", "–", "yes")
    assert typeset("not -0.4 in nb-04, e-5") == "not −0.4 in nb-04, e-5"
    nested = {"a_b": {"c": 1, "d": {}}, "e": None, "f": list(range(11)), "g": ["x"] * 12, "h": {"p": [1.5]}}
    assert facts(nested) == [
        ("a b, c", "1"), ("f", "11 values from 0 to 10, median 5"), ("g", ", ".join(["x"] * 10) + " and 2 more"),
        ("h, p", "1.5"),
    ]  # fmt: skip


def test_a_page_and_its_twin_are_written_from_a_results_folder(tmp_path):
    write_ledger(tmp_path / "verdicts.jsonl", few())
    html, markdown, said = write_page(tmp_path, tmp_path / "new" / "out")
    text = html.read_text(encoding="utf-8")
    assert text.count('<div class="evidence">') == 6  # all but the absent one and the composite
    assert "forest-nb02" in re.findall(r'<figure id="figure-([^"]+)"', text)
    assert "No figure &#34;A map of the responses&#34;: not in this ledger" in text
    assert "nb02-small" in markdown.read_text(encoding="utf-8")
    assert said.startswith("8 claims, ")
    assert sorted(p.name for p in html.parent.iterdir()) == ["figures", "report.html", "verdicts.md"]


def test_a_ledger_cut_in_mid_line_is_shown_up_to_there_and_the_cut_is_said(tmp_path):
    ledger = tmp_path / "verdicts.jsonl"
    write_ledger(ledger, few())
    ledger.write_bytes(ledger.read_bytes()[:-40])
    html, markdown, said = write_page(tmp_path, tmp_path)
    for text in (html.read_text(encoding="utf-8"), said):
        assert "verdicts.jsonl was cut in its line 8: 7 lines before it were read" in text
    assert "**The ledger was cut.**" in markdown.read_text(encoding="utf-8")


def test_what_a_killed_run_left_is_shown_and_named(tmp_path):
    write_ledger(tmp_path / "verdicts.jsonl", few()[:2])
    (tmp_path / "verdicts.jsonl").rename(tmp_path / "verdicts.jsonl.partial")
    assert "has not ended" in write_page(tmp_path, tmp_path)[2]


def test_no_results_another_schema_and_no_permission_are_clear_errors(tmp_path, monkeypatch):
    with pytest.raises(StudyError, match=r"no verdicts\.jsonl .* pytest claims/"):
        write_page(tmp_path, tmp_path)
    old = line("nb02-small") | {"provenance": {"schema": 99}}
    write_ledger(tmp_path / "verdicts.jsonl", [old])
    with pytest.raises(StudyError, match="schema"):
        write_page(tmp_path, tmp_path)
    write_ledger(tmp_path / "verdicts.jsonl", few())
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("jacprobe.report.write.overview", lambda _: pytest.fail("worked before it looked"))
    with pytest.raises(JacprobeError, match=r"not writable.* --out"):
        write_page(tmp_path, tmp_path / "file")


def test_figures_that_would_make_the_page_too_large_are_left_out_and_said():
    drawn = {"nb02-a": b"x" * 300, "nb02-b": b"x" * 100, "nb02-c": b"x" * 100}
    found, said = inlined(drawn, room=250)
    assert set(found) == {"nb02-b", "nb02-c"}
    assert said == ["Of 3 figures the 1 largest are left out to keep the page small: see figures/."]
    assert inlined(drawn) == (drawn, [])


def test_the_order_of_groups_is_the_reader_s_and_unknown_ones_come_last():
    ids = ["zzz-a", "instrument-a", "nb02-a", "conclusion-a", "nb01-a"]
    view = overview([line(name) for name in ids])
    assert [group.key for group in view.groups] == ["conclusion", "nb01", "nb02", "instrument", "zzz"]


def test_thousands_of_claims_make_a_page_that_stays_usable():
    lines = many(2000)
    html = made(lines)
    assert len(html) / len(lines) < 1500
    assert html.count('<details class="claim"') == 2000
    assert spoken(overview(lines).counts) in html
    assert len(unpacked(html)) == 2000
    assert set(overview(lines).counts) == {Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE}
