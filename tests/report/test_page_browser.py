"""The verdict page in a headless Chromium: it opens, filters, sorts and links, and asks nothing of anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jacprobe.report.overview import overview
from jacprobe.report.page import page
from jacprobe.report.write import write_page
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import few, many

if TYPE_CHECKING:
    from pathlib import Path

VISIBLE = "details.claim:visible"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_ledger(folder / "verdicts.jsonl", few())
    return write_page(folder, folder)[0]


def ids(opened: Any) -> list[str]:
    return [claim.get_attribute("id") for claim in opened.page.locator(VISIBLE).all()]


def test_it_opens_from_its_file_without_a_complaint_or_a_request(shown, report):
    opened = shown(report)
    assert opened.page.title().startswith("Verdicts on toy: 3 hold, 2 are refuted")
    for image in opened.page.locator("img").all():
        image.evaluate("image => { for (const within of [image.closest('details')]) if (within) within.open = true; }")
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    assert opened.complaints == []
    assert opened.outside == []


def test_the_counts_shown_equal_the_ledger(shown, report):
    opened = shown(report)
    counts = overview(few()).counts
    legend = {
        item.locator(".verdict").inner_text(): int(item.locator("b").inner_text())
        for item in opened.page.locator(".legend li").all()
    }
    assert legend == counts
    assert opened.page.locator(VISIBLE).count() == len(few())
    assert opened.page.locator("#shown").inner_text() == str(len(few()))


def test_filters_leave_what_fits_and_clear_again(shown, report):
    opened = shown(report)
    tools = opened.page
    tools.locator("button[data-verdict=SUPPORTED]").click()
    assert ids(opened) == ["conclusion-both", "nb05-gone", "nb05-open", "nb05-broken", "nb06-absent"]
    assert tools.locator("section.group:visible").count() == 3
    tools.locator("#clear").click()
    tools.locator("#by-family").select_option("group:nb02")
    assert ids(opened) == ["nb02-small", "nb02-large", "nb02-hostile"]
    tools.locator("#by-family").select_option("family:nb02/toy")
    assert ids(opened) == ["nb02-small", "nb02-large"]
    tools.locator("#by-model").select_option("fewshot/jurkat")
    assert ids(opened) == ["nb02-large"]
    tools.locator("#clear").click()
    tools.locator("#find").fill("FINDING  gone")
    assert ids(opened) == ["nb05-gone"]
    tools.locator("#find").fill("no such words")
    assert ids(opened) == []
    assert tools.locator("#nothing").is_visible()
    tools.locator("#clear-all").click()
    tools.locator("#surprises").check()
    assert ids(opened) == ["nb05-gone", "nb05-broken"]
    assert tools.locator("#shown").inner_text() == "2"
    assert opened.complaints == []


def test_sorting_orders_all_claims_and_goes_back(shown, report):
    opened = shown(report)
    as_listed = ids(opened)
    opened.page.locator("#sort").select_option("effect")
    by_effect = ids(opened)
    assert by_effect[0] == "nb02-large"
    assert by_effect[5] == "nb05-gone"  # the lowest effect; those without one come last
    assert set(by_effect[6:]) == {"nb06-absent", "conclusion-both"}
    opened.page.locator("#sort").select_option("id")
    assert ids(opened) == sorted(as_listed)
    opened.page.locator("#sort").select_option("surprise")
    assert set(ids(opened)[:2]) == {"nb05-gone", "nb05-broken"}
    opened.page.locator("#sort").select_option("")
    assert ids(opened) == as_listed


@pytest.mark.parametrize("packed", [False, True])
def test_a_deep_link_opens_its_claim_and_puts_the_focus_there(shown, tmp_path, monkeypatch, packed):
    if packed:
        monkeypatch.setattr("jacprobe.report.page.MANY", 1)
    path = tmp_path / "report.html"
    path.write_text(page(overview(few()), sha256="ef" * 32), encoding="utf-8")
    opened = shown(path, "nb05-gone")
    claim = opened.page.locator("#nb05-gone")
    claim.locator(".body").wait_for(state="visible")
    assert "because of the interval" in claim.locator(".why").inner_text()
    assert opened.page.evaluate("document.activeElement.parentElement.id") == "nb05-gone"
    assert claim.evaluate("claim => claim.getBoundingClientRect().top") < 200
    # A link to a claim that is filtered away shows it all the same.
    opened.page.locator("button[data-verdict=REFUTED]").click()
    assert not claim.is_visible()
    opened.page.evaluate("location.hash = 'nb02-small'; location.hash = 'nb05-gone'")
    claim.wait_for(state="visible")
    assert opened.complaints == []


def test_a_row_opens_by_the_keyboard(shown, report):
    opened = shown(report)
    opened.page.locator("#nb02-large summary").focus()
    opened.page.keyboard.press("Enter")
    assert opened.page.locator("#nb02-large .body").is_visible()


def test_hostile_words_stay_words(shown, report):
    opened = shown(report, "nb02-hostile")
    assert "<script>alert('no')</script>" in opened.page.locator("#nb02-hostile .finding").inner_text()
    assert opened.page.locator("script").count() == 1
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation_and_nothing_is_wider_than_the_window(shown, report, scheme, width):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-core is not installed (extra `test`)"
    )
    opened = shown(report, "nb02-large", width=width, scheme=scheme)
    opened.page.evaluate("for (const claim of document.querySelectorAll('details')) claim.open = true")
    found = axe.Axe().run(opened.page)
    assert [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found.response["violations"]] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_ten_thousand_claims_open_in_three_seconds_and_are_found_in_one(shown, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(overview(many(10_000)), sha256="ef" * 32), encoding="utf-8")
    opened = shown(path)
    # Its own time on the processor, as neighbours on a busy machine would count for waiting.
    took = seconds(opened)
    assert took < 3
    assert opened.page.locator("#shown").inner_text() == "10,000"
    opened.page.locator("#find").fill("claim-9876")
    assert opened.page.locator(VISIBLE).count() == 1
    assert seconds(opened) - took < 1
    opened.page.locator("#nb16-claim-9876 summary").click()
    opened.page.locator("#nb16-claim-9876 .body").wait_for(state="visible")
    assert opened.complaints == []


def seconds(opened: Any) -> float:
    """Seconds that the page's main thread has worked."""
    found = opened.devtools.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in found if metric["name"] == "TaskDuration")
