from __future__ import annotations

import importlib.util
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from jacprobe.demo import build as module
from jacprobe.demo import simulate
from jacprobe.demo.build import NEEDED_BYTES, build
from jacprobe.demo.family import Recipe
from jacprobe.errors import InputError, RunFolderError

if TYPE_CHECKING:
    from pathlib import Path


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Replaces trainings and stripping by the making of folders; counts calls, and fails on demand."""
    calls = {"train": 0, "fail": 0}

    def run_family(models, recipe, seed, folder, report):
        calls["train"] += 1
        if calls["fail"]:
            raise RunFolderError("training failed")
        for model in models:
            (folder / model.folder).mkdir(exist_ok=True)
            report(model, recipe.steps)

    def train_autoencoders(models, recipe, truth, seed, out, report):
        for model in models:
            if model.sae:
                assert (out / "models" / model.folder).is_dir()
                assert (out / "control_cells.h5ad").is_file()
                (out / "sae" / model.folder).mkdir(parents=True, exist_ok=True)
                report(model, recipe.sae.steps)

    monkeypatch.setattr(module, "run_family", run_family)
    monkeypatch.setattr(module, "train_autoencoders", train_autoencoders)
    monkeypatch.setattr(module, "strip_run", lambda source, _split, target: shutil.copytree(source, target))
    monkeypatch.setattr(simulate, "CELLS_PER_KNOCKDOWN", 1)
    monkeypatch.setattr(simulate, "HOME_CELLS_PER_KNOCKDOWN", 1)
    monkeypatch.setattr(simulate, "TRAINING_CONTROLS", 4)
    monkeypatch.setattr(simulate, "SHIPPED_CONTROLS", 4)
    return calls


def test_a_build_leaves_the_study_and_nothing_else(tmp_path: Path, family: dict[str, int]):
    reports: list[tuple[str, int, int]] = []
    out = build(tmp_path / "study", seed=1, report=lambda *report: reports.append(report))
    assert {path.name for path in out.iterdir()} >= {
        "study.toml", "truth.toml", "control_cells.h5ad", "observed.h5ad", "models", "sae", "build.json",
    }  # fmt: skip
    assert not (out / ".build").exists()
    assert ("simulation", 1, 1) in reports
    assert ("zeroshot/hepg2", Recipe().steps, Recipe().steps) in reports
    assert ("sae zeroshot/hepg2", Recipe().sae.steps, Recipe().sae.steps) in reports


def test_a_finished_build_is_not_made_again(tmp_path: Path, family: dict[str, int]):
    build(tmp_path / "study", seed=1)
    build(tmp_path / "study", seed=1)
    assert family["train"] == 1


def test_an_interrupted_build_keeps_its_simulation(tmp_path: Path, family: dict[str, int], monkeypatch):
    family["fail"] = 1
    with pytest.raises(RunFolderError, match="training failed"):
        build(tmp_path / "study", seed=1)
    family["fail"] = 0
    monkeypatch.setattr(simulate, "simulate", lambda *_: pytest.fail("simulated again"))
    assert (build(tmp_path / "study", seed=1) / "study.toml").is_file()


def test_an_unfinished_build_of_another_seed_is_refused(tmp_path: Path, family: dict[str, int]):
    family["fail"] = 1
    with pytest.raises(RunFolderError, match="training failed"):
        build(tmp_path / "study", seed=1)
    with pytest.raises(
        InputError, match="unfinished build of another seed, recipe or plan; wanted seed 1 to take it up"
    ):
        build(tmp_path / "study", seed=2)


def test_a_folder_with_something_else_is_refused_and_kept(tmp_path: Path, family: dict[str, int]):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="the folder holds something else"):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="not a folder"):
        build(tmp_path / "thesis.tex")


def test_a_seed_or_folder_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, family: dict[str, int]):
    with pytest.raises(InputError, match="seed -1; wanted a whole number, 0 or more"):
        build(tmp_path / "study", seed=-1)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        build(tmp_path / "file" / "study")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path, family: dict[str, int], monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 7_000_000))
    with pytest.raises(InputError, match=rf"7 MB free on the disk; wanted {NEEDED_BYTES // 10**6} MB while building"):
        build(tmp_path / "deep" / "study")
    assert not list(tmp_path.iterdir())


def test_without_arc_state_the_way_to_install_it_is_said(tmp_path: Path, family: dict[str, int], monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RunFolderError, match=r"arc-state is not installed.*pip install 'jacprobe\[state\]'"):
        build(tmp_path / "study")
    assert not list(tmp_path.iterdir())
