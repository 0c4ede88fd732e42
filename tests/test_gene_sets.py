"""Gene sets of a study: shipped, its own, and from a GMT file that says in which line it is wrong."""

from __future__ import annotations

import shutil

import pytest

from jacprobe.errors import StudyError, UnknownNameError
from jacprobe.gene_sets import gene_sets, read_gmt
from jacprobe.opening import open_study
from jacprobe.requests import GeneSet

TERMS = {
    "Ribosome": ["RPL3", "RPS6"],
    "Protein processing in endoplasmic reticulum": ["HSPA5", "CALR"],
    "Steroid biosynthesis": ["SQLE", "LSS"],
    "p53 signaling pathway": ["CDKN1A", "NOT-AN-OUTPUT"],
}


@pytest.fixture
def gmt(tmp_path):
    path = tmp_path / "terms.gmt"
    path.write_text("".join("\t".join([term, "", *genes]) + "\n" for term, genes in TERMS.items()))
    return path


def test_terms_are_read_without_weights_and_blank_lines(tmp_path):
    path = tmp_path / "weights.gmt"
    path.write_text("\ufeffRibosome\tof KEGG\tRPL3,1.0\tRPS6,0.5\t\n\nOther\t\tMYC\n", encoding="utf-8")
    assert read_gmt(path) == {"Ribosome": ["RPL3", "RPS6"], "Other": ["MYC"]}


def test_a_file_of_terms_stands_in_place_of_every_stand_in_and_of_nothing_else(gmt):
    shipped, read = gene_sets({}), gene_sets({}, gmt)
    assert read["kegg_ribosome_outputs"]["genes"] == TERMS["Ribosome"]
    assert not read["kegg_p53_outputs"]["patterns"]
    with_term = {name for name, one in shipped.items() if "term" in one}
    assert len(with_term) == len(TERMS)
    assert {name for name in shipped if shipped[name] != read[name]} == with_term


def test_a_study_that_names_a_file_has_its_genes_among_the_models_outputs(gmt, tmp_path):
    demo = open_study("demo")
    folder = tmp_path / "mine"
    shutil.copytree(demo.folder, folder)
    shutil.copy(gmt, folder / "terms.gmt")
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("[gene_sets]\n", '[gene_sets]\ngmt = "terms.gmt"\n'))
    study = open_study(folder)
    assert study.resolve(GeneSet("kegg_p53_outputs")) == ("CDKN1A",)
    assert study.resolve(GeneSet("er_secretory")) == demo.resolve(GeneSet("er_secretory"))
    before = study.sha256
    (folder / "terms.gmt").write_text(gmt.read_text() + "More\t\tMYC\n")
    assert open_study(folder).sha256 != before


def test_ones_own_name_for_a_term_is_taken(tmp_path, gmt):
    gmt.write_text(gmt.read_text().replace("Ribosome", "KEGG_RIBOSOME"))
    with pytest.raises(StudyError, match=r"unknown term Ribosome; wanted the terms of kegg_ribosome_outputs"):
        gene_sets({}, gmt)
    own = {"kegg_ribosome_outputs": {"kind": "output", "term": "KEGG_RIBOSOME"}}
    assert gene_sets(own, gmt)["kegg_ribosome_outputs"]["genes"] == TERMS["Ribosome"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ribosome RPL3 RPS6\n", "line 1 has no gene"),
        ("A\t\tMYC\nA\t\tMAX\n", "line 2 has the term A again"),
        ("\n", "no term"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_its_line(tmp_path, text, message):
    path = tmp_path / "wrong.gmt"
    path.write_text(text)
    with pytest.raises(StudyError, match=rf"wrong\.gmt: {message}"):
        read_gmt(path)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(StudyError, match="not readable as GMT"):
        read_gmt(tmp_path / "none.gmt")
    (tmp_path / "binary.gmt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="not readable as GMT"):
        read_gmt(tmp_path / "binary.gmt")


def test_a_misspelt_entry_is_no_gene_set():
    with pytest.raises(StudyError, match=r"\[gene_sets\] gtm"):
        gene_sets({"gtm": "terms.gmt"})


def test_names_picked_after_looking_are_left_out_of_the_family_alone():
    sets = gene_sets({"rna_processing": {"not_counted": ["SMU1"]}})
    assert sets["rna_processing"]["clean"] == gene_sets({})["rna_processing"]["clean"]
    study = open_study("demo").reopened(gene_sets=sets)
    everyone = open_study("demo").resolve(GeneSet("rna_processing", "clean"))
    assert "SMU1" in everyone
    assert study.resolve(GeneSet("rna_processing", "clean")) == tuple(name for name in everyone if name != "SMU1")
    assert "SMU1" in study.resolve(GeneSet("rna_processing"))
    assert "DGAT1" not in study.gene_set("lipid_er_outputs")  # one definition only


def test_the_study_of_the_published_models_tests_families_without_the_names_it_was_told(tmp_path):
    names = ["SMU1", "UPF1", "SNRPD3", "LRPPRC", "TFAM", "FOXO1", "HMGCR"]
    (tmp_path / "nb05_clusters.csv").write_text("pert_name,cluster\n" + "".join(f"{name},1\n" for name in names))
    study = open_study("replogle-nadig", evidence=tmp_path)
    for name, left in (("rna_processing", "SNRPD3"), ("mito_rna", "TFAM"), ("hepatocyte", "HMGCR")):
        assert study.resolve(GeneSet(name, "clean")) == (left,)
        assert left not in study.resolve(GeneSet(name))


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            {"mine": {"kind": "kd", "patterns": ["^RP[SL"]}},
            r"\[gene_sets.mine\] pattern '\^RP\[SL' .*regular expression",
        ),
        ({"mine": {"clean": {"patterns": ["("]}}}, r"\[gene_sets.mine.clean\] pattern"),
        ({"mine": {"kind": "kd", "genes": "MYC"}}, r"\[gene_sets.mine\] genes = 'MYC'; wanted a list of texts"),
        ({"mine": {"kind": "kd", "clean": ["MYC"]}}, r"clean = \['MYC'\]; wanted a table"),
        ({"oxphos": {"not_counted": [1]}}, r"not_counted = \[1\]"),
        ({"oxfos": {"not_counted": ["SDHC"]}}, r"unknown gene set oxfos \(nearest: oxphos"),
    ],
)
def test_sets_that_cannot_be_used_are_refused_on_opening(own, message):
    with pytest.raises((StudyError, UnknownNameError), match=message):
        gene_sets(own)
