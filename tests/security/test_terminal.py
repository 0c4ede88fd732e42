"""Words of strangers, as a terminal and a browser would get them: no escape, no markup, whichever their file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from jacprobe.cli import app
from jacprobe.errors import JacprobeError
from jacprobe.gene_sets import read_gmt
from jacprobe.models.state_identity import identify
from jacprobe.opening import open_study
from jacprobe.probes.sae import load_sae
from jacprobe.store.entry import Entry
from jacprobe.store.fill import fill
from jacprobe.stored import readers
from jacprobe.verdicts.expectations import read_expectations
from jacprobe.verdicts.ledger import read_ledger, write_ledger
from tests.report.ledgers import ESCAPE, SCRIPT, few
from tests.security.readers import RUN, STUDY, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IN_TOML = "\\u001b[31mred"


def command(*arguments: object) -> str:
    """Return all that a command prints; jacprobe's own errors are printed as `main` prints them."""
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        assert isinstance(found.exception, JacprobeError), found.exception
        return f"{found.output}jacprobe: {found.exception}"
    return found.output


def hostile_ledger(folder: Path) -> Path:
    lines = few()
    for line in lines:
        line["provenance"] = {**line["provenance"], ESCAPE: ESCAPE, "entries": {f"{ESCAPE}{SCRIPT}": "0:ab"}}
        line["study"] = f"toy {ESCAPE}"
    write_ledger(folder / "verdicts.jsonl", lines)
    return folder / "verdicts.jsonl"


@pytest.mark.parametrize(
    "arguments",
    [["findings"], ["compare", "{0}", "--unpaired"], ["verify"], ["accept", "--reason", f"because {ESCAPE}"]],
    ids=lambda given: given[0],
)
def test_a_hostile_ledger_brings_no_escape_to_the_terminal(tmp_path: Path, monkeypatch, arguments: list[str]):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ledger = hostile_ledger(tmp_path)
    name, *more = (word.format(ledger) for word in arguments)
    shown = command(name, ledger, *more)
    assert "\\x1b[31m" in shown or name == "compare"
    assert "\x1b" not in shown


def test_a_hostile_report_page_holds_no_markup_of_a_ledgers(tmp_path: Path):
    hostile_ledger(tmp_path)
    shown = command("report", "--results", tmp_path, "--out", tmp_path / "out")
    assert "\x1b" not in shown
    for path in (tmp_path / "out").rglob("*.*"):
        if path.suffix in (".html", ".md"):
            text = path.read_text(encoding="utf-8")
            assert "\x1b" not in text
            assert "<script>alert" not in text.replace("\\<", "")


def attribute(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    content["attributes"] |= changes
    path.write_text(json.dumps(content))


def cells(own: Path) -> object:
    with h5py.File(own / "cells.h5ad", "r+") as file:
        del file["obs/gene/categories"]
        file["obs/gene/categories"] = np.array([ESCAPE], dtype=h5py.string_dtype())
        file["obs/gene/categories"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    from jacprobe.cells import read_cells
    from tests.test_cells import MODEL

    return read_cells(own / "cells.h5ad", MODEL)


def written(name: str, text: str, read: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(own: Path) -> object:
        (own / name).write_text(text)
        return read(own)

    return change


def entry(own: Path) -> object:
    attribute(entry_of(own) / "zarr.json", labels={"kd": [ESCAPE, "B", "C"], "gene": ["G", "H"]})
    found = Entry(entry_of(own))
    found.chunk_path(ESCAPE).write_bytes(b"")
    return found.read(ESCAPE)


FILES: dict[str, Callable[[Path], object]] = {
    "config.yaml": written(f"{RUN}/config.yaml", f'model: {{name: "{IN_TOML}"}}', lambda own: identify(own / RUN)),
    "split.toml": written(f"{RUN}/split.toml", f'[zeroshot]\n"{IN_TOML}" = [', lambda own: identify(own / RUN)),
    "study.toml": written(f"{STUDY}/study.toml", f'name = "{IN_TOML}"\n', lambda own: open_study(own / STUDY)),
    "expected.toml": written(
        "expected.toml", f'["{IN_TOML}"]\nexpected = "x"', lambda own: read_expectations(own / "expected.toml", ("a",))
    ),
    "gmt": written("sets.gmt", f"{ESCAPE}\tx\tA\n{ESCAPE}\tx\tA\n", lambda own: read_gmt(own / "sets.gmt")),
    "ledger": written("verdicts.jsonl", f'{{"{ESCAPE}": ', lambda own: read_ledger(own / "verdicts.jsonl")),
    "csv": written(
        "table.csv", f"kd,cluster\nA,{ESCAPE}\n", lambda own: readers.read_vector(own / "table.csv", "kd", "cluster")
    ),
    "sae": written("sae/cfg.json", json.dumps({"architecture": ESCAPE}), lambda own: load_sae(own / "sae")),
    "cells": cells,
    "entry": entry,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_an_error_about_a_hostile_file_brings_no_escape(own: Path, name: str):
    with pytest.raises(JacprobeError) as caught:
        FILES[name](own)
    assert "\x1b" not in str(caught.value)


def test_a_damaged_chunk_of_a_hostile_name_is_logged_without_escapes(own: Path, caplog):
    attribute(entry_of(own) / "zarr.json", labels={"kd": [ESCAPE, "B", "C"], "gene": ["G", "H"]})
    found = Entry(entry_of(own))
    path = found.chunk_path(ESCAPE)
    path.write_bytes(path.read_bytes()[:-1])
    fill(found, lambda _: np.ones(2, np.float32))
    assert "computed again" in caplog.text
    assert "\x1b" not in caplog.text


def test_commands_of_the_store_show_hostile_names_inert(own: Path, monkeypatch):
    monkeypatch.chdir(own)
    attribute(entry_of(own) / "zarr.json", key={"probe": ESCAPE}, labels={ESCAPE: ["A", "B", "C"], "gene": ["G", "H"]})
    (own / "store" / "estimates").mkdir()
    (own / "store" / "estimates" / ESCAPE).mkdir()
    for what in ("list", "verify", "size", "gc"):
        assert "\x1b" not in command("store", what, "--store", "store")


def test_collecting_shows_hostile_roles_inert(tmp_path: Path):
    from jacprobe.collect import Task
    from jacprobe.requests import Delta

    assert Task(Delta(f"[red]{ESCAPE}"), ()).title == "delta [red]\\x1b[31mred\\x1b[0m draw 0"
