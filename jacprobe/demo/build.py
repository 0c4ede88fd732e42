"""Build the demo study: simulate, train, strip, read features, write; what is done already is not done again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from jacprobe.demo.family import FAMILY, Recipe, held_out, split_toml
from jacprobe.demo.sae import train_autoencoders
from jacprobe.demo.strip import strip_run
from jacprobe.demo.study import CONTROLS_FILE, OBSERVED_FILE, observed_responses, study_toml, truth_toml, write_data
from jacprobe.demo.train import run_family
from jacprobe.demo.truth import Plan, plan_bytes, read_plan
from jacprobe.errors import InputError, RunFolderError
from jacprobe.suite import suite_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacprobe.demo.simulate import Truth

    Report = Callable[[str, int, int], None]

WORK = ".build"
MARKER = "build.json"
# Measured: the simulated study takes 194 MB, five runs with optimiser states 55 MB, what remains 10 MB.
NEEDED_BYTES = 300_000_000


@dataclass(frozen=True)
class Build:
    """What makes two builds the same: an interrupted one is taken up only by an equal one."""

    seed: int
    recipe: Recipe
    plan_sha256: str

    def text(self) -> str:
        """Return the build as JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)


def build(out: Path, seed: int = 42, recipe: Recipe | None = None, report: Report | None = None) -> Path:
    """Build the demo study into a folder; an interrupted build is taken up where it stopped.

    Parameters
    ----------
    out
        Folder to write: absent, empty, or an unfinished build of the same seed, recipe and plan.
    seed
        Of the simulation, and of the training of the first model; the others follow from it.
    recipe
        Training settings; by default those of the shipped study.
    report
        Called with a task's name, the steps done and the steps in all.

    Returns
    -------
    The folder, which `pytest claims/ --study` takes.

    Raises
    ------
    InputError
        The folder holds something else or cannot be written, the disk has too little room, the seed is negative.
    RunFolderError
        arc-state is not installed, or a training failed.
    """
    if seed < 0:
        raise InputError(f"seed {seed}", "a whole number, 0 or more", "Give another --seed", where="seed")
    recipe, report = recipe or Recipe(), report or (lambda _task, _done, _total: None)
    build_id = Build(seed, recipe, hashlib.sha256(plan_bytes()).hexdigest())
    if _finished(out, build_id):
        shutil.rmtree(out / WORK, ignore_errors=True)
        return out
    _require_arc_state()
    _require_usable(out, build_id)
    _require_room(out)
    work = out.resolve() / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot be made ({error})", "a folder that can be written", "Give another --out", where=out
        ) from error
    try:
        with FileLock(work / "lock", timeout=0):
            (work / MARKER).write_text(build_id.text(), encoding="utf-8")
            _build(out, work, build_id, report)
    except Timeout as error:
        raise InputError("another build is at work in there", "one at a time", where=out) from error
    shutil.rmtree(work)
    return out


def _build(out: Path, work: Path, build_id: Build, report: Report) -> None:
    plan, seed, recipe = read_plan(), build_id.seed, build_id.recipe
    truth = _simulated(plan, seed, work, report)
    for model in FAMILY:
        test, validation = held_out(plan, np.random.default_rng([seed, 2, plan.lines.index(model.line)]))
        text = split_toml(model, (work / "study.h5ad").resolve().as_posix(), test, validation)
        (work / f"{model.folder}.toml").write_text(text, encoding="utf-8")
    run_family(FAMILY, recipe, seed, work, lambda model, steps: report(model.role, steps, recipe.steps))
    for model in FAMILY:
        target = out / "models" / model.folder
        target.parent.mkdir(exist_ok=True)
        if not target.is_dir():
            strip_run(work / model.folder, (work / f"{model.folder}.toml").read_text(encoding="utf-8"), target)
    for name in (CONTROLS_FILE, OBSERVED_FILE):
        shutil.copyfile(work / name, out / name)
    train_autoencoders(
        FAMILY, recipe, truth, seed, out, lambda model, steps: report(f"sae {model.role}", steps, recipe.sae.steps)
    )
    (out / "truth.toml").write_text(truth_toml(truth, seed), encoding="utf-8")
    expected = suite_root() / "fixtures" / "studies" / "demo" / "expected.toml"
    if expected.is_file():
        shutil.copyfile(expected, out / expected.name)
    (out / MARKER).write_text(build_id.text(), encoding="utf-8")
    (out / "study.toml").write_text(study_toml(truth, seed, recipe), encoding="utf-8")


def _simulated(plan: Plan, seed: int, work: Path, report: Report) -> Truth:
    from scipy.sparse import csr_matrix

    from jacprobe.demo.simulate import draw_truth, simulate

    truth = draw_truth(plan, np.random.default_rng([seed, 0]))
    if not (work / "study.h5ad").is_file():
        report("simulation", 0, 1)
        study, controls = simulate(truth, np.random.default_rng([seed, 1]))
        write_data(controls, work / CONTROLS_FILE, compress=True)
        write_data(observed_responses(study), work / OBSERVED_FILE, compress=True)
        study.X = csr_matrix(study.obsm["X_hvg"])
        write_data(study, work / "study.h5ad", compress=False)
    report("simulation", 1, 1)
    return truth


def _finished(out: Path, build_id: Build) -> bool:
    marker = out / MARKER
    return (out / "study.toml").is_file() and marker.is_file() and marker.read_text("utf-8") == build_id.text()


def _require_arc_state() -> None:
    if importlib.util.find_spec("state") is None:
        raise RunFolderError(
            "arc-state is not installed",
            "the command `state tx train`",
            "Install it with: pip install 'jacprobe[state]' (its licence is non-commercial)",
        )


def _require_usable(out: Path, build_id: Build) -> None:
    if out.exists() and not out.is_dir():
        raise InputError("not a folder", "a folder that is empty or not there yet", where=out)
    if not out.is_dir() or not any(out.iterdir()):
        return
    marker = out / WORK / MARKER
    if not marker.is_file():
        raise InputError(
            "the folder holds something else", "one that is empty or not there yet", "Give another --out", where=out
        )
    if marker.read_text(encoding="utf-8") != build_id.text():
        raise InputError(
            "the folder holds an unfinished build of another seed, recipe or plan",
            f"seed {json.loads(marker.read_text(encoding='utf-8'))['seed']} to take it up",
            "Give another --out, or remove the folder",
            where=out,
        )


def _require_room(out: Path) -> None:
    parent = next(folder for folder in (out, *out.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(parent).free
    if free < NEEDED_BYTES:
        raise InputError(
            f"{free / 1e6:.0f} MB free on the disk",
            f"{NEEDED_BYTES / 1e6:.0f} MB while building (10 MB remain)",
            "Make room or give another --out",
            where=out,
        )
