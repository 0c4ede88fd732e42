"""The adapter of arc-state's run folders: State's ST model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from jacprobe.models.adapters import Adapter
from jacprobe.models.state import load_run
from jacprobe.models.state_identity import Mask, identify

if TYPE_CHECKING:
    from pathlib import Path

    from jacprobe.models.identity import Identity
    from jacprobe.models.protocol import PerturbationModel


def _load(run: Path, checkpoint: str, mask: Any, device: str) -> PerturbationModel:
    return load_run(run, checkpoint, mask, device)


def _identify(run: Path, checkpoint: str) -> Identity:
    return identify(run, checkpoint)


ADAPTER = Adapter(
    load=_load,
    identify=_identify,
    masks=("auto", *get_args(Mask)),
    files=("*.yaml", "*.pkl", "*.pt", "*.torch", "*.toml", "checkpoints/{checkpoint}.ckpt"),
)
