from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from jacprobe.demo import train
from jacprobe.demo.family import FAMILY, DemoModel, Recipe
from jacprobe.demo.train import run_family
from jacprobe.errors import RunFolderError

# A stand-in for `state tx train`: logs steps, writes a checkpoint, and does as the file named by its model says.
TRAINER = """
import pathlib, sys, time
run = pathlib.Path(sys.argv[1]); how = sys.argv[2]
(run / "version_0").mkdir(parents=True); (run / "checkpoints").mkdir()
(run / "version_0" / "metrics.csv").write_text("loss,step\\n.5,49\\n.4,\\n.3,99\\n")
print("started", flush=True)
if how == "fails": sys.exit("no such gene")
time.sleep(60 if how == "hangs" else 1.2)
(run / "checkpoints" / "best.ckpt").write_text(how)
"""


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """How each model's training goes, by role: "well" unless said otherwise; every start is recorded."""
    how: dict[str, str] = {}

    def command(model: DemoModel, _recipe: Recipe, _seed: int, _split: Path, output: Path) -> list[str]:
        with (tmp_path / "started").open("a") as log:
            log.write(f"{model.role}\n")
        return [sys.executable, "-c", TRAINER, str(output / model.folder), how.get(model.role, "well")]

    monkeypatch.setattr(train, "command", command)
    return how


def run(folder: Path, models: tuple[DemoModel, ...] = FAMILY[:3]) -> list[tuple[str, int]]:
    reports: list[tuple[str, int]] = []
    run_family(models, Recipe(steps=100), 42, folder, lambda model, steps: reports.append((model.role, steps)))
    return reports


def started(folder: Path) -> list[str]:
    return (folder / "started").read_text().split()


def test_models_are_trained_and_progress_is_reported(tmp_path: Path, trainer: dict[str, str]):
    reports = run(tmp_path)
    for model in FAMILY[:3]:
        assert (tmp_path / model.folder / "checkpoints" / "best.ckpt").read_text() == "well"
        steps = [done for role, done in reports if role == model.role]
        assert steps == sorted(steps)
        assert {99, 100} <= set(steps)
    assert not list(tmp_path.glob("attempt-*"))


def test_trained_models_are_kept(tmp_path: Path, trainer: dict[str, str]):
    run(tmp_path, FAMILY[:1])
    (tmp_path / "started").unlink()
    reports = run(tmp_path, FAMILY[:2])
    assert started(tmp_path) == [FAMILY[1].role]
    assert (FAMILY[0].role, 100) in reports


def test_a_failure_quotes_the_log_and_ends_the_others(tmp_path: Path, trainer: dict[str, str]):
    trainer["fewshot/hepg2"], trainer["fewshot/jurkat"] = "fails", "hangs"
    begin = time.monotonic()
    with pytest.raises(RunFolderError, match=r"training fewshot/hepg2 ended with code 1: started\\nno such gene"):
        run(tmp_path, FAMILY[:2])
    assert time.monotonic() - begin < 30, "the other training was waited for"
    assert not list(tmp_path.glob("attempt-*"))
    assert not (tmp_path / "fewshot-jurkat").exists()


def test_an_interrupted_family_goes_on_with_what_is_left(tmp_path: Path, trainer: dict[str, str]):
    """Interrupted while the second model trains; the first stays, the second starts anew."""
    trainer["fewshot/jurkat"] = "hangs"

    def interrupt(model: DemoModel, steps: int) -> None:
        if model.role == "fewshot/hepg2" and steps == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_family(FAMILY[:2], Recipe(steps=100), 42, tmp_path, interrupt)
    assert (tmp_path / "fewshot-hepg2").is_dir()
    assert not list(tmp_path.glob("attempt-*"))
    trainer.clear()
    (tmp_path / "started").unlink()
    run(tmp_path, FAMILY[:2])
    assert started(tmp_path) == ["fewshot/jurkat"]


def test_what_a_killed_build_left_is_swept(tmp_path: Path, trainer: dict[str, str]):
    (tmp_path / "attempt-fewshot-hepg2-x" / "fewshot-hepg2").mkdir(parents=True)
    run(tmp_path, FAMILY[:1])
    assert not list(tmp_path.glob("attempt-*"))
    assert started(tmp_path) == [FAMILY[0].role]
