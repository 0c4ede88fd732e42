"""Opening a study: its study.toml, the files it names, and what the caller wants of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.errors import StudyError, unknown_names
from jacprobe.gene_sets import gene_sets
from jacprobe.suite import read_toml, suite_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.cells import BatchRule
    from jacprobe.studies import Study


def open_study(
    name: str | Path,
    seed: int = 0,
    device: str = "auto",
    batch: BatchRule = "first",
    store: str | Path | None = None,
    shared: Sequence[str | Path] = (),
    quick: int | None = None,
) -> Study:
    """Open a study by its name or by the path of its folder.

    Parameters
    ----------
    name
        A shipped study, or the folder of one.
    seed
        Root of every random stream.
    device, batch
        As in `Study`.
    store
        Folder of the evidence store; the user's own where None.
    shared
        Stores that are only read: what they hold is not computed again.
    quick
        At most so many knockdowns per probe.

    Raises
    ------
    StudyError
        Where there is no such study, or its study.toml is not one.
    """
    from jacprobe.store.store import Store
    from jacprobe.studies import ModelEntry, Study

    folder = _folder(name)
    table = read_toml(folder / "study.toml")
    try:
        own_sets = {**table.get("gene_sets", {})}
        terms_file = _optional(folder, own_sets.pop("gmt", None))
        models = {
            role: ModelEntry(
                _inside(folder, entry["run"]),
                entry["cell_line"],
                entry.get("checkpoint", "best"),
                _optional(folder, entry.get("sae")),
            )
            for role, entry in table["models"].items()
        }
        study = Study(
            name=table["name"],
            title=table.get("title", table["name"]),
            folder=folder,
            models=models,
            control_cells_file=_inside(folder, table["data"]["control_cells"]),
            n_cells=table["data"]["n_cells"],
            gene_sets=gene_sets(own_sets, terms_file),
            terms_file=terms_file,
            shapes=table.get("shapes", {}),
            observed_file=_optional(folder, table["data"].get("observed")),
            layer=table.get("features", {}).get("layer"),
            seed=seed,
            device=device,
            batch=batch,
            quick=quick,
            store=Store.at(store, shared),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"no usable entry {error}",
            "name, [models], [data] with control_cells and n_cells",
            where=folder / "study.toml",
        ) from error
    for path, what in ((study.control_cells_file, "control cells"), (study.observed_file, "observed responses")):
        if path is not None and not path.is_file():
            raise StudyError(f"{path.name} is missing", f"the study's {what}", where=folder)
    return study


def study_names() -> list[str]:
    """Return the names of the studies that the suite ships."""
    return sorted(path.parent.name for path in (suite_root() / "fixtures" / "studies").glob("*/study.toml"))


def _folder(name: str | Path) -> Path:
    shipped = suite_root() / "fixtures" / "studies" / str(name)
    for folder in (shipped, Path(name)):
        if (folder / "study.toml").is_file():
            return folder.resolve()
    raise unknown_names("study", [str(name)], study_names(), where="--study")


def _inside(folder: Path, relative: str) -> Path:
    """Return a path of the study, which stays inside its folder."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder):
        raise StudyError(
            f"{relative} points outside the study", "a path inside its folder", where=folder / "study.toml"
        )
    return path


def _optional(folder: Path, relative: str | None) -> Path | None:
    return None if relative is None else _inside(folder, relative)
