"""Studies: opened by name or folder, refused where their files contradict each other."""

from __future__ import annotations

import pytest

from jacprobe.errors import EvidenceMissingError, StudyError, UnknownNameError
from jacprobe.opening import open_study, study_names
from jacprobe.requests import Delta, EveryRole, Request

GOOD = 'name = "mine"\n[models]\n[data]\ncontrol_cells = "cells.h5ad"\nn_cells = 4\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cells.h5ad").touch()
    (tmp_path / "study.toml").write_text(GOOD)
    return tmp_path


def test_the_demo_is_shipped_and_found_by_name():
    assert "demo" in study_names()
    study = open_study("demo")
    assert "fewshot/hepg2" in study.models
    assert study.control_cells_file is not None
    assert study.control_cells_file.is_file()


def test_a_study_of_ones_own_is_opened_by_its_folder(folder):
    assert open_study(folder).name == "mine"


def test_an_unknown_study_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown study dmo \(nearest: demo"):
        open_study("dmo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("n_cells = 4", ""), "n_cells"),
        (GOOD.replace('name = "mine"', ""), "name"),
        (GOOD.replace("[models]", '[models."fewshot/hepg2"]\ncell_line = "hepg2"'), "run"),
        (GOOD.replace("cells.h5ad", "none.h5ad"), "none.h5ad is missing"),
        (GOOD.replace("cells.h5ad", "../cells.h5ad"), "points outside the study"),
        (GOOD + "[[", "not readable as TOML"),
        (GOOD.replace("= 4", '= "4"'), r"study.toml: \[data\] n_cells = '4'; wanted a whole number, 1 or more"),
        (GOOD.replace("= 4", "= 4.0"), "n_cells = 4.0; wanted a whole number"),
        (GOOD.replace("= 4", "= true"), "n_cells = True; wanted a whole number"),
        (GOOD.replace("= 4", "= 0"), "n_cells = 0; wanted a whole number, 1 or more"),
        (GOOD + '[shapes]\ngenes = "449"\n', r"\[shapes\] genes = '449'"),
        (GOOD + "[features]\nlayer = -1\n", r"\[features\] layer = -1"),
        (GOOD + '[gene_sets.mine]\nkind = "kd"\npatterns = ["^RP[SL"]\n', r"\[gene_sets.mine\] pattern '\^RP\[SL'"),
    ],
)
def test_what_is_wrong_is_said_of_which_file(folder, text, message):
    (folder / "study.toml").write_text(text)
    with pytest.raises(StudyError, match=message):
        open_study(folder)


def test_what_a_study_lacks_makes_evidence_missing(folder):
    study = open_study(folder)
    with pytest.raises(EvidenceMissingError, match="no model for the role fewshot/hepg2"):
        study.resolve(Delta("fewshot/hepg2"))
    with pytest.raises(EvidenceMissingError, match="lacks the models fewshot/hepg2, zeroshot/hepg2"):
        study.resolve(EveryRole(Delta("fewshot/hepg2"), ("fewshot/hepg2", "zeroshot/hepg2")))
    with pytest.raises(EvidenceMissingError, match="no probe serves"):
        study.resolve(Request())
    with pytest.raises(EvidenceMissingError, match=r"unknown gene set mitoribsome \(nearest: mitoribosome"):
        study.gene_set("mitoribsome")


def test_control_cells_are_disjoint_between_draws_and_the_same_for_a_seed():
    study = open_study("demo", seed=3)
    first, second = (set(study.control_cells("fewshot/hepg2", draw)["cell"].values) for draw in (0, 1))
    assert len(first) == len(second) == study.n_cells
    assert not first & second
    again = open_study("demo", seed=3).control_cells("fewshot/hepg2")
    assert again.identical(study.control_cells("fewshot/hepg2"))


def test_gene_sets_are_members_among_the_knockdowns_each_once():
    study = open_study("demo")
    members = study.gene_set("er_secretory")
    assert len(members) == len(set(members)) > 0
    assert set(members) <= set(study.knockdowns)
    assert "SRPRB" in members  # matched by its pattern and appended again in the published list


def test_genes_picked_after_looking_are_no_members():
    study = open_study("demo")
    assert {"DGAT1", "CEPT1", "TMX3"} <= set(study.genes)
    assert not {"DGAT1", "CEPT1", "TMX3"} & set(study.gene_set("lipid_er_outputs"))
    assert "PDIA3" in study.gene_set("lipid_er_outputs")
