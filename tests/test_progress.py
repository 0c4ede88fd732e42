"""Progress: shown where somebody looks, gone when the work is done, silent elsewhere."""

from __future__ import annotations

from jacprobe.progress import working


def test_a_terminal_sees_where_the_work_is(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with working("reading run folders") as progress:
        progress(1, 3, "[bold]fewshot-hepg2")  # a folder's name is no markup
    shown = capsys.readouterr()
    assert "reading run folders: [bold]fewshot-hepg2" in shown.err
    assert shown.out == ""


def test_a_file_sees_nothing(capsys):
    with working("reading run folders") as progress:
        progress(1, 3, "fewshot-hepg2")
    assert capsys.readouterr() == ("", "")
