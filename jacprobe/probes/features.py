"""What a layer holds under each knockdown: mean activations, or mean features of a sparse autoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.jacobian.gemm import SWITCHES, choose
from jacprobe.models.protocol import HasLayers
from jacprobe.probes.sae import SparseAutoencoder, load_sae
from jacprobe.probes.sets import encode, in_passes, labels, positions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import xarray as xr
    from torch import Tensor

    from jacprobe.cells import BatchRule


def features(
    model: HasLayers,
    control_cells: Any,
    perturbations: Sequence[str] | None,
    layer: int,
    sae: SparseAutoencoder | str | Path | None = None,
    centre: bool = True,
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return the mean features of a layer over the control cells, under each knockdown.

    Centring subtracts the features under the control perturbation, from the same cells: raw means of weak knockdowns
    all sit near the control's, so that their cosines say little. It does not depend on which knockdowns are asked for.

    Parameters
    ----------
    model
        A model whose layers can be read.
    control_cells, batch
        As in `jacprobe.predict`.
    perturbations
        Names; all of the model's where None.
    layer
        After which layer: 0 is the input of the stack, `n_layers` its end.
    sae
        A sparse autoencoder, or the folder it is read from; None keeps the activations themselves.
    centre
        Whether to subtract the control's features.

    Returns
    -------
    DataArray
        (kd, feature), in units of the layer's activations.

    Raises
    ------
    UnknownNameError
        Unknown perturbations, all listed.
    InputError
        The model has no layers or not this one; the autoencoder is of another width; the cells do not fit the model.
    """
    import xarray as xr

    if not isinstance(model, HasLayers):
        raise CapabilityMissingError(
            f"{type(model).__name__}, whose layers cannot be read", "n_layers and activations", where="model"
        )
    if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer <= model.n_layers:
        raise InputError(f"layer {layer}", f"0 (the input) to {model.n_layers} (the end)", where="layer")
    if sae is not None and not isinstance(sae, SparseAutoencoder):
        sae = load_sae(sae)
    prepared = encode(model, control_cells, batch)
    names = list(model.perturbations) if perturbations is None else perturbations
    index = positions("perturbation", names, model.perturbations, "perturbations")
    control = model.perturbations.index(model.control)
    if sae is not None and sae.W_enc.shape[0] != model.latent_dim:
        raise InputError(
            f"an autoencoder of {sae.W_enc.shape[0]} inputs", f"{model.latent_dim}, the layer's width", where="sae"
        )
    with choose(model.device, model.dtype, among=SWITCHES).switched():
        found = mean_features(model, prepared.encoded, prepared.vectors[[control, *index]], prepared.batch, layer, sae)
    values = (found[1:] - found[:1] if centre else found[1:]).cpu().numpy()
    return xr.DataArray(
        values,
        dims=("kd", "feature"),
        coords={"kd": [model.perturbations[i] for i in index], "feature": range(values.shape[1])},
        name="features",
        attrs=labels(
            model,
            prepared,
            "mean layer activation" if sae is None else "mean feature of a sparse autoencoder",
            units="activation",
            direction=f"perturbed - {model.control}" if centre else "raw",
            layer=str(layer),
            sae_sha256="" if sae is None else sae.sha256,
        ),
    )


@torch.no_grad()
def mean_features(
    model: HasLayers, encoded: Tensor, vectors: Tensor, batch: Tensor, layer: int, sae: SparseAutoencoder | None
) -> Tensor:
    """Return features averaged over cells, each cell encoded by itself: [S, E], [K, D], [S] -> [K, F]."""

    def compute(pert: Tensor) -> Tensor:
        size = len(pert)
        x = model.activations(encoded.expand(size, *encoded.shape), pert, batch.expand(size, -1), layer)
        return (x if sae is None else sae.encode(x)).mean(dim=1)

    return in_passes(compute, vectors, len(encoded))
