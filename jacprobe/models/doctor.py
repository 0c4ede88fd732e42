"""What is in a run folder, what is wrong with it, and how to mend it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch

from jacprobe.errors import JacprobeError, RunFolderError, inert
from jacprobe.models.names import gene_names, onehot_names
from jacprobe.models.pickles import read_pickle
from jacprobe.models.run_folder import (
    EncoderWidths,
    configured_split,
    encoder_widths,
    find_map,
    model_name,
    predicting_weights,
    read_checkpoint,
    read_config,
    require_state_model,
)
from jacprobe.models.siblings import LOOKUP, Sibling, identify_sibling, load_sibling
from jacprobe.models.split import read_split
from jacprobe.models.state import load_run, require_covered
from jacprobe.models.weights import weights_sha256

_MAPS = {"pert_onehot_map": "perturbations", "batch_onehot_map": "batches", "cell_type_onehot_map": "cell types"}


@dataclass(frozen=True)
class Remark:
    """A fault, which has to be mended, or a note worth knowing; with what to do about it."""

    kind: Literal["fault", "note"]
    about: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {inert(self.found, 1000)}" + (f" -> {inert(self.mend, 1000)}" if self.mend else "")


@dataclass(frozen=True)
class FileEntry:
    """A file of the folder: its path there, size in bytes, SHA-256 of its bytes, and what it holds."""

    path: str
    size: int
    sha256: str
    holds: str


@dataclass(frozen=True)
class Report:
    """Everything about a run folder.

    Attributes
    ----------
    folder
        Its name.
    files
        Every file, by path.
    remarks
        Faults and notes, each about a file or about the folder ("").
    """

    folder: str
    files: tuple[FileEntry, ...]
    remarks: tuple[Remark, ...]

    @property
    def faults(self) -> tuple[Remark, ...]:
        """What keeps the run from loading, and what no run folder should hold."""
        return tuple(remark for remark in self.remarks if remark.kind == "fault")

    def text(self) -> str:
        """Return the report for a terminal: a block for each file, then what concerns the folder, then the sum."""
        lines = [f"run folder {inert(self.folder)}"]
        for file in self.files:
            lines += [
                "",
                f"{inert(file.path)}  {file.size:,} bytes  sha256 {file.sha256}",
                f"  {inert(file.holds, 1000)}",
            ]
            lines += [f"  {remark}" for remark in self.remarks if remark.about == file.path]
        listed = {file.path for file in self.files}
        elsewhere = [remark for remark in self.remarks if remark.about not in listed]
        lines += ["", *(f"{inert(remark.about or 'folder')}: {remark}" for remark in elsewhere)]
        found = len(self.faults)
        lines.append("no faults" if not found else f"{found} fault{'s' if found > 1 else ''} to be mended")
        return "\n".join(lines)


@dataclass
class _Examination:
    """Remarks as they are collected, and what later checks need of earlier ones."""

    folder: Path
    remarks: list[Remark] = field(default_factory=list)
    sibling: Sibling | None = None
    widths: EncoderWidths | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    def note(self, about: str, found: str, mend: str = "") -> None:
        self.remarks.append(Remark("note", about, found, mend))

    def fault(self, about: str, found: str, mend: str = "") -> None:
        self.remarks.append(Remark("fault", about, found, mend))

    def attempt(self, about: str, step: Callable[[], Any]) -> Any:
        """Return what `step` returns, or None with a fault where it raises one of jacprobe's errors."""
        try:
            return step()
        except JacprobeError as error:
            wanted = f"; wanted {error.wanted}" if error.wanted else ""
            self.fault(about, f"{error.given}{wanted}", error.mend)
            return None


def doctor(path: str | Path) -> Report:
    """Examine a run folder file by file; broken ones too. No code from any file is run.

    Where no file is at fault and arc-state is installed, every checkpoint is loaded as well: whether weights and
    hyperparameters make a model shows only then.

    Raises
    ------
    RunFolderError
        If there is no such folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunFolderError("no such folder", "a State run folder", "Check the path", folder)
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    seen = _Examination(folder)
    config: Mapping[str, Any] = seen.attempt("config.yaml", lambda: read_config(folder)) or {}
    seen.sibling = LOOKUP.get(model_name(config))
    checkpoints = [file for file in found if file.suffix == ".ckpt"]
    holds = {file: _checkpoint(seen, file) for file in checkpoints}
    if not checkpoints:
        seen.fault("checkpoints", "no checkpoint", "Copy the checkpoints folder of the run")
    elif not (folder / "checkpoints" / "best.ckpt").is_file():
        there = ", ".join(repr(file.stem) for file in checkpoints)
        seen.note("checkpoints", "no best.ckpt, the default", f"Load with checkpoint= one of {there}")
    holds |= {file: _side_file(seen, file) for file in found if file not in holds}
    _genes(seen)
    _missing_maps(seen)
    _configuration(seen, config)
    if _environment(seen) and not any(remark.kind == "fault" for remark in seen.remarks):
        for file in checkpoints:
            seen.attempt(_name(seen, file), lambda file=file: _load(seen, str(file.resolve())))
    entries = (FileEntry(_name(seen, file), *_fingerprint(seen, file), holds[file]) for file in found)
    return Report(folder.resolve().name, tuple(entries), tuple(seen.remarks))


def _load(seen: _Examination, checkpoint: str) -> None:
    """Build the model of a checkpoint, of whichever class."""
    if seen.sibling is None:
        load_run(seen.folder, checkpoint, device="cpu")
    else:
        load_sibling(seen.sibling, seen.folder, checkpoint, "cpu")


def _name(seen: _Examination, file: Path) -> str:
    return file.relative_to(seen.folder).as_posix()


def _fingerprint(seen: _Examination, file: Path) -> tuple[int, str]:
    try:
        with file.open("rb") as stream:
            return file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        seen.fault(_name(seen, file), f"cannot be read ({error.strerror})", "Check its permissions")
        return 0, "unknown"


def _checkpoint(seen: _Examination, file: Path) -> str:
    name = _name(seen, file)
    content = seen.attempt(name, lambda: read_checkpoint(file))
    if content is None:
        return "checkpoint, unreadable"
    hyperparameters, state = content
    sibling = seen.sibling
    if sibling is not None:
        widths = seen.attempt(name, lambda: sibling.of.widths(hyperparameters, state, name))
        identity = seen.attempt(name, lambda: identify_sibling(sibling, seen.folder, str(file.resolve())))
        sha256 = identity.weights_sha256 if identity else "unknown"
    else:
        widths = seen.attempt(name, lambda: encoder_widths(state, name))
        seen.attempt(name, lambda: require_covered(hyperparameters, name))
        sha256 = weights_sha256(predicting_weights(state))
    if widths and not seen.widths:
        seen.widths, seen.hyperparameters = widths, hyperparameters
        _against_weights(seen, name, hyperparameters, widths)
    if any(not torch.isfinite(value).all() for value in state.values()):
        seen.fault(name, "weights that are not finite", "The training diverged: take an earlier checkpoint")
    backbone = hyperparameters.get("transformer_backbone_kwargs")
    if sibling is None and isinstance(backbone, Mapping) and "bidirectional_attention" not in backbone:
        seen.note(
            name,
            "no flag bidirectional_attention (a checkpoint of 2025), which arc-state 0.11 reads as causal",
            "jacprobe builds it bidirectional, as it was made to be; ask for mask='causal' for the other",
        )
    parts = [f"checkpoint: {len(state)} tensors, {sum(value.numel() for value in state.values()):,} numbers"]
    if widths:
        parts.append(f"{widths.genes:,} genes, {widths.perturbations:,} perturbations, {widths.batches} batches")
    parts.append(f"weights sha256 {sha256}")
    return "; ".join(parts)


def _against_weights(seen: _Examination, name: str, given: Mapping[str, Any], widths: EncoderWidths) -> None:
    """Compare the sizes that hyperparameters state with those that the weights have."""
    stated = {"input_dim": widths.genes, "output_dim": widths.genes, "pert_dim": widths.perturbations}
    if widths.batches:
        stated["batch_dim"] = widths.batches
    for key, width in stated.items():
        if given.get(key) != width:
            seen.fault(
                name,
                f"hyperparameter {key} = {given.get(key)!r}, while the weights are made for {width}",
                "The checkpoint was altered: take it from the run again",
            )


def _side_file(seen: _Examination, file: Path) -> str:
    name = _name(seen, file)
    if name in ("config.yaml", "var_dims.pkl"):
        return "configuration of the run" if file.suffix == ".yaml" else "names of genes and sizes"
    if file.parent == seen.folder and file.stem in _MAPS:
        return _map(seen, file, _MAPS[file.stem])
    if file.suffix in (".torch", ".pt", ".pkl", ".pickle"):
        content = seen.attempt(name, lambda: read_pickle(file))
        if isinstance(content, Mapping) and any("/" in str(value) for value in content.values()):
            seen.note(
                name,
                "holds paths of the machine where it was made",
                "Take the file out before publishing: it is not needed",
            )
        return "settings of the data loader, not needed" if file.stem == "data_module" else "a pickle, not needed"
    if file.suffix == ".toml" and file.parent == seen.folder:
        return "split: which knockdowns were trained on"
    return "not read by jacprobe"


def _map(seen: _Examination, file: Path, kind: str) -> str:
    name = _name(seen, file)
    content = seen.attempt(name, lambda: read_pickle(file))
    if content is None:
        return f"one-hot map of {kind}, unreadable"
    sized = len(content) if isinstance(content, Mapping) else 0
    expected = {
        "perturbations": seen.widths.perturbations if seen.widths else sized,
        "batches": (seen.widths.batches or sized) if seen.widths else sized,
        "cell types": sized,
    }
    names = seen.attempt(name, lambda: onehot_names(content, expected[kind], kind, name))
    control = str(seen.hyperparameters.get("control_pert", "non-targeting"))
    if kind == "perturbations" and names and control not in names:
        seen.fault(name, f"no control {control!r} among them", "Copy the map that was saved with the checkpoint")
    return f"one-hot map of {sized:,} {kind}"


def _genes(seen: _Examination) -> None:
    file = seen.folder / "var_dims.pkl"
    listed: Any = seen.attempt("var_dims.pkl", lambda: read_pickle(file)) if file.is_file() else {}
    if not file.is_file():
        seen.note("var_dims.pkl", "missing", "Copy it from the run: it names the genes of the columns")
    if listed is not None and not isinstance(listed, Mapping):
        seen.fault("var_dims.pkl", f"holds a {type(listed).__name__}", "Copy it from the run again")
    if isinstance(listed, Mapping) and seen.widths:
        lists = {"var_dims.pkl": listed.get("gene_names"), "the checkpoint": seen.hyperparameters.get("gene_names")}
        width = seen.widths.genes
        seen.attempt("var_dims.pkl", lambda: gene_names(lists, width))


def _missing_maps(seen: _Examination) -> None:
    needed = {"pert_onehot_map": True, "batch_onehot_map": bool(seen.widths and seen.widths.batches)}
    for stem, kind in _MAPS.items():
        if find_map(seen.folder, stem) is None:
            tell = seen.fault if needed.get(stem) else seen.note
            tell(f"{stem}.*", f"missing: no names of {kind}", "Copy it from the run: the checkpoint does not hold them")


def _configuration(seen: _Examination, config: Mapping[str, Any]) -> None:
    if seen.sibling is not None:
        seen.note("config.yaml", f"{seen.sibling.file}, a sibling of State's ST model", "Claims say what it lacks")
    else:
        seen.attempt("config.yaml", lambda: require_state_model(config))
    file, reason = configured_split(seen.folder, config)
    if file is None:
        seen.note(
            "split TOML", reason, "Copy the TOML that the run was trained with: without it every knockdown is 'unknown'"
        )
    else:
        seen.attempt(file.name, lambda: read_split(file, [], seen.folder.resolve().name))


def _environment(seen: _Examination) -> bool:
    """Return whether State models can be built here."""
    try:
        version("arc-state")
    except PackageNotFoundError:
        seen.note("environment", "arc-state is not installed", "pip install 'jacprobe[state]' (non-commercial licence)")
        return False
    found = version("transformers")
    if int(found.partition(".")[0]) >= 5:
        seen.fault("environment", f"transformers {found} refuses State's architecture", "pip install 'transformers<5'")
    return True
