"""The Allure report of a results folder: two pages that each need nothing but themselves."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import JacprobeError, StudyError, inert
from jacprobe.report.allure import STATUS, write_allure
from jacprobe.report.flips import flips_table
from jacprobe.report.history import Run, earlier_runs, history, read_run
from jacprobe.report.node import NoAllureError, find_allure
from jacprobe.report.standalone import standalone
from jacprobe.report.write import find_ledger
from jacprobe.results import ALLURE

if TYPE_CHECKING:
    from jacprobe.report.node import Allure

SITE = "allure-report"
PAGES = ("awesome", "dashboard")
HISTORY_FILE = "history.jsonl"
# What a report calls categories: the verdicts in words.
CATEGORIES = {
    "SUPPORTED": "SUPPORTED: the claim holds",
    "REFUTED": "REFUTED: the claim does not hold",
    "INCONCLUSIVE": "INCONCLUSIVE: the interval straddles",
    "NOT EVALUATED": "NOT EVALUATED: something is absent",
    "ERROR": "ERROR: no verdict",
}


@dataclass(frozen=True)
class Site:
    """What became of the Allure report.

    Attributes
    ----------
    pages
        The pages that were written; none where Allure cannot be run here.
    reason
        Why there are none, in one line that says what to do.
    """

    pages: tuple[Path, ...] = ()
    reason: str | None = None


def build_site(results: Path, out: Path, cache: Path | None = None) -> Site:
    """Write OUT/allure-report/awesome/index.html and OUT/allure-report/dashboard/index.html.

    Parameters
    ----------
    results
        Results folder of a run: its ledger, its raw Allure results (made from the ledger where they are absent), its
        history.
    out
        Folder to write to.
    cache
        Folder where npm's `allure` is kept; the user's cache by default.

    Raises
    ------
    StudyError
        Where there is no ledger.
    JacprobeError
        Where `out` cannot be written.
    """
    ledger, _ = find_ledger(results)
    now = read_run(ledger)
    if not now.lines:
        raise StudyError("an empty ledger", "one of a finished run", where=ledger)
    try:
        return Site(_build(find_allure(cache), results, out / SITE, now))
    except NoAllureError as error:
        return Site(reason=f"no Allure report: {error}")
    except OSError as error:
        raise JacprobeError(
            f"not writable: {error}", "a folder that can be made and written", "Choose another with --out.", out
        ) from error


def configuration(lines: tuple[dict[str, Any], ...], work: Path, attachments: list[str]) -> dict[str, Any]:
    """Return Allure's configuration: both pages, categories by verdict, history that is read and never appended."""
    name = f"Claims of the study {inert(lines[0]['study'])}"
    page = {"reportName": name, "singleFile": True, "theme": "light", "reportLanguage": "en"}
    return {
        "name": name,
        "output": str(work / SITE),
        "historyPath": str(work / HISTORY_FILE),
        "appendHistory": False,
        "hideLabels": ["framework", "language", "suite", "epic"],
        "categories": [
            {"name": words, "matchers": {"labels": {"verdict": f"^{verdict}$"}}, "groupBy": [{"label": "feature"}]}
            for verdict, words in CATEGORIES.items()
        ],
        "globalAttachments": attachments,
        "plugins": {
            "awesome": {"options": {**page, "groupBy": ["feature", "story"], "charts": _charts()}},
            "dashboard": {"options": {**page, "layout": _charts()}},
        },
    }


def _charts() -> list[dict[str, Any]]:
    statuses = list(STATUS.values())
    by_status = "passed = SUPPORTED, failed = REFUTED, unknown = INCONCLUSIVE, skipped = NOT EVALUATED"
    severities = "By what hangs on them: blocker = instrument, critical = conclusions, minor = nothing published"
    return [
        {"type": "currentStatus", "title": f"Verdicts ({by_status})"},
        {"type": "testResultSeverities", "title": severities, "levels": ["blocker", "critical", "normal", "minor"],
         "statuses": statuses, "includeUnset": False},
        {"type": "statusDynamics", "title": "Verdicts over runs"},
        {"type": "statusTransitions", "title": "Changed from run to run (flips.csv judges which are flips)"},
        {"type": "successRateDistribution", "title": "Share SUPPORTED by notebook and family"},
        {"type": "durations", "title": "Seconds a claim", "groupBy": "none"},
    ]  # fmt: skip


def _build(allure: Allure, results: Path, site: Path, now: Run) -> tuple[Path, ...]:
    """Generate in a folder of its own, make the pages standalone, and put each in its place whole."""
    with tempfile.TemporaryDirectory(prefix="jacprobe-allure-") as folder:
        work = Path(folder)
        raw = results / ALLURE
        if any(raw.glob("*-result.json")):
            shutil.copytree(raw, work / ALLURE)  # its own path may hold what Allure takes for a pattern
        else:
            write_allure(work / ALLURE, now.lines, round(1000 * now.when.timestamp()), keep=site.parent)
        quick = now.lines[0]["provenance"].get("quick")
        before = earlier_runs(results, now.lines[0]["study"], quick=quick)
        (work / HISTORY_FILE).write_text(history(before), encoding="utf-8")
        attachments = []
        if before:
            (work / "flips.csv").write_text(flips_table(before[-1].lines, now.lines), encoding="utf-8")
            attachments.append(str(work / "flips.csv"))
        config = configuration(now.lines, work, attachments)
        (work / "allurerc.json").write_text(json.dumps(config), encoding="utf-8")
        allure("generate", "--config", work / "allurerc.json", ALLURE, where=work)
        pages = []
        for name in PAGES:
            page = work / SITE / name / "index.html"
            if not page.is_file():
                raise NoAllureError(f"allure made no page {name}", "one of each of its plugins")
            page.write_text(standalone(page.read_text(encoding="utf-8")), encoding="utf-8")
            pages.append(_put(page, site / name / "index.html"))
        (work / HISTORY_FILE).write_text(history([*before, now]), encoding="utf-8")
        _put(work / HISTORY_FILE, site / HISTORY_FILE)
        return tuple(pages)


def _put(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)
    return target
