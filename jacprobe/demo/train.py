"""Train models with arc-state's own command, several at a time, each resumable."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.demo.family import DemoModel, Recipe, command
from jacprobe.demo.strip import CHECKPOINT
from jacprobe.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def run_family(
    models: Sequence[DemoModel],
    recipe: Recipe,
    seed: int,
    folder: Path,
    report: Callable[[DemoModel, int], None],
    at_once: int = 2,
) -> None:
    """Train models with arc-state's command in subprocesses of one thread each, `at_once` at a time.

    A run folder appears as `folder`/`model.folder` whole or not at all: a model that is there is not trained again, one
    that was cut short starts anew on the next call. When one fails, or the caller is interrupted, the others are ended.

    Parameters
    ----------
    models
        What to train.
    recipe, seed
        As for `command`.
    folder
        Holds `model.folder`.toml per model; receives run folders and logs.
    report
        Called with a model and its steps done, at least once when it has finished.
    at_once
        Number of subprocesses.

    Raises
    ------
    RunFolderError
        Training ended without a checkpoint; the end of its log is quoted.
    """
    for left in folder.glob("attempt-*"):
        shutil.rmtree(left, ignore_errors=True)
    waiting = list(models)
    running: dict[DemoModel, Attempt] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                model = waiting.pop(0)
                if (folder / model.folder).is_dir():
                    report(model, recipe.steps)
                else:
                    running[model] = _start(model, recipe, seed, folder)
            for model, attempt in list(running.items()):
                if attempt.process.poll() is None:
                    report(model, _steps_done(attempt.run))
                else:
                    _finish(model, attempt, folder)
                    del running[model]
                    report(model, recipe.steps)
            if running:
                time.sleep(0.5)
    finally:
        for attempt in running.values():
            attempt.process.terminate()
        for attempt in running.values():
            attempt.process.wait()
            shutil.rmtree(attempt.output, ignore_errors=True)


@dataclass(frozen=True)
class Attempt:
    """A training under way: its process, the folder it writes to, the run folder in there, its log."""

    process: subprocess.Popen[bytes]
    output: Path
    run: Path
    log: Path


def _start(model: DemoModel, recipe: Recipe, seed: int, folder: Path) -> Attempt:
    environment = {
        **os.environ,
        "WANDB_MODE": "disabled",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        # The same seed gives the same weights on the CPU with one thread, not on a GPU.
        "CUDA_VISIBLE_DEVICES": "",
    }
    # A folder of its own per attempt: what an orphan of a killed build still writes cannot reach this one.
    output = Path(tempfile.mkdtemp(prefix=f"attempt-{model.folder}-", dir=folder))
    call = command(model, recipe, seed, folder / f"{model.folder}.toml", output)
    log = folder / f"{model.folder}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603  the arguments are this module's own and no shell reads them
            call, cwd=output, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    return Attempt(process, output, output / model.folder, log)


def _finish(model: DemoModel, attempt: Attempt, folder: Path) -> None:
    if attempt.process.returncode != 0 or not (attempt.run / CHECKPOINT).is_file():
        end = attempt.log.read_text(encoding="utf-8", errors="replace").strip()[-600:]
        raise RunFolderError(
            f"training {model.role} ended with code {attempt.process.returncode}: {end}",
            "a checkpoint",
            "Mend what the log says and run the same command again; finished models are kept",
            where=attempt.log,
        )
    attempt.run.rename(folder / model.folder)
    shutil.rmtree(attempt.output, ignore_errors=True)


def _steps_done(run: Path) -> int:
    """Return the last step in the logged metrics, which training flushes every 100 steps."""
    found = sorted(run.glob("version_*/metrics.csv"))
    if not found:
        return 0
    with found[-1].open(encoding="utf-8", newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
    return max(steps, default=0)
