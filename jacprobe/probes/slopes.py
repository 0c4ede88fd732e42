"""Are Jacobians slopes? Derivatives against central differences in float64, and outputs that have no slope at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jacprobe.errors import CapabilityMissingError
from jacprobe.models.protocol import Castable, Rectified
from jacprobe.probes.response import perturbation_names
from jacprobe.probes.routing import pert_jacobian
from jacprobe.probes.sets import EncodedCells, encode, positions
from jacprobe.probes.targeted import targeted_jacobian

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from torch import Tensor

    from jacprobe.cells import BatchRule

# The error of central differences falls with h², that of their rounding grows with 1 / h; at 1e-4 both are about 1e-10.
_STEP = 1e-4
_KINK = 1e-5


def jacobian_slope_error(
    model: Rectified,
    control_cells: Any,
    perturbations: Sequence[str],
    rng: np.random.Generator,
    directions: int = 10,
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return the relative error of dY/dpert v against central differences, for random unit v: (kd, direction).

    max |J v - (Y(p + h v) - Y(p - h v)) / 2h| / max |J v| over genes, with Y the mean over cells, h = 1e-4, J by the
    engine that `jacobian_wrt_pert` takes by itself, all of it in float64. Genes whose argument of the ReLU comes, in
    any cell, within 1e-5 of 0 at p, p + h v or p - h v, or changes its sign between them, have no slope there: they are
    left out. The attribute `left_out` counts them, `engine` names the engine.

    Raises
    ------
    InputError
        If the model cannot be had in float64.
    """
    exact = _in_float64(model)
    names = perturbation_names(exact, perturbations)
    cells = encode(exact, control_cells, batch)
    at = pert_jacobian(exact, control_cells, batch=batch)
    encoded, index = (t.expand(directions, *t.shape) for t in (cells.encoded, cells.batch))
    errors, left_out = np.empty((len(names), directions)), 0
    for k, name in enumerate(names):
        drawn = rng.standard_normal((directions, cells.vectors.shape[1]))
        v = torch.as_tensor(
            drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=exact.dtype, device=exact.device
        )
        p = cells.vectors[exact.perturbations.index(name)]
        slope = (v @ torch.as_tensor(at(name), device=exact.device).T).cpu().numpy()
        z = torch.stack([_argument(exact, encoded, p + h * v, index) for h in (-_STEP, 0.0, _STEP)])
        difference, smooth = _central(z)
        errors[k] = (np.abs(slope - difference) * smooth).max(axis=1) / np.abs(slope).max(axis=1)
        left_out += int((~smooth).sum())
    coords = {"kd": names, "direction": list(range(directions))}
    return _labelled(errors, coords, left_out=left_out, engine=at.engine.name)


def targeted_slope_error(
    model: Rectified,
    control_cells: Any,
    perturbations: Sequence[str],
    regulators: Sequence[str],
    targets: Sequence[str],
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return the relative error of dY[target]/dX[regulator] against central differences: (kd, regulator, target).

    |J - (Y(x + h) - Y(x - h)) / 2h| over the largest |J| of the panel at that knockdown, with x the regulator in all
    cells, Y the target's mean over cells, h = 1e-4, all of it in float64. Pairs at a kink are left out as in
    `jacobian_slope_error`: their error is 0 and the attribute `left_out` counts them.

    Raises
    ------
    InputError
        If the model cannot be had in float64.
    UnknownNameError
        Unknown genes or perturbations, all listed.
    """
    exact = _in_float64(model)
    names = perturbation_names(exact, perturbations)
    cells = encode(exact, control_cells, batch)
    J = targeted_jacobian(exact, control_cells, regulators, targets, names, cells="each", batch=batch).values
    rows = positions("gene", targets, exact.genes, "targets")
    columns = positions("gene", regulators, exact.genes, "regulators")
    # Every regulator's shift is a set of its own: [R, S, G].
    moved = [_encoded_at(exact, cells, columns, h) for h in (-_STEP, 0.0, _STEP)]
    index = cells.batch.expand(len(columns), -1)
    errors, left_out = np.empty(J.shape), 0
    for k, name in enumerate(names):
        p = cells.vectors[exact.perturbations.index(name)].expand(len(columns), -1)
        z = torch.stack([_argument(exact, encoded, p, index)[..., rows] for encoded in moved])
        difference, smooth = _central(z)
        scale = max(float(np.abs(J[k]).max()), np.finfo(np.float64).tiny)
        errors[k] = np.abs(J[k] - difference) * smooth / scale
        left_out += int((~smooth).sum())
    coords = {"kd": names, "regulator": list(regulators), "target": list(targets)}
    return _labelled(errors, coords, left_out=left_out)


def largest_slope(J: xr.DataArray) -> xr.DataArray:
    """Return the largest |J| of each gene over knockdowns and directions: (gene,), 0 where an output never moves.

    Parameters
    ----------
    J
        Jacobians (kd, gene, latent), in memory or lazily read: one knockdown at a time.
    """
    largest = np.zeros(J.sizes["gene"], dtype=J.dtype)
    for k in range(J.sizes["kd"]):
        one = J.isel(kd=k).transpose("gene", ...).to_numpy()
        np.maximum(largest, np.abs(one).reshape(len(one), -1).max(axis=1), out=largest)
    return _labelled(largest, {"gene": J["gene"].values.tolist()}, knockdowns=J.sizes["kd"])


def _in_float64(model: Rectified) -> Any:
    if model.dtype != torch.float64 and not isinstance(model, Castable):
        raise CapabilityMissingError(
            f"a {type(model).__name__} in {model.dtype}",
            "a model in float64, or one with a method `to`",
            "Central differences drown in float32 rounding: load the model with dtype='float64'",
            "model",
        )
    if not isinstance(model, Rectified):
        raise CapabilityMissingError(
            f"{type(model).__name__}, whose output is not known to be a ReLU",
            "a model with preactivation, so that kinks can be left out",
            where="model",
        )
    return model if model.dtype == torch.float64 or not isinstance(model, Castable) else model.to(dtype=torch.float64)


@torch.no_grad()
def _argument(model: Any, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
    """Return the argument of the last ReLU: [B, S, G]."""
    return model.preactivation(encoded, pert, batch)


@torch.no_grad()
def _encoded_at(model: Any, cells: EncodedCells, columns: Sequence[int], h: float) -> Tensor:
    """Return the encoded cells with each of some genes raised by h in all of them: [R, S, E]."""
    shifted = cells.values.repeat(len(columns), 1, 1)
    for r, column in enumerate(columns):
        shifted[r, :, column] += h
    return model.encode_cells(shifted)


def _central(z: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes [B, N] from arguments of the ReLU [3, B, S, N] at -h, 0 and h, and where there is no kink."""
    difference = (z[2].relu() - z[0].relu()).mean(dim=1) / (2 * _STEP)
    smooth = ((z >= _KINK).all(dim=0) | (z <= -_KINK).all(dim=0)).all(dim=1)
    return difference.cpu().numpy(), smooth.cpu().numpy()


def _labelled(values: np.ndarray, coords: dict[str, list[Any]], **attrs: Any) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(values, dims=list(coords), coords=coords, attrs=attrs)
