"""Evidence that is kept: which requests the store holds, under which key, and how their chunks are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.requests import Delta, Jacobian, Knockout, Request

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from jacprobe.store.fill import Progress
    from jacprobe.studies import Study


@dataclass(frozen=True)
class Kept:
    """How one kind of request is kept.

    Attributes
    ----------
    probe, version
        Name of the probe, and the version of its numbers: a changed one is another entry.
    labels
        From a model's identity to the names along each axis; the first axis is chunked.
    compute
        From study, request and some names of the first axis to the values of each.
    block
        Names computed together; one pass costs little more than one name.
    attrs
        Units and direction of the values.
    """

    probe: str
    version: int
    labels: Callable[[Any], dict[str, Sequence[Any]]]
    compute: Callable[[Study, Any, list[str]], np.ndarray]
    block: int
    attrs: Mapping[str, str]


def knockdowns(identity: Any) -> list[str]:
    """Return the perturbations of a model without its control, in its order."""
    return [name for name in identity.perturbations if name != identity.control]


def _deltas(study: Study, request: Delta, names: list[str]) -> np.ndarray:
    from jacprobe.probes.response import delta

    cells = study.control_cells(request.role, request.draw)
    return delta(study.model(request.role), cells, names, batch=study.batch).values


def _jacobians(study: Study, request: Jacobian, names: list[str]) -> np.ndarray:
    from jacprobe.probes.routing import jacobian_wrt_pert

    cells = study.control_cells(request.role, request.draw)
    model = study.model(request.role)
    return jacobian_wrt_pert(model, cells, names, residual=request.residual, batch=study.batch).values


def _knockouts(study: Study, request: Knockout, names: list[str]) -> np.ndarray:
    from jacprobe.probes.knockout import knockout

    cells = study.control_cells(request.role, request.draw)
    return knockout(study.model(request.role), cells, names, batch=study.batch).values


KEPT: dict[type[Request], Kept] = {
    Delta: Kept(
        "delta",
        1,
        lambda identity: {"kd": knockdowns(identity), "gene": list(identity.genes)},
        _deltas,
        32,
        {"units": "log1p-normalised expression", "direction": "perturbed - control"},
    ),
    Jacobian: Kept(
        "jacobian",
        1,
        lambda identity: {
            "kd": knockdowns(identity),
            "gene": list(identity.genes),
            "latent": list(range(identity.latent_dim)),
        },
        _jacobians,
        1,
        {"units": "log1p-normalised expression per unit of pert", "direction": "d(mean over cells of Y)/d(pert)"},
    ),
    Knockout: Kept(
        "knockout",
        1,
        lambda identity: {"gene_in": list(identity.genes), "gene": list(identity.genes)},
        _knockouts,
        32,
        {"units": "log1p-normalised expression", "direction": "silenced - unsilenced, under the control perturbation"},
    ),
}


def kept(
    request: Request,
    study: Study,
    only: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> xr.DataArray:
    """Return evidence from the study's store, computing and keeping what it lacks; without a store it is computed.

    Parameters
    ----------
    request
        A request of a kind in `KEPT`.
    study
        Whose models, control cells and store.
    only
        Names along the first axis; all where None.
    progress
        Called as chunks come about.
    """
    kind = KEPT[type(request)]
    labels = kind.labels(study.identity(request.roles[0]))
    axis, names = next(iter(labels.items()))
    blocks = _Blocks(kind, study, request, list(names))
    if study.store is None:
        import xarray as xr

        chosen = list(names if only is None else only)
        order = chosen[::-1] if study.reverse else chosen
        values = kind.compute(study, request, order)[:: -1 if study.reverse else 1]
        return xr.DataArray(values, dims=list(labels), coords={**labels, axis: chosen}, attrs=dict(kind.attrs))
    from jacprobe.store.fill import evidence

    return evidence(study.store, key(request, study), labels, blocks, attrs=kind.attrs, only=only, progress=progress)


def key(request: Request, study: Study) -> dict[str, str | int | float | bool]:
    """Return what determines the values of a request: weights, mask, cells, batch, versions; no path, no role."""
    from jacprobe.cells import prepare_cells

    (role,) = request.roles
    identity = study.identity(role)
    fields = {name: value for name, value in vars(request).items() if name not in ("role", "draw")}
    cells = prepare_cells(identity, study.control_cells(role, getattr(request, "draw", 0)), study.batch)
    return {
        "probe": KEPT[type(request)].probe,
        "version": KEPT[type(request)].version,
        **fields,
        **_arithmetic(request, study),
        "weights": identity.weights_sha256,
        "mask": identity.provenance["mask"],
        "cells": cells.sha256,
        "batch": study.batch,
        "dtype": "float32",
        **{package: identity.provenance.get(package, "none") for package in ("torch", "arc-state", "transformers")},
    }


def _arithmetic(request: Request, study: Study) -> dict[str, str]:
    """Return how products are taken where a probe chooses the way: other bits, so another entry."""
    if isinstance(request, Delta):
        return {}
    import torch

    from jacprobe.jacobian.gemm import choose
    from jacprobe.models.adapter import device_of

    return {"engine": "auto", "gemm": choose(device_of(study.device), torch.float32).way}


class _Blocks:
    """Computes a block of names when one of them is asked for, and hands out its neighbours from memory."""

    def __init__(self, kind: Kept, study: Study, request: Request, names: list[str]) -> None:
        self._kind, self._study, self._request, self._names = kind, study, request, names
        self._ready: dict[str, np.ndarray] = {}

    def __call__(self, name: str) -> np.ndarray:
        if name not in self._ready:
            start = self._names.index(name) // self._kind.block * self._kind.block
            block = self._names[start : start + self._kind.block]
            self._ready = dict(zip(block, self._kind.compute(self._study, self._request, block), strict=True))
        return self._ready.pop(name)
