"""The adapter of arc-state's run folders: State's ST model, or one of its siblings where config.yaml names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from jacprobe.errors import CapabilityMissingError
from jacprobe.models.adapters import Adapter
from jacprobe.models.run_folder import model_name, read_config
from jacprobe.models.siblings import LOOKUP, identify_sibling, load_sibling
from jacprobe.models.state import load_run
from jacprobe.models.state_identity import Mask, identify

if TYPE_CHECKING:
    from pathlib import Path

    from jacprobe.models.identity import Identity
    from jacprobe.models.protocol import PerturbationModel


def _load(run: Path, checkpoint: str, mask: Any, device: str) -> PerturbationModel:
    kind = LOOKUP.get(model_name(read_config(run)))
    if kind is None:
        return load_run(run, checkpoint, mask, device)
    if mask != "auto":
        raise CapabilityMissingError(f"a {mask} build of {kind.file}", "a model with attention between cells")
    return load_sibling(kind, run, checkpoint, device)


def _identify(run: Path, checkpoint: str) -> Identity:
    kind = LOOKUP.get(model_name(read_config(run)))
    return identify(run, checkpoint) if kind is None else identify_sibling(kind, run, checkpoint)


ADAPTER = Adapter(
    load=_load,
    identify=_identify,
    masks=("auto", *get_args(Mask)),
    files=("*.yaml", "*.pkl", "*.pt", "*.torch", "*.toml", "checkpoints/{checkpoint}.ckpt"),
)
