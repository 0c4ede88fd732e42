"""The Allure site without Node and npm: what it says, what it is configured by, and how installations come about."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jacprobe.errors import JacprobeError, StudyError
from jacprobe.report.flips import flips_table
from jacprobe.report.history import earlier_runs, history, read_run
from jacprobe.report.node import VERSION, NoAllureError, find_allure, install_allure
from jacprobe.report.site import CATEGORIES, build_site, configuration
from jacprobe.report.standalone import standalone
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import few, line

if TYPE_CHECKING:
    from collections.abc import Callable

NODE = 'echo "v20.1.0"'
NPM = 'mkdir -p node_modules/allure && echo ok > node_modules/allure/cli.js && echo . >> "$COUNT"'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that leaves on the PATH the shell's own programs and those given by name and script."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "mkdir", "echo"):
        place = next(Path(part) / name for part in os.defpath.split(":") if part and (Path(part) / name).exists())
        (folder / name).symlink_to(place)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    return put


def results(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write_ledger(folder / "verdicts.jsonl", few())
    return folder


def installed(cache: Path) -> Path:
    cli = cache / f"allure-{VERSION}" / "node_modules" / "allure" / "cli.js"
    cli.parent.mkdir(parents=True)
    cli.write_text("ok")
    (cache / f"allure-{VERSION}" / "package-lock.json").write_text("{}")
    return cli


@pytest.mark.parametrize(
    ("scripts", "there", "said"),
    [
        ({}, True, "no node on the PATH"),
        ({"node": 'echo "v18.20.4"'}, True, "Node v18.20.4; wanted Node 20 or newer"),
        ({"node": "exit 1"}, True, "Node of no version"),
        ({"node": NODE, "npm": NPM}, False,
         f"allure {VERSION} is not installed. Run once: jacprobe report --install-allure"),
        ({"node": 'if [ "$1" = --version ]; then echo v20.1.0; else echo cannot >&2; exit 3; fi'}, True,
         "allure generate failed: cannot"),
        ({"node": NODE}, True, "allure made no page awesome"),
    ],
)  # fmt: skip
def test_what_is_wanting_is_a_reason_of_one_line_and_no_error(tmp_path, programs, scripts, there, said):
    programs(**scripts)
    if there:
        installed(tmp_path / "cache")
    site = build_site(results(tmp_path / "results"), tmp_path / "out", cache=tmp_path / "cache")
    assert site.pages == ()
    assert site.reason is not None
    assert said in site.reason
    assert "\n" not in site.reason
    assert not (tmp_path / "out" / "allure-report").exists()
    assert not (tmp_path / "count").exists(), "npm was started, which nobody asked for"


def test_without_node_the_reason_says_what_to_install(tmp_path, programs):
    site = build_site(results(tmp_path / "results"), tmp_path / "out", cache=tmp_path / "cache")
    assert "Install nodejs and npm" in str(site.reason)


def test_allure_is_installed_once_and_again_where_the_installation_was_cut(tmp_path, programs):
    programs(node=NODE, npm=NPM)
    cache, home = tmp_path / "cache", tmp_path / "cache" / f"allure-{VERSION}"
    left = cache / f".allure-{VERSION}-killed"
    left.mkdir(parents=True)
    assert install_allure(cache) == home
    assert find_allure(cache).cli == home / "node_modules" / "allure" / "cli.js"
    install_allure(cache)
    assert (tmp_path / "count").read_text() == ".\n"
    assert not left.exists()
    (home / "node_modules" / "allure" / "cli.js").unlink()
    with pytest.raises(NoAllureError, match="is not installed"):
        find_allure(cache)
    install_allure(cache)
    assert (tmp_path / "count").read_text() == ".\n.\n"
    assert sorted(path.name for path in cache.iterdir()) == [home.name, "allure.lock"]


def test_a_failed_installation_leaves_nothing_that_looks_like_one(tmp_path, programs):
    programs(node=NODE, npm=f"{NPM}; exit 1")
    with pytest.raises(NoAllureError, match="which fetches allure"):
        install_allure(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["allure.lock"]


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ({"npm": NPM}, "no node on the PATH"),
        ({"node": NODE}, "no npm on the PATH"),
        ({"node": NODE, "npm": "echo 'npm error code ENOTFOUND' >&2; echo 'npm error network down' >&2; exit 1"},
         f"allure {VERSION} once, failed: npm error network down"),
        ({"node": NODE, "npm": "true"}, "npm installed no allure"),
    ],
)  # fmt: skip
def test_an_installation_that_was_asked_for_and_cannot_be_is_an_error(tmp_path, programs, scripts, said):
    programs(**scripts)
    with pytest.raises(NoAllureError, match=re.escape(said)):
        install_allure(tmp_path / "cache")


def test_the_pinned_version_is_the_one_of_the_lock_file():
    import jacprobe.report.node as node

    lock = json.loads((node.PINNED / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/allure"]["version"] == VERSION
    assert all("integrity" in package for name, package in lock["packages"].items() if name)


def test_no_ledger_is_an_error_and_no_reason(tmp_path):
    with pytest.raises(StudyError):
        build_site(tmp_path, tmp_path / "out")


def test_every_verdict_has_its_category(tmp_path):
    config = configuration(tuple(few()), tmp_path, [])
    patterns = [category["matchers"]["labels"]["verdict"] for category in config["categories"]]
    matched = {verdict: [p for p in patterns if re.search(p, verdict)] for verdict in Verdict}
    assert all(len(found) == 1 for found in matched.values())
    assert set(CATEGORIES) == set(Verdict)


def allure_page(files: dict[str, str], program: str) -> str:
    listed = ",".join(f"d({json.dumps(name)},{json.dumps(value)})" for name, value in files.items())
    source = base64.b64encode(program.encode()).decode()
    return (
        '<html><head><meta charset="utf-8"></head><body><div id="app"></div>'
        f'<script   src="data:text/javascript;base64,{source}"></script>\n'
        '<script async src="https://www.googletagmanager.com/gtag/js?id=G-X"></script>\n<script>\ngtag("js")</script>\n'
        "<script async>\n window.allureReportDataReady = false;\n</script>\n"
        f"<script defer>Promise.allSettled([{listed}])</script></body></html>"
    )


def test_a_standalone_page_asks_nobody_and_has_its_data_before_its_program(shown, tmp_path):
    page = tmp_path / "page.html"
    program = """
        document.title = window.allureReportData["a/b.json"] + window.allureReportDataReady;
        fetch("https://example.org/").catch(() => { document.body.dataset.refused = "yes" });
    """
    page.write_text(standalone(allure_page({"a/b.json": "QUJD", 'q"uote': "x"}, program)))
    assert "googletagmanager" not in page.read_text()
    found = shown(page)
    found.page.wait_for_selector("body[data-refused=yes]")
    assert found.page.title() == "QUJDtrue"
    assert found.outside == []


def test_what_is_no_page_of_allures_is_refused():
    with pytest.raises(JacprobeError, match="single-file page"):
        standalone("<html></html>")


def earlier(folder: Path, stamp: str, lines: list[dict[str, Any]]) -> Path:
    run = folder / "history" / stamp
    run.mkdir(parents=True)
    write_ledger(run / "verdicts.jsonl", lines)
    return run


def test_the_history_is_that_of_the_study_in_the_order_of_its_runs(tmp_path):
    earlier(tmp_path, "2026-01-02T00-00-00Z-10", [line("nb02-a", effect=0.4)])
    earlier(tmp_path, "2026-01-02T00-00-00Z-2", [line("nb02-a", effect=0.3)])
    last = earlier(tmp_path, "2026-01-02T00-00-00Z", [line("nb02-a", effect=0.2)])
    earlier(tmp_path, "2026-01-01T00-00-00Z", [line("nb02-a", effect=0.1)])
    earlier(tmp_path, "2026-01-03T00-00-00Z", [line("nb02-a", study="another")])
    earlier(tmp_path, "2026-01-04T00-00-00Z", [line("nb02-a", provenance={"quick": 40})])
    (earlier(tmp_path, "2026-01-05T00-00-00Z", []) / "verdicts.jsonl").write_text('{"no": "ledger"}\n')
    runs = earlier_runs(tmp_path, "toy")
    assert [run.lines[0]["effect"] for run in runs] == [0.1, 0.2, 0.3, 0.4]
    assert [run.lines[0]["effect"] for run in earlier_runs(last, "toy")] == [0.1]
    points = [json.loads(text) for text in history(runs).splitlines()]
    assert [point["metrics"]["nb02-a"] for point in points] == [0.1, 0.2, 0.3, 0.4]
    assert points[1]["timestamp"] - points[0]["timestamp"] == 86_400_000
    assert len({point["uuid"] for point in points}) == 4


def test_a_run_is_the_same_point_each_time_and_every_claim_is_in_it(tmp_path):
    ledger = results(tmp_path) / "verdicts.jsonl"
    (point,) = [json.loads(text) for text in history([read_run(ledger)]).splitlines()]
    assert history([read_run(ledger)]) == history([read_run(ledger)])
    assert len(point["testResults"]) == len(few())
    assert "\x1b" not in json.dumps(point, ensure_ascii=False)


def test_what_flipped_comes_first_and_what_is_the_same_is_left_out():
    before = [line(f"nb02-{name}", effect=0.5) for name in "abc"]
    now = [line("nb02-a"), line("nb02-b", Verdict.REFUTED, effect=0.48), line("nb02-c", Verdict.REFUTED, effect=-0.4)]
    for one in (*before, *now):
        one["diagnostics"]["margin"] = 0.1
    rows = list(csv.DictReader(io.StringIO(flips_table(before, now))))
    assert [(row["outcome"], row["claim"]) for row in rows] == [("flip", "nb02-c"), ("changed, no flip", "nb02-b")]
    assert (rows[0]["before"], rows[0]["now"], float(rows[0]["effect now"])) == ("SUPPORTED", "REFUTED", -0.4)


def test_ledgers_that_cannot_be_compared_say_why():
    (row,) = csv.DictReader(io.StringIO(flips_table([line("nb02-a", study="another")], [line("nb02-a")])))
    assert row["outcome"] == "not compared"
    assert "another" in row["why"]


def test_nothing_changed_is_said():
    assert "no verdict changed" in flips_table([line("nb02-a")], [line("nb02-a")])


def test_a_run_has_the_time_of_its_folder_and_else_of_its_file(tmp_path):
    then = earlier(tmp_path, "2026-01-02T03-04-05Z-2", [line("nb02-a")])
    now = results(tmp_path) / "verdicts.jsonl"
    os.utime(now, (1_000, 1_000))
    assert str(read_run(then / "verdicts.jsonl").when) == "2026-01-02 03:04:05+00:00"
    assert read_run(now).when.timestamp() == 1_000
