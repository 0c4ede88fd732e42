"""The vectors by which perturbations enter a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.models.protocol import DifferentiableInPert


@torch.no_grad()
def pert_embedding(model: DifferentiableInPert) -> xr.DataArray:
    """Return the vector of every perturbation, the control among them: (kd, latent).

    For a State model this is `pert_encoder(onehot)`: with one layer, a column of its weight plus its bias.
    """
    import xarray as xr

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
