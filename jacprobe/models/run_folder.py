"""Reading a State run folder as data, without arc-state."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jacprobe.errors import RunFolderError
from jacprobe.models.names import gene_names, onehot_names
from jacprobe.models.pickles import read_pickle
from jacprobe.models.split import Split, find_split, read_split, unknown_split
from jacprobe.texts import read_yaml

_MAP_ENDINGS = (".torch", ".pt", ".pkl")
_TAKE_AGAIN = "The checkpoint was altered: take it from the run again"
_TYPES = {
    "cell_set_len": (int, "a whole number"),
    "hidden_dim": (int, "a whole number"),
    "transformer_backbone_kwargs": (Mapping, "a mapping"),
    "lora": (Mapping | None, "a mapping"),
}
_SIZES = ("hidden_dim", "cell_set_len")
_LARGEST_SIZE = 2**24
_TIED = 4  # how often the same stored numbers may be weights under different names
_STATE_NAMES = ("state", "pertsets", "neuralot")  # how arc-state's configurations call the State Transition model


@dataclass(frozen=True, eq=False)
class RunFolder:
    """What a run folder holds, checked for consistency.

    Attributes
    ----------
    name
        The folder's own name.
    checkpoint
        The checkpoint that was read, relative to the folder where it lies inside.
    hyperparameters
        As stored with the checkpoint.
    state_dict
        Weights by name.
    genes, perturbations, batches, cell_types
        Names in the order of the model's columns and positions. No batches where the model has no batch encoder; no
        cell types where the folder has no map of them (the model does not use them).
    control
        The perturbation that stands for no knockdown.
    split
        Training status of every knockdown.
    """

    name: str
    checkpoint: str
    hyperparameters: Mapping[str, Any]
    state_dict: Mapping[str, torch.Tensor]
    genes: tuple[str, ...]
    perturbations: tuple[str, ...]
    batches: tuple[str, ...]
    cell_types: tuple[str, ...]
    control: str
    split: Split


@dataclass(frozen=True)
class EncoderWidths:
    """How many genes, perturbations and batches (0 without a batch encoder) the weights are made for."""

    genes: int
    perturbations: int
    batches: int


@dataclass(frozen=True)
class ModelClass:
    """A class of arc-state's: how configurations call it, and how its widths are read.

    `widths` takes hyperparameters, state dict and the checkpoint's name.
    """

    names: tuple[str, ...]
    widths: Callable[[Mapping[str, Any], Mapping[str, torch.Tensor], str], EncoderWidths]


def read_run_folder(path: str | Path, checkpoint: str = "best", of: ModelClass | None = None) -> RunFolder:
    """Read a run folder in the layouts of 2025 and later; no code from any file is run.

    Parameters
    ----------
    path
        The folder with ``checkpoints/``, ``var_dims.pkl`` and the one-hot maps.
    checkpoint
        "best", "last", "final", "step=N", or the path of a checkpoint.
    of
        The model class that the folder is of; State's ST model where None.

    Raises
    ------
    RunFolderError
        If a file is missing, truncated, of an unknown model class or contradicts the weights.
    UnsafePickleError
        If a file asks for more than data.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunFolderError("no such folder", "a State run folder", "Check the path", folder)
    config = read_config(folder)
    if of is None:
        require_state_model(config)
    file = find_checkpoint(folder, checkpoint)
    hyperparameters, state = read_checkpoint(file)
    widths = encoder_widths(state, file.name) if of is None else of.widths(hyperparameters, state, file.name)

    genes = gene_names(
        {"var_dims.pkl": _var_dims(folder).get("gene_names"), "the checkpoint": hyperparameters.get("gene_names")},
        widths.genes,
    )
    pert_map = _required_map(folder, "pert_onehot_map", "perturbations")
    perturbations = onehot_names(read_pickle(pert_map), widths.perturbations, "perturbations", pert_map.name)
    control = str(hyperparameters.get("control_pert", "non-targeting"))
    if control not in perturbations:
        raise RunFolderError(
            f"no control perturbation {control!r} among {len(perturbations)} perturbations",
            "the control that the checkpoint names",
            "Copy the pert_onehot_map.pt that was saved with this checkpoint",
            pert_map.name,
        )
    batches: tuple[str, ...] = ()
    if widths.batches:
        batch_map = _required_map(folder, "batch_onehot_map", "batches")
        batches = onehot_names(read_pickle(batch_map), widths.batches, "batches", batch_map.name)
    knockdowns = [name for name in perturbations if name != control]
    return RunFolder(
        name=folder.resolve().name,
        checkpoint=file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name,
        hyperparameters=hyperparameters,
        state_dict=state,
        genes=genes,
        perturbations=perturbations,
        batches=batches,
        cell_types=_cell_types(folder),
        control=control,
        split=_split(folder, config, knockdowns),
    )


def find_checkpoint(folder: Path, checkpoint: str) -> Path:
    """Return the file of a checkpoint named "best", "last", "final", "step=N" or by its path."""
    kept = folder / "checkpoints"
    if checkpoint in ("best", "last", "final"):
        candidates = [kept / f"{checkpoint}.ckpt"]
    elif re.fullmatch(r"step=\d+", checkpoint):
        candidates = [file for file in sorted(kept.glob("*.ckpt")) if re.search(rf"{checkpoint}(?!\d)", file.stem)]
    else:
        candidates = [Path(checkpoint), folder / checkpoint, kept / checkpoint]
    found = [file for file in candidates if file.is_file()]
    if not found:
        there = sorted(file.stem for file in kept.glob("*.ckpt") if file.is_file())
        raise RunFolderError(
            f"no checkpoint {checkpoint!r}",
            f"one of {', '.join(there)}" if there else "checkpoints/best.ckpt, last.ckpt, final.ckpt or step=N.ckpt",
            "Name one that is there" if there else "Copy the checkpoints folder of the run",
            kept,
        )
    if len(found) > 1 and checkpoint.startswith("step="):
        raise RunFolderError(
            f"{len(found)} checkpoints of {checkpoint}: {', '.join(file.name for file in found)}",
            "one",
            "Give the path of the one that is meant",
            kept,
        )
    return found[0]


def read_checkpoint(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return hyperparameters and state dict of a Lightning checkpoint."""
    content = read_pickle(file)
    if not isinstance(content, Mapping) or not {"state_dict", "hyper_parameters"} <= content.keys():
        keys = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
        raise RunFolderError(
            f"holds {keys}",
            "state_dict and hyper_parameters, as Lightning saves them",
            "Give a checkpoint of `state tx train`",
            file.name,
        )
    state, hyperparameters = content["state_dict"], content["hyper_parameters"]
    if not isinstance(hyperparameters, Mapping):
        raise RunFolderError("hyper_parameters is no mapping", "hyperparameters by name", _TAKE_AGAIN, file.name)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise RunFolderError("state_dict holds other things than tensors", "tensors by name", _TAKE_AGAIN, file.name)
    _require_types(hyperparameters, file.name)
    _require_stored(state, file)
    return dict(hyperparameters), dict(state)


def _require_types(hyperparameters: Mapping[str, Any], where: str) -> None:
    """Refuse hyperparameters of another type than those that are read here have, and sizes that no model has."""
    for name, (kind, wanted) in _TYPES.items():
        if name in hyperparameters and not isinstance(hyperparameters[name], kind):
            raise RunFolderError(f"hyperparameter {name} = {hyperparameters[name]!r}", wanted, _TAKE_AGAIN, where)
    backbone = hyperparameters.get("transformer_backbone_kwargs", {})
    for name, value in (*backbone.items(), *((name, hyperparameters.get(name)) for name in _SIZES)):
        if isinstance(value, int) and abs(value) > _LARGEST_SIZE:
            raise RunFolderError(f"hyperparameter {name} = {value:.3g}", f"up to {_LARGEST_SIZE}", _TAKE_AGAIN, where)
    if not isinstance(backbone.get("num_hidden_layers", 0), int):
        raise RunFolderError("num_hidden_layers is no number", "a whole number", _TAKE_AGAIN, where)


def _require_stored(state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Refuse tensors that are not numbers one by one in the file: a view may declare terabytes on one stored number."""
    odd = [
        str(name)
        for name, value in state.items()
        if not isinstance(name, str)
        or value.layout is not torch.strided
        or value.device.type != "cpu"
        or value.is_quantized
        or value.is_complex()
    ]
    if odd:
        raise RunFolderError(
            f"weights that are no plain tensors of numbers: {', '.join(odd[:5])}", "dense ones", _TAKE_AGAIN, file.name
        )
    declared, held = sum(value.numel() * value.itemsize for value in state.values()), file.stat().st_size
    if declared > _TIED * held:
        raise RunFolderError(
            f"weights of {declared:.3g} bytes in a file of {held:.3g}", "weights that are in it", _TAKE_AGAIN, file.name
        )


def encoder_widths(state: Mapping[str, torch.Tensor], where: str) -> EncoderWidths:
    """Return what the encoders' weights are made for."""

    def width(key: str, axis: int) -> int:
        if key not in state or state[key].ndim != 2:
            prefixes = ", ".join(sorted({name.partition(".")[0] for name in state})) or "nothing"
            raise RunFolderError(
                f"no weight {key}; the checkpoint holds {prefixes}",
                "a StateTransitionPerturbationModel",
                "jacprobe covers State's ST model; other classes need an adapter of their own",
                where,
            )
        return state[key].shape[axis]

    first_basal = "basal_encoder.0.weight" if "basal_encoder.0.weight" in state else "basal_encoder.weight"
    batches = width("batch_encoder.weight", 0) if "batch_encoder.weight" in state else 0
    return EncoderWidths(width(first_basal, 1), width("pert_encoder.0.weight", 1), batches)


def predicting_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights that a prediction of X_hvg depends on: all but those of the decoder to counts."""
    return {name: value for name, value in state.items() if not name.startswith("gene_decoder.")}


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return `config.yaml` of a run, or nothing where there is none."""
    file = folder / "config.yaml"
    if not file.exists():
        return {}
    try:
        content = read_yaml(file)
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"no valid YAML ({error})", "the configuration of the run", "Copy it again, or take it out", file.name
        ) from error
    return content if isinstance(content, Mapping) else {}


def model_name(config: Mapping[str, Any]) -> str:
    """Return how a run's configuration calls its model class, in lower case; "" where it does not say."""
    name = _nested(config, "model", "name")
    return name.lower() if isinstance(name, str) else ""


def require_state_model(config: Mapping[str, Any]) -> None:
    """Refuse a run whose configuration names another model class."""
    name = _nested(config, "model", "name")
    if name is not None and (not isinstance(name, str) or name.lower() not in _STATE_NAMES):
        raise RunFolderError(
            f"model class {name!r}" if isinstance(name, str) else f"a {type(name).__name__} as model class",
            "State's ST model (model.name: state)",
            "jacprobe covers StateTransitionPerturbationModel; other classes need an adapter of their own",
            "config.yaml",
        )


def find_map(folder: Path, stem: str) -> Path | None:
    """Return the file of a one-hot map under any of the endings that versions of arc-state gave it."""
    return next((file for ending in _MAP_ENDINGS if (file := folder / f"{stem}{ending}").is_file()), None)


def _required_map(folder: Path, stem: str, kind: str) -> Path:
    file = find_map(folder, stem)
    if file is None:
        raise RunFolderError(
            f"no {stem}.* in the folder",
            f"the names of the {kind} ({', '.join(stem + ending for ending in _MAP_ENDINGS)})",
            "Copy the file from the run folder: the checkpoint does not hold these names",
            folder,
        )
    return file


def _var_dims(folder: Path) -> Mapping[str, Any]:
    file = folder / "var_dims.pkl"
    if not file.exists():
        return {}
    content = read_pickle(file)
    if not isinstance(content, Mapping):
        raise RunFolderError(
            f"holds a {type(content).__name__}",
            "a dictionary with gene_names",
            "Copy the file from the run again",
            file.name,
        )
    return content


def _cell_types(folder: Path) -> tuple[str, ...]:
    file = find_map(folder, "cell_type_onehot_map")
    if file is None:
        return ()
    content = read_pickle(file)
    return onehot_names(content, len(content) if isinstance(content, Mapping) else 0, "cell types", file.name)


def configured_split(folder: Path, config: Mapping[str, Any]) -> tuple[Path | None, str]:
    """Return the split TOML that the configuration names, or the only one; or why there is none."""
    configured = _nested(config, "data", "kwargs", "toml_config_path")
    return find_split(folder, Path(configured).name if isinstance(configured, str) else "")


def _split(folder: Path, config: Mapping[str, Any], knockdowns: list[str]) -> Split:
    file, reason = configured_split(folder, config)
    return read_split(file, knockdowns, folder.resolve().name) if file else unknown_split(knockdowns, reason)


def _nested(config: Mapping[str, Any], *keys: str) -> Any:
    value: Any = config
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
