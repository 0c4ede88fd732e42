"""The Allure site as Chromium shows it; npm fetches Allure into the user's cache where it is not there yet."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from jacprobe.report.allure import anchor, write_allure
from jacprobe.report.node import NoAllureError, install_allure
from jacprobe.report.site import Site, build_site
from jacprobe.results import ALLURE, Results
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import few, line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.report.conftest import Shown

pytestmark = pytest.mark.slow
SHOWN = {"passed": "SUPPORTED", "failed": "REFUTED", "unknown": "INCONCLUSIVE", "skipped": "NOT EVALUATED",
         "broken": "ERROR"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _allure() -> None:
    try:
        install_allure()
    except NoAllureError as error:
        pytest.skip(str(error))


def run(folder: Path, lines: list[dict[str, Any]]) -> None:
    """Leave a finished run in a results folder, as pytest does: what was there moves to the history."""
    results = Results(folder)
    results.require_writable()
    results.expect(one["id"] for one in lines)
    write_ledger(folder / "verdicts.jsonl", lines)
    write_allure(folder / ALLURE, lines, started_ms=1_700_000_000_000)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two runs: in the second one, nb02-small has flipped and nb02-large is new."""
    folder = tmp_path_factory.mktemp("site") / "results [new] of {two} runs"
    run(folder, [line("nb02-small", Verdict.REFUTED, effect=-0.6)])
    run(folder, few())
    return build_site(folder, folder)


@pytest.fixture
def awesome(built: Site, shown: Callable[..., Shown]) -> Callable[..., Shown]:
    def show(fragment: str = "", **options: Any) -> Shown:
        return shown(built.pages[0], fragment, **options)

    return show


def clean(found: Shown) -> bool:
    return not found.outside and not found.complaints


def test_both_pages_are_written_small_enough_and_ask_nobody(built, shown):
    assert built.reason is None
    assert [page.parent.name for page in built.pages] == ["awesome", "dashboard"]
    for path in built.pages:
        assert path.stat().st_size <= 12_000_000
        assert b"googletagmanager" not in path.read_bytes()
        found = shown(path)
        found.page.wait_for_selector("#app *")
        found.page.wait_for_timeout(500)
        assert clean(found), found
        assert len(found.requests) == 1


def counts(found: Shown) -> dict[str, int]:
    """Return how many results the page says it has, by verdict; tabs of none are not there."""
    found.page.wait_for_selector("[data-testid=tree-leaf]")
    shown = {"all": found.page.locator("[data-testid=nav-tab-results] [data-testid=counter]").inner_text()}
    for status, verdict in SHOWN.items():
        shown[verdict] = found.page.locator(f"[data-testid=tab-{status}]").inner_text().split()[-1]
    return {name: int(number) for name, number in shown.items()}


def test_every_claim_is_a_result_with_the_status_of_its_verdict(awesome):
    expected = Counter(one["verdict"] for one in few())
    assert counts(awesome()) == {"all": len(few()), **expected}


def test_a_deep_link_opens_its_claim_with_verdict_and_key_figure(awesome):
    found = awesome(anchor("nb05-gone"))
    found.page.wait_for_selector("[data-testid=test-result-description-frame]")
    assert "nb05-gone" in found.page.inner_text("[data-testid=test-result-info-title]")
    inside = found.page.frame_locator("[data-testid=test-result-description-frame]")
    assert "REFUTED" in inside.locator("body").inner_text()
    figure = inside.locator("img")
    figure.wait_for(state="visible")
    assert figure.evaluate("image => image.naturalWidth") > 300
    assert clean(found), found


def test_hostile_words_of_a_ledger_are_shown_as_words(awesome):
    found = awesome(anchor("nb02-hostile"))
    dialogs: list[str] = []
    found.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    inside = found.page.frame_locator("[data-testid=test-result-description-frame]")
    assert "<script>alert('no')</script>" in inside.locator("body").inner_text()
    found.page.wait_for_timeout(500)
    assert dialogs == []
    assert clean(found), found


def test_a_composite_shows_its_parts_as_steps_with_their_statuses(awesome):
    found = awesome(anchor("conclusion-both"))
    found.page.wait_for_selector("[data-testid=test-result-steps-root]")
    steps = found.page.locator("[data-testid=test-result-step-title]").all_inner_texts()
    assert [step.split(" · ")[0] for step in steps[:2]] == ["nb02-small", "nb05-gone"]


def test_categories_are_the_verdicts(awesome):
    found = awesome("categories")
    found.page.wait_for_selector("text=SUPPORTED: the claim holds")
    shown = found.page.inner_text("#app")
    for word in Verdict:
        assert f"{word}:" in shown


def test_history_and_flips_of_the_run_before_are_shown(awesome):
    found = awesome(anchor("nb02-small"))
    tab = found.page.locator("[data-testid=test-result-tab-history]")
    tab.click()
    assert tab.inner_text().split() == ["History", "1"]
    other = awesome("globalAttachments")
    other.page.get_by_text("flips.csv").first.click()
    other.page.wait_for_selector("text=nb02-small")
    assert clean(other), other


def test_the_trend_of_every_effect_is_shown(awesome):
    found = awesome("metrics")
    found.page.wait_for_selector("text=Effects over runs")
    assert found.page.get_by_text("nb05-gone").count() >= 1


def test_two_generations_of_a_run_are_one_entry_of_the_history_and_two_runs_two(tmp_path):
    def entries() -> list[dict[str, Any]]:
        text = (tmp_path / "out" / "allure-report" / "history.jsonl").read_text(encoding="utf-8")
        return [json.loads(row) for row in text.splitlines()]

    folder = tmp_path / "results"
    run(folder, [line("nb02-a", effect=0.4)])
    build_site(folder, tmp_path / "out")
    assert build_site(folder, tmp_path / "out").reason is None
    assert [point["metrics"] for point in entries()] == [{"nb02-a": 0.4}]
    run(folder, [line("nb02-a", effect=0.6)])
    build_site(folder, tmp_path / "out")
    build_site(folder, tmp_path / "out")
    assert [point["metrics"] for point in entries()] == [{"nb02-a": 0.4}, {"nb02-a": 0.6}]


def test_without_raw_results_they_are_made_from_the_ledger(tmp_path, shown):
    run(tmp_path, few())
    shutil.rmtree(tmp_path / ALLURE)
    site = build_site(tmp_path, tmp_path)
    found = shown(site.pages[0])
    assert counts(found)["all"] == len(few())
    assert not (tmp_path / ALLURE).exists()
