"""Evidence that is kept: which requests the store holds, under which key, and how their chunks are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jacprobe.errors import CapabilityMissingError
from jacprobe.models.adapters import code_version
from jacprobe.requests import Delta, InputJacobian, Jacobian, Knockout, OverCells, Request
from jacprobe.roles import base_role, parse_control_role

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from jacprobe.store.fill import Progress
    from jacprobe.store.objects import ObjectStore
    from jacprobe.store.store import Store
    from jacprobe.studies import Study

    Computed = Callable[[list[str]], np.ndarray]


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
        From study and request to a function from some names of the first axis to the values of each. What all names
        share is done once: choosing an engine costs as much as a Jacobian.
    block
        Names computed together; one pass costs little more than one name.
    attrs
        Units and direction of the values.
    """

    probe: str
    version: int
    labels: Callable[[Any], dict[str, Sequence[Any]]]
    compute: Callable[[Study, Any], Computed]
    block: int
    attrs: Mapping[str, str]


def knockdowns(identity: Any) -> list[str]:
    """Return the perturbations of a model without its control, in its order."""
    return [name for name in identity.perturbations if name != identity.control]


def encoded_dim(identity: Any) -> int:
    """Return the width of an encoded cell, which may be another than that of a perturbation's vector."""
    width: int | None = getattr(_differentiable(identity), "encoded_dim", None)
    return int(identity.latent_dim) if width is None else width


def _differentiable(identity: Any) -> Any:
    """Return the identity of a model that has a latent space, so that nothing is kept for one that has none."""
    if not identity.latent_dim:
        raise CapabilityMissingError(
            f"{identity.provenance.get('run', 'a model')}, which has no perturbation gradient",
            "a model that is differentiable in its perturbation vector",
        )
    return identity


def cells_of(request: OverCells, study: Study) -> xr.DataArray:
    """Return the control cells that a request feeds to its model."""
    n_cells = study.n_cells * request.times
    return study.control_cells(request.role, request.draw, line=request.line, n_cells=n_cells)


def _deltas(study: Study, request: Delta) -> Computed:
    from jacprobe.probes.response import delta

    model, cells = study.model(request.role), cells_of(request, study)
    return lambda names: delta(model, cells, names, batch=study.batch).values


def _jacobians(study: Study, request: Jacobian) -> Computed:
    from jacprobe.probes.routing import pert_jacobian

    model, cells = study.model(request.role), cells_of(request, study)
    at = pert_jacobian(model, cells, residual=request.residual, batch=study.batch)
    return lambda names: at.stacked(names, "jacobian").values


def _input_jacobians(study: Study, request: InputJacobian) -> Computed:
    from jacprobe.probes.input_jacobian import cells_jacobian

    at = cells_jacobian(study.model(request.role), cells_of(request, study), batch=study.batch)
    return lambda names: at.stacked(names, "jacobian").values


def _knockouts(study: Study, request: Knockout) -> Computed:
    from jacprobe.probes.knockout import knockout

    model, cells = study.model(request.role), cells_of(request, study)
    return lambda names: knockout(model, cells, names, batch=study.batch).values


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
            "latent": list(range(_differentiable(identity).latent_dim)),
        },
        _jacobians,
        1,
        {"units": "log1p-normalised expression per unit of pert", "direction": "d(mean over cells of Y)/d(pert)"},
    ),
    InputJacobian: Kept(
        "input-jacobian",
        2,
        lambda identity: {
            "kd": knockdowns(identity),
            "gene": list(identity.genes),
            "encoded": list(range(encoded_dim(identity))),
        },
        _input_jacobians,
        1,
        {
            "units": "log1p-normalised expression per unit of encoded cell",
            "direction": "d(mean of Y)/d(shift of cells)",
        },
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
    request: OverCells,
    study: Study,
    only: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> xr.DataArray:
    """Return evidence from the study's store, computing and keeping what it lacks.

    Without a store, and for control copies of a model, it is computed: of a copy only what is made of it is kept.

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
    labels = kind.labels(study.identity(request.role))
    names = list(next(iter(labels.values())))
    only = study.sampled(names) if only is None and study.quick else only
    if study.store is None or parse_control_role(request.role) is not None:
        return _computed(kind, study, request, labels, names if only is None else list(only))
    from jacprobe.store.fill import evidence

    name = key(request, study)
    # Blocks of what is asked for alone: forty names spread over two thousand would else take 1,280 with them.
    blocks = _Blocks(kind.block, names if only is None else list(only), lambda: kind.compute(study, request))
    found = evidence(study.store, name, labels, blocks, attrs=kind.attrs, only=only, progress=progress)
    for entry in study.store.find(name):
        if study.sources.note(entry, names if only is None else only):
            break
    return found


def filled(
    request: OverCells,
    study: Study,
    store: Store | ObjectStore,
    names: Sequence[str],
    progress: Callable[[Progress], None] | None = None,
    prepare: Callable[[], Computed] | None = None,
) -> None:
    """Compute and keep what a store, the study's own or another, lacks of some names along the first axis.

    Parameters
    ----------
    request, study
        What is kept, and of which study.
    store
        A folder or an object store.
    names
        Along the first axis.
    progress
        Called as chunks come about.
    prepare
        Returns what computes the values, asked when the first is missing; made anew where None.
    """
    from jacprobe.store.fill import evidence

    kind = KEPT[type(request)]
    labels = kind.labels(study.identity(request.role))
    blocks = _Blocks(kind.block, list(names), prepare or (lambda: kind.compute(study, request)))
    evidence(store, key(request, study), labels, blocks, attrs=kind.attrs, only=names, progress=progress)


def _computed(
    kind: Kept, study: Study, request: OverCells, labels: dict[str, Sequence[Any]], chosen: list[str]
) -> xr.DataArray:
    import xarray as xr

    axis = next(iter(labels))
    order = chosen[::-1] if study.reverse else chosen
    values = kind.compute(study, request)(order)[:: -1 if study.reverse else 1]
    coords = {name: list(along) for name, along in labels.items()} | {axis: chosen}
    # The encoded width is a model's own affair, known only now.
    coords |= {name: range(size) for name, size in zip(labels, values.shape, strict=True) if name == "encoded"}
    return xr.DataArray(values, dims=list(labels), coords=coords, attrs=dict(kind.attrs))


def key(request: OverCells, study: Study) -> dict[str, str | int | float | bool]:
    """Return what determines the values of a request: weights, mask, cells, batch, versions; no path, no role."""
    identity = study.identity(request.role)
    fields = {name: value for name, value in vars(request).items() if name not in vars(OverCells(request.role))}
    return {
        "probe": KEPT[type(request)].probe,
        "version": KEPT[type(request)].version,
        **fields,
        **({} if isinstance(request, Delta) else {"engine": "auto", "gemm": gemm(study)}),
        "weights": identity.weights_sha256,
        "mask": identity.provenance["mask"],
        "cells": cells_sha256(request, study),
        "batch": study.batch,
        "dtype": "float32",
        **versions(identity),
        **adapter_code(study, request.role),
    }


def versions(identity: Any) -> dict[str, str]:
    """Return the versions of the packages that a number depends on: torch, and those that the adapter names."""
    packages = ("torch", *getattr(identity, "packages", ()))
    return {package: identity.provenance.get(package, "none") for package in packages}


def adapter_code(study: Study, role: str) -> dict[str, str]:
    """Return which code runs a model, where the adapter is another package's: its files, or its version."""
    entry = study.models.get(base_role(role))
    if entry is None:  # of evidence computed by others
        return {}
    name = ("adapter code", entry.adapter)
    if name not in study._cache:
        study._cache[name] = code_version(entry.adapter)
    return {"adapter": study._cache[name]} if study._cache[name] else {}


def cells_sha256(request: OverCells, study: Study) -> str:
    """Return the hash of the control cells that a request feeds to its model, in the model's order and batches."""
    from jacprobe.cells import prepare_cells

    return prepare_cells(study.identity(request.role), cells_of(request, study), study.batch).sha256


def gemm(study: Study) -> str:
    """Return how products are taken on this machine: other bits, so another entry."""
    import torch

    from jacprobe.jacobian.gemm import choose
    from jacprobe.models.devices import device_of

    return choose(device_of(study.device), torch.float32).way


class _Blocks:
    """Computes a block of names when one of them is asked for, and hands out its neighbours from memory."""

    def __init__(self, size: int, names: list[str], prepare: Callable[[], Computed]) -> None:
        self._size, self._names, self._prepare = size, names, prepare
        self._ready: dict[str, np.ndarray] = {}

    @cached_property
    def _compute(self) -> Computed:
        return self._prepare()

    def __call__(self, name: str) -> np.ndarray:
        if name not in self._ready:
            start = self._names.index(name) // self._size * self._size
            block = self._names[start : start + self._size]
            self._ready = dict(zip(block, self._compute(block), strict=True))
        return self._ready.pop(name)
