"""Studies: roles and the run folders behind them, data, gene sets and expectations; requests become evidence here."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from jacprobe.errors import EvidenceMissingError, RunFolderError, StudyError, unknown_names
from jacprobe.requests import parse_control_role
from jacprobe.suite import suite_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from jacprobe.cells import BatchRule
    from jacprobe.models.adapter import StateModel
    from jacprobe.models.identity import Identity
    from jacprobe.requests import Control, Request
    from jacprobe.store.store import Store
    from jacprobe.verdicts.claim import Claim


@dataclass(frozen=True)
class ModelEntry:
    """A model of the study: its run folder and the cell line whose control cells it is given."""

    run: Path
    cell_line: str
    checkpoint: str = "best"


@dataclass(frozen=True)
class Study:
    """Everything that claims are judged on.

    Attributes
    ----------
    name, title
        Short name and a line for people.
    folder
        Where study.toml stands.
    models
        Model entries by role.
    control_cells_file
        AnnData file of the control cells of all lines.
    n_cells
        Control cells in a set.
    gene_sets
        Definitions by name, as in `fixtures/gene_sets`.
    shapes
        Counts that the study states of its models, checked by name_mismatches.
    seed
        Root of every random stream.
    device, batch
        Where models run ("auto", "cpu", "cuda"), and which batch control cells are given ("first" or "own").
    store
        Where evidence is kept and found again; None computes everything anew.
    reverse
        Compute in reverse order; used to show that order changes nothing.
    """

    name: str
    title: str
    folder: Path
    models: Mapping[str, ModelEntry]
    control_cells_file: Path
    n_cells: int
    gene_sets: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, int]
    seed: int = 0
    device: str = "auto"
    batch: BatchRule = "first"
    reverse: bool = False
    store: Store | None = None
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def evidence(self, claim: Claim) -> dict[str, Any]:
        """Return the evidence of `claim` by argument name; everything is computed once per study.

        Raises
        ------
        EvidenceMissingError
            Where something that the claim needs is absent.
        """
        return {name: self.resolve(request) for name, request in claim.evidence.items()}

    def resolve(self, request: Request) -> Any:
        """Return the evidence behind one request."""
        from jacprobe.evidence import resolve

        if request not in self._cache:
            self._cache[request] = resolve(request, self)
        return self._cache[request]

    def model(self, role: str, mask: Literal["model", "causal"] = "model") -> StateModel:
        """Return the model of `role`, loaded once; `mask` "causal" builds the same weights with a causal mask.

        A control copy ("fewshot/hepg2#untrained-3") is made anew each time: twenty of them are not kept.
        """
        copy = parse_control_role(role)
        if copy is not None:
            return _control_copy(self.model(copy[0]), *copy[1:])
        self.identity(role)
        key = ("model", role, mask)
        if key not in self._cache:
            from jacprobe.models.state import load_run

            entry = self.models[role]
            chosen = "auto" if mask == "model" else mask
            self._cache[key] = load_run(entry.run, checkpoint=entry.checkpoint, mask=chosen, device=self.device)
        return self._cache[key]

    def control_cells(self, role: str, draw: int = 0) -> xr.DataArray:
        """Return the `draw`-th disjoint set of control cells of the line of `role`: (cell, gene) with `batch`."""
        role = role.partition("#")[0]
        key = ("cells", role, draw)
        if key not in self._cache:
            from jacprobe.cells import draw_cells, read_cells
            from jacprobe.streams import stream

            entry = self.models[role]
            rng = stream(self.seed, "control-cells", entry.cell_line)
            line = read_cells(self.control_cells_file, self.identity(role), cell_line=entry.cell_line)
            self._cache[key] = draw_cells(line, self.n_cells, rng, draw=draw)
        return self._cache[key]

    def identity(self, role: str) -> Identity:
        """Return what the run of `role` is (names, mask, hash, provenance), read without building the model."""
        if role not in self.models:
            raise EvidenceMissingError(
                f"no model for the role {role}", f"one of {', '.join(self.models) or 'none'}", where=self.name
            )
        key = ("identity", role)
        if key not in self._cache:
            from jacprobe.models.identity import identify

            try:
                self._cache[key] = identify(self.models[role].run, self.models[role].checkpoint)
            except RunFolderError as error:
                where = f"{role}: {error.where}"
                raise type(error)(error.given, error.wanted, error.mend, where) from error
        return self._cache[key]

    def gene_set(self, name: str, variant: str = "published") -> tuple[str, ...]:
        """Return the members of a set among the knockdowns of the study's models, in their order."""
        if name not in self.gene_sets:
            raise EvidenceMissingError(str(unknown_names("gene set", [name], list(self.gene_sets), where=self.name)))
        definition = self.gene_sets[name]
        if variant == "clean" and "clean" in definition:
            definition = definition["clean"]
        patterns = [re.compile(pattern) for pattern in definition.get("patterns", ())]
        listed = set(definition.get("genes", ()))
        return tuple(kd for kd in self.knockdowns if kd in listed or any(p.search(kd) for p in patterns))

    @property
    def knockdowns(self) -> tuple[str, ...]:
        """Every knockdown that a model of the study knows, each once, controls left out."""
        models = [self.identity(role) for role in self.models]
        names = (name for model in models for name in model.perturbations if name != model.control)
        return tuple(dict.fromkeys(names))

    @property
    def sha256(self) -> str:
        """Hash over study.toml and every data file it names but the models, whose weights have hashes of their own."""
        digest = hashlib.sha256()
        for path in (self.folder / "study.toml", self.control_cells_file):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def reopened(self, **changes: Any) -> Self:
        """Return the same study with nothing computed yet, and `changes` made to its fields."""
        return replace(self, _cache={}, **changes)


def _control_copy(model: Any, control: Control, copy: int) -> Any:
    """Return a control copy of a model; the copy's number is the seed of what is re-drawn."""
    from jacprobe.models.randomised import permute_onehot, randomise

    if control == "permuted-onehot":
        return permute_onehot(model, copy)
    if control == "random-body":
        return randomise(model, "body", copy)
    return randomise(model, "all" if control == "untrained" else "pert_encoder", copy)


def open_study(
    name: str | Path,
    seed: int = 0,
    device: str = "auto",
    batch: BatchRule = "first",
    store: str | Path | None = None,
    shared: Sequence[str | Path] = (),
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

    Raises
    ------
    StudyError
        Where there is no such study, or its study.toml is not one.
    """
    from jacprobe.store.store import Store

    folder = _folder(name)
    table = read_toml(folder / "study.toml")
    try:
        models = {
            role: ModelEntry(_inside(folder, entry["run"]), entry["cell_line"], entry.get("checkpoint", "best"))
            for role, entry in table["models"].items()
        }
        study = Study(
            name=table["name"],
            title=table.get("title", table["name"]),
            folder=folder,
            models=models,
            control_cells_file=_inside(folder, table["data"]["control_cells"]),
            n_cells=table["data"]["n_cells"],
            gene_sets=_gene_sets(table),
            shapes=table.get("shapes", {}),
            seed=seed,
            device=device,
            batch=batch,
            store=Store.at(store, shared),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"no usable entry {error}",
            "name, [models], [data] with control_cells and n_cells",
            where=folder / "study.toml",
        ) from error
    if not study.control_cells_file.is_file():
        raise StudyError(f"{study.control_cells_file.name} is missing", "the study's control cells", where=folder)
    return study


def study_names() -> list[str]:
    """Return the names of the studies that the suite ships."""
    return sorted(path.parent.name for path in (suite_root() / "fixtures" / "studies").glob("*/study.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, or say which line of which file is wrong."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StudyError(f"not readable as TOML: {error}", "a TOML file", where=path) from error


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


def _gene_sets(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shipped sets, and over them the study's own."""
    return {**read_toml(suite_root() / "fixtures" / "gene_sets" / "published.toml"), **table.get("gene_sets", {})}
