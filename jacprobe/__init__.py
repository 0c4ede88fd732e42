"""jacprobe re-verifies findings about perturbation models, each as a claim with a statistical verdict.

Nothing heavy is imported before it is used (PEP 562): `import jacprobe` takes no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jacprobe.estimate import Estimate
    from jacprobe.models.state import load_run
    from jacprobe.probes.embedding import pert_embedding
    from jacprobe.probes.response import delta, predict
    from jacprobe.studies import open_study

_HOME = {
    "Estimate": "estimate",
    "delta": "probes.response",
    "load_run": "models.state",
    "open_study": "studies",
    "pert_embedding": "probes.embedding",
    "predict": "probes.response",
}

__all__ = ["Estimate", "delta", "load_run", "open_study", "pert_embedding", "predict"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jacprobe.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
