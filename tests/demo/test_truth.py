from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from jacprobe.demo import truth
from jacprobe.demo.truth import read_plan
from jacprobe.errors import StudyError


@pytest.fixture
def edited(tmp_path: Path):
    """Copies the shipped plan with one replacement."""

    def edit(name: str, old: str, new: str) -> Path:
        for file in ("plan.toml", "outputs.toml"):
            shutil.copyfile(Path(truth.__file__).parent / file, tmp_path / file)
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        return tmp_path

    return edit


def test_the_plan_has_the_stated_size():
    plan = read_plan()
    assert (len(plan.knockdowns), len(plan.genes), len(plan.lines)) == (259, 449, 4)
    assert list(plan.knockdowns) == sorted(plan.knockdowns)


def test_every_published_set_that_claims_test_is_large_enough_for_a_verdict():
    """Coherence needs 5 members for a positive verdict and 10 for a null one."""
    knockdowns = read_plan().knockdowns
    patterns = {
        "splicing_sf3b_snrp": r"^(SF3B|SNRP)",
        "cytoplasmic_ribosome": r"^RP[SL]\d",
        "er_golgi": r"^(TRAPPC|SEC[0-9A-Z]|SRP)",
        "proteasome": r"^PSM[ABCDEFG]",
        "mitoribosome": r"^MRP[SL]\d",
        "oxphos": r"^NDUF|^SDHC$",
        "splicing_prpf": r"^PRPF|^(DHX15|DHX16|HNRNPU)$",
    }
    sizes = {name: sum(bool(re.search(pattern, kd)) for kd in knockdowns) for name, pattern in patterns.items()}
    assert {name: size for name, size in sizes.items() if size < 10} == {}


def test_programs_follow_whole_families_and_lines_differ_where_planned():
    plan = read_plan()
    programs = {program.name: program for program in plan.programs}
    assert set(programs["mitoribosome"].knockdowns) == set(plan.families["mitoribosome"])
    assert len(set(programs["mitoribosome"].activity.values())) == 1
    assert programs["er_secretory"].activity["hepg2"] > 0
    assert {programs["er_secretory"].activity[line] for line in plan.lines[1:]} == {0.0}
    assert programs["hepatocyte"].activity["hepg2"] == -programs["hepatocyte"].activity["jurkat"]
    followed = {kd for program in plan.programs for kd in program.knockdowns}
    assert followed.isdisjoint(plan.families["prpf"])


def test_a_gene_planned_twice_is_refused(edited):
    with pytest.raises(StudyError, match="output gene planned twice: ALB"):
        read_plan(edited("outputs.toml", "GAPDH", "ALB"))


def test_a_knockdown_in_two_families_is_refused(edited):
    with pytest.raises(StudyError, match="knockdown planned twice: MYC"):
        read_plan(edited("plan.toml", "PAXBP1 E2F6", "MYC E2F6"))


def test_a_program_of_unknown_knockdowns_is_refused(edited):
    with pytest.raises(StudyError, match="program trapp_core follows TRAPPC55; wanted knockdowns of a family"):
        read_plan(edited("plan.toml", '"TRAPPC3 TRAPPC5"', '"TRAPPC3 TRAPPC55"'))
