"""The vectors by which perturbations enter a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jacprobe.errors import CapabilityMissingError
from jacprobe.models.protocol import DifferentiableInPert

if TYPE_CHECKING:
    import xarray as xr


@torch.no_grad()
def pert_embedding(model: DifferentiableInPert) -> xr.DataArray:
    """Return the vector of every perturbation, the control among them: (kd, latent).

    For a State model this is `pert_encoder(onehot)`: with one layer, a column of its weight plus its bias.

    Raises
    ------
    CapabilityMissingError
        The model has no such vectors.
    """
    import xarray as xr

    if not isinstance(model, DifferentiableInPert):
        raise CapabilityMissingError(
            f"{type(model).__name__}, whose perturbations enter by no vector",
            "a model with pert_vectors",
            where="model",
        )

    vectors = model.pert_vectors(torch.arange(len(model.perturbations), device=model.device))
    return xr.DataArray(
        vectors.cpu().numpy(),
        dims=("kd", "latent"),
        coords={"kd": list(model.perturbations), "latent": range(model.latent_dim)},
        name="pert_embedding",
        attrs={
            "quantity": "perturbation vector",
            "units": "latent",
            "control": model.control,
            "weights_sha256": model.weights_sha256,
        },
    )
