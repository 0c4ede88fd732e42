"""Run folders below a folder, and what is told of them without building a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe.errors import InputError, JacprobeError
from jacprobe.models.adapters import DEFAULT, adapter
from jacprobe.models.run_folder import read_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jacprobe.models.identity import Identity

_DEEPEST = 4
_CHECKPOINT = "{checkpoint}"


@dataclass(frozen=True)
class FoundRun:
    """A run folder: its checkpoint and identity; training seed and line where the run says so, else None and ""."""

    folder: Path
    checkpoint: str
    identity: Identity
    seed: int | None = None

    @property
    def line(self) -> str:
        """The cell line that the run's split is about."""
        return self.identity.provenance.get("split_line", "").rpartition(".")[2]

    @property
    def kind(self) -> str:
        """Fewshot where knockdowns were trained on in the run's line, zeroshot where none was; empty if unknown."""
        tags = set(self.identity.split.values()) - {"unknown"}
        return "" if not tags else "fewshot" if "trained" in tags else "zeroshot"


def find_runs(
    folder: Path,
    kind: str = DEFAULT,
    checkpoint: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[list[FoundRun], list[str]]:
    """Return the runs at and below a folder, and in words why others cannot be used.

    Parameters
    ----------
    folder
        A run folder, or one that holds some, up to four levels down.
    kind
        Name of the adapter that reads them.
    checkpoint
        Which to take of each; by default "best", or the only one.
    progress
        Told before each run is read: (done, total, its name).

    Raises
    ------
    InputError
        Where there is no run folder.
    """
    patterns = adapter(kind).files
    there = [path for path in _folders(folder, _DEEPEST) if _checkpoints(path, patterns) is not None]
    if not there:
        raise InputError(
            f"no run folder at or below {folder}",
            f"folders with {', '.join(pattern.replace(_CHECKPOINT, 'NAME') for pattern in patterns)}",
            "Give the folder that holds them by --models; models of another kind by --adapter.",
            "--models",
        )
    found, unusable = [], []
    for number, path in enumerate(there):
        if progress is not None:
            progress(number, len(there), path.name)
        try:
            chosen = checkpoint or _chosen(path, _checkpoints(path, patterns) or [])
            found.append(FoundRun(path, chosen, adapter(kind).identify(path, chosen), _training_seed(path)))
        except JacprobeError as error:
            unusable.append(f"{path}: {error}")
    return found, unusable


def _folders(folder: Path, deepest: int) -> list[Path]:
    """Return a folder and those below it in order, a link to a folder taken for it, none twice."""
    found, left, seen = [], [(folder, 0)], set()
    while left:
        path, depth = left.pop(0)
        if not path.is_dir() or path.resolve() in seen:
            continue
        seen.add(path.resolve())
        found.append(path)
        if depth < deepest:
            left.extend((child, depth + 1) for child in sorted(path.iterdir()) if not child.name.startswith("."))
    return found


def _checkpoints(path: Path, patterns: tuple[str, ...]) -> list[str] | None:
    """Return the names of a run's checkpoints, none where its kind names none; None where the folder is no run."""
    named = [pattern for pattern in patterns if _CHECKPOINT in pattern]
    if not named:
        return [] if any(child.is_file() for child in path.iterdir()) else None
    found = sorted(file.stem for pattern in named for file in path.glob(pattern.replace(_CHECKPOINT, "*")))
    return found or None


def _chosen(path: Path, names: list[str]) -> str:
    if "best" in names or not names:
        return "best"
    if len(names) == 1:
        return names[0]
    raise InputError(f"checkpoints {', '.join(names)}", "best, or a single one", "Choose by --checkpoint.", path.name)


def _training_seed(path: Path) -> int | None:
    training = read_config(path).get("training")
    seed = str(training.get("train_seed")) if isinstance(training, dict) else ""
    return int(seed) if seed.isdecimal() else None
