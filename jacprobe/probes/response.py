"""Predicted expression under knockdowns, and its difference from the control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from jacprobe.cells import BatchRule, ControlCells, prepare_cells
from jacprobe.errors import InputError, unknown_names
from jacprobe.jacobian.gemm import SWITCHES, choose
from jacprobe.jacobian.memory import enough_memory
from jacprobe.models.protocol import DifferentiableInPert, PerturbationModel
from jacprobe.probes.sets import in_passes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import xarray as xr
    from torch import Tensor


def predict(
    model: PerturbationModel,
    control_cells: Any,
    perturbations: Sequence[str] | None = None,
    cells: Literal["mean", "each"] = "mean",
    batch: BatchRule = "first",
    batch_size: int | None = None,
) -> xr.DataArray:
    """Return the expression that the model predicts for the control cells under each perturbation.

    Every pass through the model has the same shape, whatever was asked for, and a shape is taken only if a result has
    the same bits in each of its places: a number does not depend on which other perturbations it was computed with, nor
    on their order.

    Parameters
    ----------
    model
        The model.
    control_cells
        A DataArray (cell, gene), an AnnData, or a bare array [S, G]; see `jacprobe.cells.prepare_cells`.
    perturbations
        Names; all of the model's where None.
    cells
        "mean" averages over the cells, "each" keeps them.
    batch
        "first" (index 0, as published) or "own".
    batch_size
        Perturbations in one pass; where None, as many as make up 256 cells.

    Returns
    -------
    DataArray
        (kd, gene) or (kd, cell, gene), log1p-normalised expression, in the dtype of the model.

    Raises
    ------
    UnknownNameError
        If a perturbation is none of the model's; all unknown ones are listed.
    InputError
        If the cells do not fit the model, or a perturbation is asked for twice.
    """
    if cells not in ("mean", "each"):
        raise InputError(f"cells={cells!r}", "'mean' or 'each'", where="cells")
    prepared = prepare_cells(model, control_cells, batch)
    names = perturbation_names(model, perturbations)
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size={batch_size}", "at least 1", where="batch_size")
    index = torch.tensor([model.perturbations.index(name) for name in names], device=model.device)
    values = torch.as_tensor(prepared.values, dtype=model.dtype, device=model.device)
    batches = torch.as_tensor(prepared.batch, device=model.device)
    with choose(model.device, model.dtype, among=SWITCHES).switched():
        forward = predictions(model, values, batches)
        found = in_passes(
            lambda part: forward(part).mean(dim=1) if cells == "mean" else forward(part),
            index,
            len(values),
            batch_size,
        )
    return _labelled(found.cpu().numpy(), model, names, prepared, "predicted expression")


def delta(
    model: PerturbationModel,
    control_cells: Any,
    perturbations: Sequence[str] | None = None,
    cells: Literal["mean", "each"] = "mean",
    batch: BatchRule = "first",
    batch_size: int | None = None,
) -> xr.DataArray:
    """Return the predicted response to each perturbation: its prediction minus that under the control perturbation.

    dY(KD) = Y(KD) - Y(non-targeting), both from the same control cells. Parameters and errors as in `predict`.

    Returns
    -------
    DataArray
        (kd, gene) or (kd, cell, gene), difference of log1p-normalised expression.
    """
    names = perturbation_names(model, perturbations)
    asked = [model.control, *(name for name in names if name != model.control)]
    predicted = predict(model, control_cells, asked, cells, batch, batch_size)
    response = predicted.sel(kd=names) - predicted.sel(kd=model.control, drop=True)
    direction = f"perturbed - {model.control}"
    return response.rename("delta").assign_attrs(predicted.attrs, quantity="response", direction=direction)


def perturbation_names(model: PerturbationModel, asked: Sequence[str] | None) -> list[str]:
    """Return the perturbations asked for, each once, or all of the model's; a single name is taken as such."""
    names = [asked] if isinstance(asked, str) else list(model.perturbations if asked is None else asked)
    known = set(model.perturbations)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise unknown_names("perturbation", unknown, model.perturbations, where="perturbations")
    if not names or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        given = f"{', '.join(twice[:5])} twice" if twice else "no perturbations"
        raise InputError(given, "at least one name, each once", where="perturbations")
    return names


@enough_memory("encoding cells and perturbations", "control_cells")
@torch.no_grad()
def predictions(model: PerturbationModel, values: Tensor, batch: Tensor) -> Callable[[Tensor], Tensor]:
    """Return predictions [B, S, G] as a function of perturbations [B], for control cells [S, G] and batches [S].

    Cells are encoded once where that can be.
    """
    if not isinstance(model, DifferentiableInPert):
        return lambda part: model.predict_step(values.expand(len(part), -1, -1), part, batch.expand(len(part), -1))
    encoded = model.encode_cells(values.unsqueeze(0))
    # Of all perturbations at once, so that a vector does not depend on which were asked for.
    vectors = model.pert_vectors(torch.arange(len(model.perturbations), device=model.device))
    return lambda part: model.forward(encoded.expand(len(part), -1, -1), vectors[part], batch.expand(len(part), -1))


def _labelled(
    values: np.ndarray, model: PerturbationModel, names: list[str], cells: ControlCells, quantity: str
) -> xr.DataArray:
    import xarray as xr

    dims = ("kd", "gene") if values.ndim == 2 else ("kd", "cell", "gene")
    coords = {"kd": names, "cell": list(cells.names), "gene": list(model.genes)}
    return xr.DataArray(
        values,
        dims=dims,
        coords={name: coords[name] for name in dims},
        name="prediction",
        attrs={
            "quantity": quantity,
            "units": "log1p-normalised expression",
            "control": model.control,
            "batch": cells.rule,
            "weights_sha256": model.weights_sha256,
            "cells_sha256": cells.sha256,
        },
    )
