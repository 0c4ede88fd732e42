"""A study of run folders and cells under other names: everything found, said, written and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pytest

from jacprobe.columns import Columns
from jacprobe.errors import InputError, StudyError, UnknownNameError
from jacprobe.opening import open_study
from jacprobe.scaffold.make import Wanted, make_study

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "fixtures" / "studies" / "demo"
NAMED = Columns("guide", "sample_line", "lane", "symbol", "lognorm", "NT")


@pytest.fixture
def wanted(runs, renamed, tmp_path):
    return Wanted(tmp_path / "my-study", runs, renamed)


def changed(path: Path, to: Path, change) -> Path:
    data = anndata.read_h5ad(path)
    change(data)
    data.write_h5ad(to)
    return to


def test_runs_take_their_roles_by_split_and_seed_and_cells_are_the_demos(wanted):
    made = make_study(wanted)
    study, demo = open_study(wanted.folder), open_study("demo")
    assert {role: entry.run.name for role, entry in study.models.items()} == {
        "fewshot/hepg2": "first",
        "fewshot/jurkat": "second",
        "zeroshot/hepg2": "third",
        "seed-replicate": "first-again",
        "shared-seed/jurkat": "fourth",
    }
    assert (study.columns, study.shapes, study.n_cells) == (NAMED, demo.shapes, demo.n_cells)
    for role in demo.models:
        mine, theirs = study.control_cells(role, n_cells=640), demo.control_cells(role, n_cells=640)
        assert np.array_equal(mine.sortby("cell").values, theirs.sortby("cell").values)
    assert "shared-seed/jurkat: fourth, trained from seed 42 as well" in made.guesses
    assert "control: cells marked 'NT', which the models call 'non-targeting'" in made.guesses
    assert not made.unknown
    assert not list(wanted.folder.parent.glob("*.partial"))


def test_a_written_study_runs_with_nothing_but_its_name(runs, renamed, tmp_path):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env=alone)

    study = str(tmp_path / "my-study")
    program = "from jacprobe.cli import main; main()"
    init = run("-c", program, "init", study, "--models", str(runs), "--data", str(renamed))
    assert init.returncode == 0, init.stderr
    assert "147 of 147 claims need no model but these" in init.stdout
    assert f"Judge it with: pytest claims/ --study {study}" in init.stdout
    chosen = ["nb02-splicing-coherent", "instrument-gene-and-knockdown-names"]
    places = ("--results", str(tmp_path / "results"), "--store", str(tmp_path / "store"))
    asked = [word for claim in chosen for word in ("--claim", claim)]
    judged = run("-m", "pytest", "claims/", "-q", "--study", study, *places, *asked)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    ledger = (tmp_path / "results" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    assert {line["id"]: line["verdict"] for line in map(json.loads, ledger)} == dict.fromkeys(chosen, "SUPPORTED")


def test_nothing_is_overwritten(wanted):
    wanted.folder.mkdir()
    with pytest.raises(InputError, match="my-study is there already; wanted a folder to be made"):
        make_study(wanted)
    assert not list(wanted.folder.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.obs.drop(columns="guide", inplace=True), "perturbation: no column .*--perturbation-column"),
        (lambda data: data.obs.drop(columns="sample_line", inplace=True), "cell_line: no column .*--cell-line-column"),
        (lambda data: data.obs.insert(0, "twin", data.obs["sample_line"]), "twin, sample_line hold alike"),
        (lambda data: data.layers.pop("lognorm"), "no matrix .*X: whole numbers throughout.*--expression"),
        (lambda data: data.var.drop(columns="symbol", inplace=True), "the genes go by Ensembl identifiers"),
    ],
)
def test_what_cannot_be_guessed_is_said_with_the_option_that_gives_it(wanted, tmp_path, change, message):
    data = changed(wanted.data, tmp_path / "other.h5ad", change)
    with pytest.raises(InputError, match=message):
        make_study(replace(wanted, data=data))
    assert [path.name for path in tmp_path.iterdir()] == ["other.h5ad"]


def test_two_marks_of_controls_have_to_be_chosen_from(wanted, tmp_path):
    def mark(data):
        data.obs["guide"] = np.where(np.arange(data.n_obs) % 2, "NT", "ctrl")

    data = changed(wanted.data, tmp_path / "other.h5ad", mark)
    with pytest.raises(InputError, match=r"control: obs.*holds NT, ctrl.*--control"):
        make_study(replace(wanted, data=data))
    made = make_study(replace(wanted, data=data, columns=Columns(control="NT")))
    assert any("320 of Hep-G2" in guess for guess in made.guesses)


def test_too_few_control_cells_are_told(wanted, tmp_path):
    def keep(data):
        data.obs["guide"] = np.where(np.arange(data.n_obs) % 32, "MYC", "NT")

    with pytest.raises(InputError, match="20 control cells in one line, sets of 32; wanted at least 32"):
        make_study(replace(wanted, data=changed(wanted.data, tmp_path / "few.h5ad", keep)))


def test_batches_are_not_needed(wanted, tmp_path):
    data = changed(wanted.data, tmp_path / "other.h5ad", lambda data: data.obs.drop(columns="lane", inplace=True))
    made = make_study(replace(wanted, data=data))
    assert made.unknown[0].endswith("--batch-column NAME gives it (only --batch own needs it)")
    assert open_study(wanted.folder).columns.batch is None


def test_roles_and_lines_may_be_given(wanted, runs):
    roles = {"zeroshot/hepg2": runs / "trained" / "second"}
    made = make_study(replace(wanted, roles=roles, cell_lines={"zeroshot/hepg2": "k562"}))
    entry = open_study(wanted.folder).models["zeroshot/hepg2"]
    assert (entry.run.name, entry.cell_line) == ("second", "k562")
    assert any(
        text.startswith("role of third (zeroshot, hepg2): no claim speaks of such a model") for text in made.unknown
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roles": {"fewshot/k562": Path("x")}}, "is none of the run folders"),
        ({"cell_lines": {"fewshot/hepg2": "HepG2"}}, r"unknown cell line HepG2 \(nearest: Hep-G2"),
        ({"models": DEMO / "sae"}, "no run folder at or below"),
        ({"adapter": "statee"}, "unknown adapter 'statee'"),
        ({"checkpoint": "last"}, "last"),
        ({"data": DEMO / "study.toml"}, "not readable as h5ad"),
        ({"data": DEMO / "none.h5ad"}, "none.h5ad is not there; wanted an h5ad file"),
        ({"models": DEMO / "none"}, "none is not there; wanted a folder of run folders"),
    ],
)
def test_what_is_given_wrongly_is_named(wanted, change, message):
    with pytest.raises(InputError, match=message):
        make_study(replace(wanted, **change))
    assert not wanted.folder.exists()


def test_a_role_that_no_claim_speaks_of_is_refused(wanted, runs):
    with pytest.raises(UnknownNameError, match=r"unknown role fewshot/k562 \(nearest: fewshot/hepg2"):
        make_study(replace(wanted, roles={"fewshot/k562": runs / "trained" / "first"}))


def test_a_run_that_cannot_be_read_is_left_out_and_said(wanted, runs, tmp_path):
    shutil.copytree(runs / "trained", tmp_path / "runs")
    (tmp_path / "runs" / "third" / "pert_onehot_map.pt").unlink()
    made = make_study(replace(wanted, models=tmp_path / "runs"))
    assert "third" in made.unknown[0]
    assert "no pert_onehot_map" in made.unknown[0]
    assert "zeroshot/hepg2" not in open_study(wanted.folder).models


def test_runs_that_moved_are_named_when_the_study_is_opened(wanted, runs, tmp_path):
    shutil.copytree(runs / "trained", tmp_path / "runs")
    make_study(replace(wanted, models=tmp_path / "runs"))
    shutil.move(tmp_path / "runs" / "first", tmp_path / "first")
    with pytest.raises(StudyError, match=r"first not in .*runs; wanted the run folders.*Mend \[elsewhere\] models"):
        open_study(wanted.folder)
    given = open_study(wanted.folder, model={"fewshot/hepg2": tmp_path / "first"})
    assert set(given.models) == {
        "fewshot/hepg2",
        "fewshot/jurkat",
        "zeroshot/hepg2",
        "seed-replicate",
        "shared-seed/jurkat",
    }
    assert given.options == ("--model", f"fewshot/hepg2={tmp_path / 'first'}")


def test_nothing_is_downloaded_because_a_study_says_so(wanted):
    make_study(wanted)
    text = (wanted.folder / "study.toml").read_text(encoding="utf-8")
    reference = "hf://owner/name@0123456789012345678901234567890123456789"
    (wanted.folder / "study.toml").write_text(
        text.replace(f'"{wanted.models.resolve()}"', f'"{reference}"'), encoding="utf-8"
    )
    with pytest.raises(StudyError, match=r"\[elsewhere\] models = 'hf://"):
        open_study(wanted.folder)
