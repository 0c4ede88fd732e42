from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jacprobe.errors import RunFolderError
from jacprobe.models.split import find_split, read_split

if TYPE_CHECKING:
    from pathlib import Path

KDS = ["TP53", "MYC", "RPL3", "SNRPD1"]
FEWSHOT = '[training]\nreplogle = "train"\n[fewshot."replogle.hepg2"]\nval = ["TP53"]\ntest = ["MYC", "ABSENT"]\n'


def written(folder: Path, text: str, name: str = "split.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_fewshot_holds_out_validation_and_test(tmp_path: Path):
    split = read_split(written(tmp_path, FEWSHOT), KDS)
    assert split.tags == {"TP53": "held out", "MYC": "held out", "RPL3": "trained", "SNRPD1": "trained"}
    assert (split.line, split.source) == ("replogle.hepg2", "split.toml")


def test_zeroshot_holds_out_everything(tmp_path: Path):
    split = read_split(written(tmp_path, '[zeroshot]\n"replogle.hepg2" = "test"\n'), KDS)
    assert set(split.tags.values()) == {"held out"}


@pytest.mark.parametrize(("run", "tag"), [("fewshot-hepg2", "held out"), ("jurkat", "trained"), ("other", "unknown")])
def test_of_several_lines_the_run_is_about_the_one_it_is_named_after(tmp_path: Path, run: str, tag: str):
    both = FEWSHOT + '[fewshot."replogle.jurkat"]\nval = []\ntest = ["RPL3"]\n'
    assert read_split(written(tmp_path, both), KDS, run).tags["TP53"] == tag


def test_a_split_without_lines_says_nothing(tmp_path: Path):
    split = read_split(written(tmp_path, '[training]\nreplogle = "train"\n'), KDS)
    assert set(split.tags.values()) == {"unknown"}
    assert "does not say" in split.source


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[fewshot", "no valid TOML"),
        ('fewshot = "all"', r"\[fewshot\] is a str"),
        ('[fewshot]\n"replogle.hepg2" = "test"', "no table of lists"),
        ('[fewshot."replogle.hepg2"]\ntest = "TP53"', "no table of lists"),
    ],
)
def test_a_broken_split_is_named(tmp_path: Path, text: str, found: str):
    with pytest.raises(RunFolderError, match=rf"split\.toml: .*{found}"):
        read_split(written(tmp_path, text), KDS)


def test_the_configuration_decides_between_several_splits(tmp_path: Path):
    written(tmp_path, FEWSHOT, "a.toml")
    assert find_split(tmp_path) == (tmp_path / "a.toml", "")
    written(tmp_path, FEWSHOT, "b.toml")
    assert find_split(tmp_path, "b.toml") == (tmp_path / "b.toml", "")
    assert find_split(tmp_path) == (None, "which of a.toml, b.toml is the split is unknown")
