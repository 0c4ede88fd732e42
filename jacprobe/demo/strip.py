"""Strip a trained run folder to what a reader of it needs, without a trace of where it was trained."""

from __future__ import annotations

import shutil
import tomllib
from typing import TYPE_CHECKING, Any

import yaml

from jacprobe.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

CHECKPOINT = "checkpoints/best.ckpt"
SPLIT = "split.toml"
_KEPT_CHECKPOINT_KEYS = ("epoch", "global_step", "pytorch-lightning_version", "state_dict", "hyper_parameters")


def strip_run(source: Path, split: str, target: Path) -> None:
    """Write the stripped copy of a run folder.

    Weights stay float32 and bit for bit the same. Optimiser state, callbacks, logs and every path are left out.

    Parameters
    ----------
    source
        Run folder as `state tx train` left it.
    split
        Text of the split TOML; its data set path is reduced to the file name.
    target
        Run folder to write; must not exist.

    Raises
    ------
    RunFolderError
        A file that training should have left is missing.
    """
    import torch

    _require(source)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "checkpoints").mkdir(parents=True)

    checkpoint = torch.load(source / CHECKPOINT, map_location="cpu", weights_only=True)
    torch.save(stripped_checkpoint(checkpoint), partial / CHECKPOINT)
    # The keys are NumPy strings; nothing but this process's own training wrote the file.
    perturbations = torch.load(source / "pert_onehot_map.pt", weights_only=False)
    torch.save(compact_onehots(perturbations), partial / "pert_onehot_map.pt")
    for name in ("batch_onehot_map.torch", "cell_type_onehot_map.torch", "var_dims.pkl"):
        shutil.copyfile(source / name, partial / name)
    config = stripped_config(yaml.safe_load((source / "config.yaml").read_text(encoding="utf-8")))
    (partial / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (partial / SPLIT).write_text(stripped_split(split), encoding="utf-8")
    partial.rename(target)


def stripped_checkpoint(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checkpoint with its weights, hyperparameters and step counters only."""
    kept = {key: checkpoint[key] for key in _KEPT_CHECKPOINT_KEYS}
    kept["state_dict"] = {name: weight.detach().clone() for name, weight in checkpoint["state_dict"].items()}
    kept["hyper_parameters"] = _without_tracking(checkpoint["hyper_parameters"])
    return kept


def stripped_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training configuration without experiment tracking and with relative paths."""
    kept = _without_tracking(config)
    kept["output_dir"] = "."
    kept["data"]["kwargs"]["toml_config_path"] = SPLIT
    return kept


def stripped_split(text: str) -> str:
    """Return the split TOML with the data sets' folders left out."""
    for path in tomllib.loads(text)["datasets"].values():
        text = text.replace(f'"{path}"', f'"{path.rsplit("/", 1)[-1]}"')
    return text


def compact_onehots(onehots: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return equal one-hot vectors that are windows onto one storage, so that n of them take O(n) bytes, not O(n^2).

    A window of length n that starts at n - 1 - i in (0, .., 0, 1, 0, .., 0) with the 1 at n - 1 is the i-th one-hot.

    Raises
    ------
    RunFolderError
        A vector is not one-hot.
    """
    import torch

    n = len(next(iter(onehots.values())))
    dtype = next(iter(onehots.values())).dtype
    band = torch.zeros(2 * n - 1, dtype=dtype)
    band[n - 1] = 1
    windows = {}
    for name, vector in onehots.items():
        start = n - 1 - int(vector.argmax())
        windows[name] = band[start : start + n]
        if not torch.equal(windows[name], vector):
            raise RunFolderError(
                f"the vector of {name} is not one-hot", "one 1 among zeros", where="pert_onehot_map.pt"
            )
    return windows


def _without_tracking(tree: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in tree.items() if "wandb" not in key}
    return {key: _without_tracking(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _require(source: Path) -> None:
    wanted = (CHECKPOINT, "config.yaml", "pert_onehot_map.pt", "batch_onehot_map.torch")
    wanted += ("cell_type_onehot_map.torch", "var_dims.pkl")
    missing = [name for name in wanted if not (source / name).is_file()]
    if missing:
        raise RunFolderError(f"no {', '.join(missing)}", "a finished training run", "Train it again", where=source)
