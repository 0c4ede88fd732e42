"""Opening a study: its study.toml, the files it names, and models, data or evidence that the caller gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe import hub
from jacprobe.columns import Columns
from jacprobe.errors import StudyError, unknown_names
from jacprobe.gene_sets import gene_sets
from jacprobe.roles import ModelEntry
from jacprobe.suite import read_toml, suite_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.cells import BatchRule
    from jacprobe.stored.evidence import StoredEvidence
    from jacprobe.studies import Study

_ASK = "Give what lies elsewhere by --models, --model or --data."


@dataclass(frozen=True)
class Given:
    """What the caller hands over, each a path or a reference to the hub ("hf://...@COMMIT").

    Attributes
    ----------
    models
        Folder of run folders, each where study.toml says of its role.
    model
        Run folders by role, over those of `models`.
    data
        AnnData file of control cells.
    evidence
        Folder of evidence computed by others; no reference.
    """

    models: str | Path | None = None
    model: Mapping[str, str | Path] = field(default_factory=dict)
    data: str | Path | None = None
    evidence: str | Path | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The options of pytest that give the same."""
        single = [word for role, path in self.model.items() for word in ("--model", f"{role}={path}")]
        named = {"--models": self.models, "--data": self.data, "--evidence": self.evidence}
        return (*(word for name, path in named.items() if path is not None for word in (name, str(path))), *single)


def open_study(
    name: str | Path,
    seed: int = 0,
    device: str = "auto",
    batch: BatchRule = "first",
    store: str | Path | None = None,
    shared: Sequence[str | Path] = (),
    quick: int | None = None,
    *,
    models: str | Path | None = None,
    model: Mapping[str, str | Path] | None = None,
    data: str | Path | None = None,
    evidence: str | Path | None = None,
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
    models, model, data, evidence
        As in `Given`. Nothing is downloaded but what a reference asks for.

    Raises
    ------
    StudyError
        Where there is no such study, its study.toml is not one, or what was given is not there.
    InputError
        Where data lack a column that the study names.
    """
    from jacprobe.store.store import Store
    from jacprobe.studies import Study

    folder = study_folder(name)
    table = read_toml(folder / "study.toml")
    given = Given(models, model or {}, data, evidence)
    asked, given, table = given.options, *_elsewhere(folder, table, given)
    try:
        own_sets = {**table.get("gene_sets", {})}
        terms_file = _optional(folder, own_sets.pop("gmt", None))
        study = Study(
            name=table["name"],
            title=table.get("title", table["name"]),
            folder=folder,
            models=_models(folder, table, given),
            control_cells_file=_data(folder, table, given),
            n_cells=_whole(table["data"]["n_cells"], "[data] n_cells", folder, least=1),
            gene_sets=gene_sets(own_sets, terms_file),
            terms_file=terms_file,
            shapes={name: _whole(n, f"[shapes] {name}", folder) for name, n in table.get("shapes", {}).items()},
            columns=_columns(folder, table),
            observed_file=_optional(folder, table["data"].get("observed")),
            layer=_layer(table, folder),
            seed=seed,
            device=device,
            batch=batch,
            quick=quick,
            store=Store.at(store, shared),
            stored=_stored(given),
            options=asked,
        )
        _require_texts(study)
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise StudyError(
            f"no usable entry {error}",
            "name, [models], [data] with control_cells and n_cells",
            where=folder / "study.toml",
        ) from error
    _require_something(study, table)
    for path, what in ((study.control_cells_file, "control cells"), (study.observed_file, "observed responses")):
        if path is not None and not path.is_file():
            raise StudyError(f"{path.name} is missing", f"the study's {what}", where=path.parent)
    return study


def _elsewhere(folder: Path, table: Mapping[str, Any], given: Given) -> tuple[Given, Mapping[str, Any]]:
    """Return what the caller gives, with what [elsewhere] says in place of the rest, and the study as an external one.

    Its paths stand for --models and --data: absolute, or from the study's folder.
    """
    if "elsewhere" not in table:
        return given, table
    stated = table["elsewhere"]
    odd = [f"{name} = {path!r}" for name, path in stated.items() if name not in ("models", "data")]
    odd += [
        f"{name} = {path!r}" for name, path in stated.items() if not isinstance(path, str) or hub.is_reference(path)
    ]
    if odd:
        raise StudyError(f"[elsewhere] {', '.join(odd)}", "models and data, paths", where=folder / "study.toml")
    there = {name: folder / path for name, path in stated.items() if getattr(given, name) is None}
    if "models" in there:
        runs = [entry["run"] for role, entry in table["models"].items() if role not in given.model and "run" in entry]
        lacking = [run for run in runs if not (there["models"] / run).is_dir()]
        if lacking:
            raise StudyError(
                f"{', '.join(lacking)} not in {there['models']}",
                "the run folders that study.toml names",
                "Mend [elsewhere] models, or give --models.",
                folder / "study.toml",
            )
    return replace(given, **there), {**table, "external": True}


def study_names() -> list[str]:
    """Return the names of the studies that the suite ships."""
    return sorted(path.parent.name for path in (suite_root() / "fixtures" / "studies").glob("*/study.toml"))


def _require_texts(study: Study) -> None:
    roles = {text for role, entry in study.models.items() for text in (role, entry.cell_line, entry.checkpoint)}
    odd = [text for text in (study.name, study.title, *roles) if not isinstance(text, str)]
    if odd:
        raise TypeError(f"{odd[0]!r}, which is no text")


def _whole(given: object, what: str, folder: Path, least: int = 0) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise StudyError(f"{what} = {given!r}", f"a whole number, {least} or more", where=folder / "study.toml")
    return given


def _layer(table: Mapping[str, Any], folder: Path) -> int | None:
    given = table.get("features", {}).get("layer")
    return None if given is None else _whole(given, "[features] layer", folder)


def _models(folder: Path, table: Mapping[str, Any], given: Given) -> dict[str, ModelEntry]:
    """Return the models that are to be judged: given ones in place of the study's own."""
    from jacprobe.models.adapters import DEFAULT, require_installed

    entries: Mapping[str, Any] = table["models"]
    unknown = [role for role in given.model if role not in entries]
    if unknown:
        raise unknown_names("role", unknown, list(entries), where="--model")
    found = {}
    for role, entry in entries.items():
        for what in ("run", "checkpoint", "sae"):
            _require_below(folder, entry.get(what))
        kind = require_installed(entry.get("adapter", DEFAULT), folder / "study.toml")
        checkpoint = entry.get("checkpoint", "best")
        run = _run(folder, role, entry, given, external=table.get("external", False))
        if run is not None:
            found[role] = ModelEntry(run, entry["cell_line"], checkpoint, _optional(folder, entry.get("sae")), kind)
    if given.models is not None and not found:
        wanted = ", ".join(entry["run"] for entry in entries.values() if "run" in entry)
        raise StudyError("no run folder of the study", f"one of {wanted} in it", "Check --models.", given.models)
    return found


def _run(folder: Path, role: str, entry: Mapping[str, Any], given: Given, *, external: bool) -> Path | None:
    """Return the run folder of a role, downloaded where a reference was given; None where it has none."""
    if role in given.model:
        path = given.model[role]
        found = _fetched(hub.parse(str(path)), entry) if hub.is_reference(path) else Path(path).resolve()
        if not found.is_dir():
            raise StudyError("no folder", f"the run folder of {role}", "Check --model.", path)
        return found
    if given.models is not None and "run" in entry:
        if hub.is_reference(given.models):
            return _fetched(hub.parse(str(given.models)).within(entry["run"]), entry)
        found = (Path(given.models) / entry["run"]).resolve()
        return found if found.is_dir() else None
    return None if external else _inside(folder, entry["run"])


def _fetched(reference: hub.Reference, entry: Mapping[str, Any]) -> Path:
    """Return a run folder of the hub with what its adapter reads of it; its other checkpoints are gigabytes."""
    from jacprobe.models.adapters import DEFAULT, adapter

    patterns = adapter(entry.get("adapter", DEFAULT)).files
    return hub.fetch(reference, [one.format(checkpoint=entry.get("checkpoint", "best")) for one in patterns])


def _data(folder: Path, table: Mapping[str, Any], given: Given) -> Path | None:
    """Return the file of control cells, its columns checked where the study names them."""
    if given.data is None:
        external = table.get("external", False)
        return None if external else _inside(folder, table["data"]["control_cells"])
    path = hub.fetch(hub.parse(str(given.data))) if hub.is_reference(given.data) else Path(given.data).resolve()
    if not path.is_file():
        raise StudyError("no file", "an h5ad file of control cells", "Check --data.", given.data)
    if "columns" in table["data"]:
        from jacprobe.h5ad_file import require_columns

        require_columns(path, _columns(folder, table))
    return path


def _columns(folder: Path, table: Mapping[str, Any]) -> Columns:
    return Columns.of(table["data"].get("columns", {}), folder / "study.toml")


def _stored(given: Given) -> StoredEvidence | None:
    if given.evidence is None:
        return None
    from jacprobe.stored.evidence import StoredEvidence

    return StoredEvidence.at(Path(given.evidence).resolve())


def _require_something(study: Study, table: Mapping[str, Any]) -> None:
    """Refuse a study that ships no models where neither models nor evidence are given."""
    if study.models or study.stored is not None or not table.get("external", False):
        return
    public = table.get("hub", {}).get("models")
    raise StudyError(
        "neither models nor evidence: the study ships none",
        "--models DIR or --model ROLE=PATH, with --data FILE; or --evidence DIR",
        f"Public checkpoints: --models {hub.PREFIX}{public}@COMMIT" if public else "",
        study.name,
    )


def study_folder(name: str | Path) -> Path:
    """Return the folder of a study given by its name or by the path of its folder.

    Raises
    ------
    UnknownNameError
        Where there is no such study.
    """
    shipped = suite_root() / "fixtures" / "studies" / str(name)
    for folder in (shipped, Path(name)):
        if (folder / "study.toml").is_file():
            return folder.resolve()
    raise unknown_names("study", [str(name)], study_names(), where="--study")


def _inside(folder: Path, relative: str) -> Path:
    """Return a path of the study, which stays inside its folder."""
    _require_below(folder, relative)
    path = (folder / relative).resolve()
    for found in (path, *(path.rglob("*") if path.is_dir() else ())):
        if not found.resolve().is_relative_to(folder):
            raise StudyError(
                f"{relative} points outside the study", "a path inside its folder", _ASK, folder / "study.toml"
            )
    return path


def _require_below(folder: Path, given: str | None) -> None:
    """Refuse a path that is none below a folder, whichever folder it will be put to."""
    if given is not None and (Path(given).is_absolute() or ".." in Path(given).parts):
        raise StudyError(f"{given} points outside the study", "a path inside its folder", _ASK, folder / "study.toml")


def _optional(folder: Path, relative: str | None) -> Path | None:
    return None if relative is None else _inside(folder, relative)
