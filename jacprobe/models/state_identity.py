"""What a State run is, read from its folder without building the model: names, mask, hash, provenance."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from jacprobe.errors import InputError
from jacprobe.models.identity import NO_BATCH, Identity
from jacprobe.models.run_folder import RunFolder, predicting_weights, read_run_folder
from jacprobe.models.weights import weights_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

Mask = Literal["bidirectional", "causal"]
PACKAGES = ("arc-state", "transformers")


def identify(path: str | Path, checkpoint: str = "best") -> Identity:
    """Return the identity of a run folder; what cannot be read is refused as by `load_run`."""
    run = read_run_folder(path, checkpoint)
    weights = {name: value.float() for name, value in predicting_weights(run.state_dict).items()}
    return identity_of(
        run,
        weights,
        run_provenance(run),
        latent_dim=int(run.hyperparameters.get("hidden_dim", 0)),
        n_layers=int(run.hyperparameters.get("transformer_backbone_kwargs", {}).get("num_hidden_layers", 0)),
    )


def identity_of(
    run: RunFolder, weights: Mapping[str, Tensor], provenance: Mapping[str, str], *, latent_dim: int, n_layers: int = 0
) -> Identity:
    """Return the identity of a run of arc-state's, whose predictions depend on `weights` alone."""
    sha256 = weights_sha256(weights)
    return Identity(
        genes=run.genes,
        perturbations=run.perturbations,
        control=run.control,
        batches=run.batches or NO_BATCH,
        cell_set_len=int(run.hyperparameters.get("cell_set_len", 0)),
        split=run.split.tags,
        weights_sha256=sha256,
        provenance={**provenance, "weights_sha256": sha256},
        packages=PACKAGES,
        latent_dim=latent_dim,
        n_layers=n_layers,
    )


def run_provenance(run: RunFolder, mask: str = "auto") -> dict[str, str]:
    """Return what has to stand beside every number of a run, its weights' hash apart."""
    in_force, rule = mask_of(run.hyperparameters, mask)
    return {
        "model": "StateTransitionPerturbationModel",
        "run": run.name,
        "checkpoint": run.checkpoint,
        "mask": in_force,
        "mask_rule": rule,
        "split": run.split.source,
        "split_line": run.split.line,
        **{package: _version(package) for package in (*PACKAGES, "torch")},
    }


def mask_of(hyperparameters: Mapping[str, Any], asked: str) -> tuple[Mask, str]:
    """Return the mask to build and the rule that says so."""
    if asked == "bidirectional":
        return "bidirectional", "asked for"
    if asked == "causal":
        return "causal", "asked for"
    if asked != "auto":
        raise InputError(f"mask {asked!r}", "'auto', 'bidirectional' or 'causal'", where="mask")
    flag = hyperparameters.get("transformer_backbone_kwargs", {}).get("bidirectional_attention")
    if flag is None:
        return "bidirectional", "flag absent: a checkpoint of 2025, made to be bidirectional"
    return ("bidirectional", "flag true") if flag else ("causal", "flag false")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
