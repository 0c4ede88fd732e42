"""How perturbations are routed: the Jacobian of the prediction by the perturbation vector, and its similarities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from jacprobe.errors import InputError
from jacprobe.jacobian.engine import Engine, Name, Residual, prepare
from jacprobe.probes.sets import EncodedCells, encode, labels, positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from jacprobe.cells import BatchRule
    from jacprobe.jacobian.gemm import Way
    from jacprobe.models.protocol import DifferentiableInPert

_KDS_AT_ONCE_ON_GPU = 8
_BYTES_AT_ONCE = 3 * 2**28  # a block is held twice while it is read: 2,023 Jacobians stay below 2 GiB


@dataclass(frozen=True, eq=False)
class PertJacobian:
    """The Jacobian of one model over one set of control cells, ready to be taken at any knockdown.

    Each knockdown is computed alone, so that its bits do not depend on which others are asked for: this is what the
    evidence store calls, chunk by chunk.
    """

    model: DifferentiableInPert
    cells: EncodedCells
    engine: Engine
    residual: Residual

    def __call__(self, kd: str) -> np.ndarray:
        """Return d(mean over cells of Y)/d(pert) at a knockdown: [G, D]."""
        return self.at([kd])[0]

    def at(self, kds: Sequence[str]) -> np.ndarray:
        """Return the Jacobians at knockdowns computed together: [K, G, D]."""
        index = positions("perturbation", kds, self.model.perturbations, "perturbations")
        return self.engine(self.cells.vectors[index]).cpu().numpy()

    @property
    def attrs(self) -> dict[str, str]:
        """What stands on the labelled array, provenance included."""
        return labels(
            self.model,
            self.cells,
            "Jacobian of the predicted expression by the perturbation vector",
            units="log1p-normalised expression per unit of pert",
            direction="d(mean over cells of Y)/d(pert)",
            residual=self.residual,
            **self.engine.provenance,
        )


def pert_jacobian(
    model: DifferentiableInPert,
    control_cells: Any,
    engine: Name = "auto",
    residual: Residual = "model",
    batch: BatchRule = "first",
    gemm: Way | Literal["auto"] = "auto",
) -> PertJacobian:
    """Return the Jacobian as a function of the knockdown; parameters and errors as in `jacobian_wrt_pert`."""
    cells = encode(model, control_cells, batch)
    return PertJacobian(model, cells, prepare(model, cells.encoded, cells.batch, engine, residual, gemm), residual)


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
    import xarray as xr

    names = list(model.perturbations) if perturbations is None else perturbations
    names = [names] if isinstance(names, str) else list(names)
    positions("perturbation", names, model.perturbations, "perturbations")
    jacobian = pert_jacobian(model, control_cells, engine, residual, batch, gemm)
    size = 1 if model.device.type == "cpu" else _KDS_AT_ONCE_ON_GPU
    parts = [jacobian.at(names[start : start + size]) for start in range(0, len(names), size)]
    values = np.concatenate(parts)
    return xr.DataArray(
        values,
        dims=("kd", "gene", "latent"),
        coords={
            "kd": names,
            "gene": list(model.genes),
            "latent": range(model.latent_dim),
            "shut_genes": ("kd", (~values.any(axis=2)).sum(axis=1)),
        },
        name="jacobian_wrt_pert",
        attrs=jacobian.attrs,
    )


def similarity(J: xr.DataArray, bytes_at_once: int = _BYTES_AT_ONCE) -> xr.DataArray:
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
    """
    return _cosines(J, None, bytes_at_once, "Jacobians by the perturbation vector")


def onehot_similarity(J: xr.DataArray, model: Any, bytes_at_once: int = _BYTES_AT_ONCE) -> xr.DataArray:
    """Return the cosine between the Jacobians by the one-hot perturbation, J W, of every two knockdowns.

    With an encoder W onehot + b the one-hot Jacobian is J W [G, P], which is never formed: with the QR decomposition
    W' = Q R the inner product <J_a W, J_b W> is <J_a R', J_b R'>, and R' is [D, D].

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
        (kd, kd_other), float64.

    Raises
    ------
    InputError
        The encoder is not a single affine map, or of another width than J.
    """
    W = _encoder_weight(model)
    if W.shape[0] != J.sizes["latent"]:
        raise InputError(
            given=f"Jacobians over {J.sizes['latent']} latent dimensions",
            wanted=f"{W.shape[0]}, the width of the model's encoder",
            where="J",
        )
    R = np.asarray(np.linalg.qr(W.T, mode="r"))
    return _cosines(J, R.T, bytes_at_once, "Jacobians by the one-hot perturbation")


def _cosines(J: xr.DataArray, factor: np.ndarray | None, bytes_at_once: int, of: str) -> xr.DataArray:
    import xarray as xr

    J = J.transpose("kd", "gene", "latent")
    n, genes, latent = J.shape
    block = max(1, bytes_at_once // (n * latent * J.dtype.itemsize * (1 if factor is None else 2)))
    gram = np.zeros((n, n))
    for start in range(0, genes, block):
        part = J.isel(gene=slice(start, start + block)).to_numpy()
        if factor is not None:
            part = part @ factor.astype(part.dtype)
        flat = np.ascontiguousarray(part).reshape(n, -1)
        gram += flat @ flat.T
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.sqrt(np.diag(gram))
        cosine = (gram / np.outer(length, length)).clip(-1, 1)
    names = J["kd"].to_numpy()
    return xr.DataArray(
        cosine,
        dims=("kd", "kd_other"),
        coords={"kd": names, "kd_other": names},
        name="similarity",
        attrs={**J.attrs, "quantity": f"cosine between {of}", "units": "1"},
    )


def _encoder_weight(model: Any) -> np.ndarray:
    """Return W [D, P] of an encoder W onehot + b, in float64."""
    encoder = getattr(getattr(model, "module", None), "pert_encoder", None)
    if isinstance(encoder, nn.Sequential) and len(encoder) == 1:
        encoder = encoder[0]
    if not isinstance(encoder, nn.Linear):
        raise InputError(
            given=f"{type(model).__name__}, whose perturbation encoder is not a single affine map",
            wanted="an encoder W onehot + b, so that the one-hot Jacobian is J W for every knockdown",
            where="model",
        )
    return encoder.weight.detach().to("cpu", torch.float64).numpy()
