"""How perturbations are routed: the Jacobian of the prediction by the perturbation vector, and its similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.jacobian.engine import Name, Residual, prepare
from jacprobe.models.protocol import LinearPertEncoder
from jacprobe.probes.jacobians import BYTES_AT_ONCE, JacobianAt, cosines, require_axes
from jacprobe.probes.response import perturbation_names
from jacprobe.probes.sets import encode, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import xarray as xr

    from jacprobe.cells import BatchRule
    from jacprobe.jacobian.gemm import Way
    from jacprobe.models.protocol import DifferentiableInPert

_AFFINE = {torch.float32: 1e-5, torch.float64: 1e-12}  # relative, the encoder's vectors against W onehot + b


def pert_jacobian(
    model: DifferentiableInPert,
    control_cells: Any,
    engine: Name = "auto",
    residual: Residual = "model",
    batch: BatchRule = "first",
    gemm: Way | Literal["auto"] = "auto",
) -> JacobianAt:
    """Return the Jacobian as a function of the knockdown; parameters and errors as in `jacobian_wrt_pert`."""
    cells = encode(model, control_cells, batch)
    prepared = prepare(model, cells.encoded, cells.batch, engine, residual, gemm)
    attrs = labels(
        model,
        cells,
        "Jacobian of the predicted expression by the perturbation vector",
        units="log1p-normalised expression per unit of pert",
        direction="d(mean over cells of Y)/d(pert)",
        residual=residual,
        **prepared.provenance,
    )
    return JacobianAt(model, cells, prepared, "latent", attrs)


def jacobian_wrt_pert(
    model: DifferentiableInPert,
    control_cells: Any,
    perturbations: Sequence[str] | None = None,
    engine: Name = "auto",
    residual: Residual = "model",
    batch: BatchRule = "first",
    gemm: Way | Literal["auto"] = "auto",
) -> xr.DataArray:
    """Return dY/dpert: how the mean prediction moves with the perturbation vector, at each knockdown.

    Y is averaged over the control cells. The whole result is held in memory, 2.6 MB a knockdown at the published shape;
    for more knockdowns than fit, `pert_jacobian` gives them one at a time.

    Parameters
    ----------
    model
        A model that is differentiable in its perturbation vector.
    control_cells, batch
        As in `jacprobe.predict`.
    perturbations
        Names; all of the model's where None.
    engine
        "auto" takes the local rules where they reproduce the model and forward mode elsewhere; "local", "generic" and
        "autograd" ask for one engine. Which it was stands in the attributes.
    residual
        "model" is the model's own forward; "published" the function of the original study, without `+ cc`.
    gemm
        "auto" probes for the fastest accurate matrix product; a name takes that one.

    Returns
    -------
    DataArray
        (kd, gene, latent), with the coordinate `shut_genes` (kd): genes whose row is exactly 0, shut by the last ReLU
        in every cell.

    Raises
    ------
    UnknownNameError
        Unknown perturbations, all listed.
    InputError
        The cells do not fit the model; it is not differentiable in pert; the engine does not serve it.
    JacprobeError
        Memory does not suffice for a single direction.
    """
    names = perturbation_names(model, perturbations)
    return pert_jacobian(model, control_cells, engine, residual, batch, gemm).stacked(names, "jacobian_wrt_pert")


def similarity(J: xr.DataArray, bytes_at_once: int = BYTES_AT_ONCE) -> xr.DataArray:
    """Return the cosine between the flattened Jacobians of every two knockdowns.

    The Gram matrix is accumulated over blocks of genes, so that Jacobians on disk are never in memory all at once.

    Parameters
    ----------
    J
        Jacobians (kd, gene, latent), in memory or lazily read.
    bytes_at_once
        Size of a block of genes.

    Returns
    -------
    DataArray
        (kd, kd_other), float64; NaN beside a Jacobian that is 0.

    Raises
    ------
    InputError
        J has other axes.
    """
    return cosines(J, "latent", None, bytes_at_once, "Jacobians by the perturbation vector")


def onehot_similarity(J: xr.DataArray, model: Any, bytes_at_once: int = BYTES_AT_ONCE) -> xr.DataArray:
    """Return the cosine between the Jacobians by the one-hot perturbation, J W, of every two knockdowns.

    With an encoder W onehot + b the one-hot Jacobian is J W [G, P], which is never formed (see `jacobians.cosines`).

    Parameters
    ----------
    J
        Jacobians (kd, gene, latent) of `model`.
    model
        The model, whose encoder must be a single affine map.
    bytes_at_once
        Size of a block of genes.

    Returns
    -------
    DataArray
        (kd, kd_other), float64; NaN beside a Jacobian that is 0.

    Raises
    ------
    InputError
        J has other axes; the encoder is not a single affine map, or of another width than J.
    """
    W = _fitting_weight(J, model)
    return cosines(J, "latent", W, bytes_at_once, "Jacobians by the one-hot perturbation")


def onehot_norms(J: xr.DataArray, model: Any) -> xr.DataArray:
    """Return the Euclidean norms of the Jacobians by the one-hot perturbation, J W.

    |J W|^2 is the sum over the elements of (J'J) * (W W'), so that J W is never formed. Jacobians are read one
    knockdown at a time.

    Parameters
    ----------
    J
        Jacobians (kd, gene, latent) of `model`.
    model
        The model, whose encoder must be a single affine map.

    Returns
    -------
    DataArray
        (kd,), float64.

    Raises
    ------
    InputError
        As in `onehot_similarity`.
    """
    import numpy as np
    import xarray as xr

    W = _fitting_weight(J, model)
    through = W @ W.T
    squares = []
    for k in range(J.sizes["kd"]):
        one = J.isel(kd=k).transpose("gene", "latent").to_numpy().astype(np.float64)
        squares.append(float(np.sum((one.T @ one) * through)))
    return xr.DataArray(
        np.sqrt(np.maximum(squares, 0.0)),
        dims=("kd",),
        coords={"kd": J["kd"].to_numpy()},
        name="onehot_norms",
        attrs={**J.attrs, "quantity": "norm of the Jacobian by the one-hot perturbation"},
    )


def _fitting_weight(J: xr.DataArray, model: Any) -> np.ndarray:
    require_axes(J, "latent")
    W = _encoder_weight(model)
    if W.shape[0] != J.sizes["latent"]:
        raise InputError(
            given=f"Jacobians over {J.sizes['latent']} latent dimensions",
            wanted=f"{W.shape[0]}, the width of the model's encoder",
            where="J",
        )
    return W


@torch.no_grad()
def _encoder_weight(model: Any) -> np.ndarray:
    """Return W [D, P] of an encoder W onehot + b, in float64, once it is seen to give the model's vectors."""
    if isinstance(model, LinearPertEncoder):
        weight, bias = model.pert_linear()
        vectors = model.pert_vectors(torch.arange(len(model.perturbations), device=model.device))
        wanted = weight.T + bias
        # Another layer behind the first may change the width, too.
        if vectors.shape == wanted.shape and (vectors - wanted).norm() <= _AFFINE[model.dtype] * vectors.norm():
            return weight.detach().to("cpu", torch.float64).numpy()
    raise CapabilityMissingError(
        given=f"{type(model).__name__}, whose perturbation encoder is not a single affine map",
        wanted="an encoder W onehot + b, so that the one-hot Jacobian is J W for every knockdown",
        where="model",
    )
