"""jacprobe re-verifies findings about perturbation models, each as a claim with a statistical verdict.

Nothing heavy is imported before it is used (PEP 562): `import jacprobe` takes no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jacprobe.estimate import Estimate
    from jacprobe.export import to_anndata
    from jacprobe.models.randomised import permute_onehot, randomise
    from jacprobe.models.state import load_run
    from jacprobe.models.surrogates import linear_surrogate, mean_shift
    from jacprobe.opening import open_study
    from jacprobe.probes.embedding import pert_embedding
    from jacprobe.probes.features import features
    from jacprobe.probes.input_jacobian import jacobian_wrt_cells
    from jacprobe.probes.knockout import knockout
    from jacprobe.probes.response import delta, predict
    from jacprobe.probes.routing import jacobian_wrt_pert, onehot_similarity, similarity
    from jacprobe.probes.targeted import targeted_jacobian
    from jacprobe.verdicts.claim import Claim

_HOME = {
    "Claim": "verdicts.claim",
    "Estimate": "estimate",
    "delta": "probes.response",
    "features": "probes.features",
    "jacobian_wrt_cells": "probes.input_jacobian",
    "jacobian_wrt_pert": "probes.routing",
    "knockout": "probes.knockout",
    "linear_surrogate": "models.surrogates",
    "load_run": "models.state",
    "mean_shift": "models.surrogates",
    "onehot_similarity": "probes.routing",
    "open_study": "opening",
    "permute_onehot": "models.randomised",
    "pert_embedding": "probes.embedding",
    "predict": "probes.response",
    "randomise": "models.randomised",
    "similarity": "probes.routing",
    "targeted_jacobian": "probes.targeted",
    "to_anndata": "export",
}

__all__ = [
    "Claim",
    "Estimate",
    "delta",
    "features",
    "jacobian_wrt_cells",
    "jacobian_wrt_pert",
    "knockout",
    "linear_surrogate",
    "load_run",
    "mean_shift",
    "onehot_similarity",
    "open_study",
    "permute_onehot",
    "pert_embedding",
    "predict",
    "randomise",
    "similarity",
    "targeted_jacobian",
    "to_anndata",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jacprobe.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
