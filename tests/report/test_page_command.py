"""`jacprobe report`: what it writes, what it says, and how it fails."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from jacprobe.cli import app
from jacprobe.errors import JacprobeError
from jacprobe.report.node import NoAllureError
from jacprobe.report.site import Site
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import few


@pytest.fixture
def sites(monkeypatch):
    """Keep Node out of it: which sites were asked for, and what the builder answers."""
    asked = []

    def build(results, out):
        asked.append((results, out))
        return Site(reason="no Allure report: install Node")

    monkeypatch.setattr("jacprobe.report.site.build_site", build)
    return asked


def report(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_it_names_what_it_wrote_and_what_is_missing_for_allure(tmp_path, sites):
    write_ledger(tmp_path / "verdicts.jsonl", few())
    run = report("--results", tmp_path, "--out", tmp_path / "out", "--store", tmp_path / "store")
    assert run.exit_code == 0, run.output
    page, markdown, reason = run.output.splitlines()
    assert page.startswith(f"{tmp_path / 'out' / 'report.html'} (8 claims, ")
    assert markdown == str(tmp_path / "out" / "verdicts.md")
    assert reason == "no Allure report: install Node"
    assert sites == [(tmp_path, tmp_path / "out")]


def test_allure_is_installed_where_that_is_asked_for_and_not_otherwise(tmp_path, sites, monkeypatch):
    asked = []
    monkeypatch.setattr("jacprobe.report.node.install_allure", lambda: asked.append(sites[:]) or tmp_path / "home")
    write_ledger(tmp_path / "verdicts.jsonl", few())
    assert report("--results", tmp_path, "--store", tmp_path / "store").exit_code == 0
    assert asked == []
    run = report("--results", tmp_path, "--store", tmp_path / "store", "--install-allure")
    assert run.exit_code == 0, run.output
    assert len(asked) == 1
    assert f"is installed ({tmp_path / 'home'})" in run.output.splitlines()[0]


def test_an_installation_that_fails_ends_the_command_before_it_writes(tmp_path, sites, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    write_ledger(tmp_path / "verdicts.jsonl", few())
    run = report("--results", tmp_path, "--store", tmp_path / "store", "--install-allure")
    assert isinstance(run.exception, NoAllureError)
    assert "Install nodejs and npm" in str(run.exception)
    assert not (tmp_path / "report.html").exists()


def test_it_writes_into_the_results_folder_unless_told_otherwise(tmp_path, sites):
    write_ledger(tmp_path / "verdicts.jsonl", few())
    assert report("--results", tmp_path, "--store", tmp_path / "store").exit_code == 0
    assert (tmp_path / "report.html").is_file()
    assert sites == [(tmp_path, tmp_path)]


def test_of_a_run_that_has_not_ended_there_is_a_page_and_no_allure_report(tmp_path, sites):
    write_ledger(tmp_path / "verdicts.jsonl", few()[:2])
    (tmp_path / "verdicts.jsonl").rename(tmp_path / "verdicts.jsonl.partial")
    run = report("--results", tmp_path, "--store", tmp_path / "store")
    assert run.exit_code == 0
    assert "has not ended" in run.output
    assert sites == []


def test_without_results_nothing_is_written(tmp_path, sites):
    run = report("--results", tmp_path / "none", "--out", tmp_path / "out")
    assert isinstance(run.exception, JacprobeError)
    assert not (tmp_path / "out").exists()
    assert sites == []
