"""Which knockdowns a run was trained on, from its split TOML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jacprobe import texts
from jacprobe.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_MEND = "Mend it or take it out of the folder"
Tag = Literal["trained", "held out", "unknown"]


@dataclass(frozen=True)
class Split:
    """What a split TOML says about one cell line.

    Attributes
    ----------
    line
        The cell line as the TOML spells it ("replogle.hepg2"), or "" where none can be told.
    tags
        Per knockdown "trained", "held out" or "unknown".
    source
        The file it comes from, or why there is none.
    """

    line: str
    tags: Mapping[str, Tag]
    source: str


def find_split(folder: Path, configured: str = "") -> tuple[Path | None, str]:
    """Return the split TOML of a run folder and, where there is none, the reason.

    `configured` is the file name that the run's configuration gives; it decides between several TOMLs.
    """
    found = sorted(folder.glob("*.toml"))
    if len(found) > 1 and any(path.name == configured for path in found):
        found = [folder / configured]
    if len(found) == 1:
        return found[0], ""
    if not found:
        return None, "no split TOML in the folder"
    return None, f"which of {', '.join(path.name for path in found)} is the split is unknown"


def read_split(path: Path, knockdowns: Sequence[str], run: str = "") -> Split:
    """Return the training status of every knockdown in the line that the split is about.

    A line under ``[zeroshot]`` was never seen perturbed: every knockdown is held out. A line under ``[fewshot]`` lists
    the knockdowns kept for validation and test; the others were trained on.

    Parameters
    ----------
    path
        A TOML as arc-state's data loader reads it.
    knockdowns
        The perturbations of the model without its control.
    run
        The run's name, which decides where the TOML is about several lines: "fewshot-hepg2".

    Raises
    ------
    RunFolderError
        If the file is no TOML or a section is not of that form.
    """
    try:
        content = texts.read_toml(path)
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"no valid TOML ({error})",
            "a split as arc-state reads it",
            _MEND,
            path.name,
        ) from error
    zeroshot, fewshot = _section(content, "zeroshot", path), _section(content, "fewshot", path)
    line = _line_of(run, [*zeroshot, *fewshot])
    if line in fewshot:
        held_out = _held_out(fewshot[line], line, path)
        return Split(line, {name: "held out" if name in held_out else "trained" for name in knockdowns}, path.name)
    if line in zeroshot:
        return Split(line, dict.fromkeys(knockdowns, "held out"), path.name)
    return unknown_split(knockdowns, f"{path.name} does not say which line the run is about")


def unknown_split(knockdowns: Sequence[str], reason: str) -> Split:
    """Return the split of a run about which nothing is known."""
    return Split("", dict.fromkeys(knockdowns, "unknown"), reason)


def _section(content: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    section = content.get(name, {})
    if not isinstance(section, dict):
        raise RunFolderError(f"[{name}] is a {type(section).__name__}", "a table of cell lines", _MEND, path.name)
    return section


def _line_of(run: str, lines: list[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    named = [line for line in lines if run.casefold().endswith(line.rpartition(".")[2].casefold())]
    return named[0] if len(named) == 1 else ""


def _held_out(lists: object, line: str, path: Path) -> set[str]:
    if not isinstance(lists, dict) or not all(isinstance(names, list) for names in lists.values()):
        raise RunFolderError(
            f'[fewshot."{line}"] is no table of lists', "val = [...] and test = [...]", _MEND, path.name
        )
    return {str(name) for part in ("val", "test") for name in lists.get(part, [])}
