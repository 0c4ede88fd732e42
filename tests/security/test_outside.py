"""Paths that lead elsewhere: out of a study's folder, out of the store, out of an h5ad file, to the network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from jacprobe import hub, kept_estimates
from jacprobe.cells import read_cells
from jacprobe.errors import InputError, JacprobeError, StoreError, StudyError
from jacprobe.observed import read_observed
from jacprobe.opening import open_study
from jacprobe.retraining import options_of
from jacprobe.store.entry import Entry
from jacprobe.store.fill import evidence
from jacprobe.store.store import Store
from jacprobe.store.upkeep import gc, verify
from tests.report.ledgers import BLANK
from tests.security.readers import KEY, LABELS, STUDY, STUDY_TOML, entry_of
from tests.test_cells import MODEL

if TYPE_CHECKING:
    from pathlib import Path

OUTSIDE = ["../elsewhere", "/etc", "run/../../elsewhere", "run/.."]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize(
    "line", ['run = "run"', 'sae = "sae"', 'control_cells = "cells.h5ad"', 'cell_line = "hepg2"', "n_cells = 4"]
)
def test_a_study_that_points_outside_its_folder(own: Path, line: str, path: str):
    key = line.partition(" ")[0]
    new = {
        "cell_line": f'{line}\ncheckpoint = "{path}"',
        "n_cells": f'{line}\nobserved = "{path}"',
    }.get(key, f'{key} = "{path}"')
    (own / "elsewhere").mkdir()
    (own / STUDY / "study.toml").write_text(STUDY_TOML.replace(line, new))
    with pytest.raises(StudyError, match=r"points outside the study.*Give what lies elsewhere by --models"):
        open_study(own / STUDY)


def test_a_file_of_terms_outside_a_study(own: Path):
    (own / STUDY / "study.toml").write_text(STUDY_TOML.replace("[gene_sets.mine]", '[gene_sets]\ngmt = "../sets.gmt"'))
    with pytest.raises(StudyError):
        open_study(own / STUDY)
    (own / STUDY / "study.toml").write_text(STUDY_TOML + '[gene_sets.gmt]\nkind = "kd"\n')
    with pytest.raises(StudyError):
        open_study(own / STUDY)


@pytest.mark.parametrize("name", ["cells.h5ad", "run", "run/var_dims.pkl", "sae/weights"])
def test_a_link_out_of_a_study(own: Path, name: str):
    target = own / ("fewshot-hepg2" if name == "run" else "cells.h5ad")
    link = own / STUDY / name
    if link.is_dir():
        link.rmdir()
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    with pytest.raises(StudyError, match="points outside the study"):
        open_study(own / STUDY)


def test_what_lies_elsewhere_is_taken_where_it_is_asked_for(own: Path):
    (own / STUDY / "run").rmdir()
    (own / STUDY / "run").symlink_to(own / "fewshot-hepg2")
    study = open_study(own / STUDY, model={"fewshot/hepg2": own / STUDY / "run"}, data=own / "cells.h5ad")
    assert study.models["fewshot/hepg2"].run == (own / "fewshot-hepg2").resolve()


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_study_does_not_lead_out_of_the_folder_of_models_that_is_given(own: Path, path: str):
    (own / STUDY / "study.toml").write_text("external = true\n" + STUDY_TOML.replace('run = "run"', f'run = "{path}"'))
    with pytest.raises(StudyError, match="points outside the study"):
        open_study(own / STUDY, models=own / "models")


@pytest.mark.parametrize(
    "text", ['name = "a\\u0000b"', f'name = "mine"\n[models]\n[data]\ncontrol_cells = "{"a" * 5000}"']
)
def test_paths_that_no_system_takes(own: Path, text: str):
    (own / STUDY / "study.toml").write_text(text)
    with pytest.raises(StudyError):
        open_study(own / STUDY)
    (own / STUDY / "study.toml").write_text(STUDY_TOML.replace('"cells.h5ad"', '"a\\u0000b"'))
    with pytest.raises(StudyError, match="null"):
        open_study(own / STUDY)


def link(file: h5py.File, other: Path) -> None:
    del file["obs"]
    file["obs"] = h5py.ExternalLink(str(other), "/obs")


def nested_link(file: h5py.File, other: Path) -> None:
    file["obs/more"] = h5py.ExternalLink(str(other), "/obs/gene")


def storage(file: h5py.File, other: Path) -> None:
    del file["obsm/X_hvg"]
    file.create_dataset("obsm/X_hvg", shape=(4, 3), dtype="f4", external=[(str(other), 0, 48)])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(shape=(4, 3), dtype="f4")
    layout[:] = h5py.VirtualSource(str(other), "obsm/X_hvg", shape=(4, 3))
    del file["obsm/X_hvg"]
    file.create_virtual_dataset("obsm/X_hvg", layout)


@pytest.mark.parametrize("change", [link, nested_link, storage, virtual])
def test_cells_that_lie_in_another_file(own: Path, change):
    with h5py.File(own / "cells.h5ad", "r+") as file:
        change(file, own / "named.h5ad")
    with pytest.raises(InputError, match="another file"):
        read_cells(own / "cells.h5ad", MODEL)


def test_observed_responses_that_lie_in_another_file(own: Path):
    with h5py.File(own / "observed.h5ad", "r+") as file:
        del file["X"]
        file["X"] = h5py.ExternalLink(str(own / "named.h5ad"), "/X")
    with pytest.raises(StudyError, match="link into another file"):
        read_observed(own / "observed.h5ad", "hepg2")


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Return a folder outside the store, which must stay as it is."""
    folder = tmp_path / "precious"
    (folder / "0").mkdir(parents=True)
    for name in ("thesis.txt", "0.1.partial", "0/0"):
        (folder / name).write_text("years of work")
    return folder


@pytest.mark.parametrize("name", ["estimates", "locks", "create.lock", "jacprobe-store.json", "CACHEDIR.TAG"])
def test_a_link_at_the_top_of_a_store(own: Path, precious: Path, name: str):
    path = own / "store" / name
    path.unlink(missing_ok=True)
    path.symlink_to(precious if name in ("estimates", "locks") else precious / "thesis.txt")
    for shared in (False, True):
        with pytest.raises(StoreError, match="a symbolic link inside a store"):
            Store.at(own / ("else" if shared else "store"), [own / "store"] if shared else [])
    assert (precious / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "name", ["", "zarr.json", "values", "values/zarr.json", "values/c", "values/c/0", "values/c/0/0"]
)
def test_a_link_in_an_entry_is_neither_read_nor_written_nor_cleared(own: Path, precious: Path, name: str):
    entry = entry_of(own)
    path = entry / name
    moved = own / "moved"
    path.rename(moved)
    if name in ("values/c", "values/c/0"):
        path.symlink_to(precious)
    else:
        path.symlink_to(moved)
    store = Store.at(own / "store")

    def use(what) -> None:
        with pytest.raises(StoreError, match="a symbolic link inside a store"):
            what()

    use(lambda: evidence(store, KEY, LABELS, lambda _: np.zeros(2, np.float32)))
    use(lambda: [Entry(entry).read(label) for label in LABELS["kd"]])
    before = {item: item.read_bytes() for item in precious.rglob("*") if item.is_file()}
    for mend in (False, True):
        verify(store, mend=mend)
    try:
        gc(store, {"Delta": 9})
    except StoreError as error:
        assert "a symbolic link" in str(error)  # noqa: PT017 - clearing may also refuse
    assert {item: item.read_bytes() for item in precious.rglob("*") if item.is_file()} == before


def test_estimates_kept_behind_a_link_are_neither_cleared_nor_written(own: Path, precious: Path):
    store = Store.at(own / "store")
    (store.root / "estimates").mkdir()
    (store.root / "estimates" / "code").symlink_to(precious)
    gone = gc(store, code="other")
    assert gone == [str(store.root / "estimates" / "code")]
    assert (precious / "thesis.txt").read_text() == "years of work"
    assert not (store.root / "estimates" / "code").exists()
    assert kept_estimates.read(precious / "thesis.txt") is None


def test_labels_do_not_name_files(own: Path):
    meta = entry_of(own) / "zarr.json"
    content = json.loads(meta.read_text())
    content["attributes"]["labels"]["kd"] = ["../../../../etc/passwd", "/etc/shadow", "C"]
    meta.write_text(json.dumps(content))
    entry = Entry(meta.parent)
    assert all(entry.chunk_path(label).is_relative_to(entry.path) for label in entry.names)
    assert [entry.chunk_path(label).parent.name for label in entry.names] == ["0", "1", "2"]


@pytest.mark.parametrize("word", ["--models {0}", "--data {0}", "--model fewshot/hepg2={0}"])
def test_the_command_in_a_ledger_starts_no_download(monkeypatch, word: str):
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("a download"))
    command = f"pytest claims/ --study demo {word.format('hf://someone/else@' + 'a' * 40)}"
    with pytest.raises(InputError, match="a ledger's word starts no download"):
        options_of({**BLANK, "id": "nb01-a", "provenance": {"command": command}})


def test_a_reference_does_not_climb(monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *_: pytest.fail("a download"))
    with pytest.raises(JacprobeError):
        hub.parse(f"hf://someone/else/../../other@{'a' * 40}")
