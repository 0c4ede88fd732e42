"""What can be known of a run without running its model, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from jacprobe.models.protocol import PerturbationModel

NO_BATCH = ("none",)


@dataclass(frozen=True)
class Identity:
    """The attributes of `jacprobe.models.protocol.PerturbationModel` that need no model.

    `latent_dim` is 0 for models that cannot be differentiated in their perturbation, `n_layers` for those whose layers
    cannot be read. `encoded_dim` is the width of an encoded cell; None where it is `latent_dim`. `packages` are those,
    beside torch, on whose version a number depends: provenance holds it under their name, as it does torch's. The mask
    in force stands there as "mask", "none" where there is no attention between cells.
    """

    genes: tuple[str, ...]
    perturbations: tuple[str, ...]
    control: str
    batches: tuple[str, ...]
    cell_set_len: int
    split: Mapping[str, str]
    weights_sha256: str
    provenance: Mapping[str, str]
    latent_dim: int = 0
    n_layers: int = 0
    any_set_len: bool = True
    encoded_dim: int | None = None
    packages: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: PerturbationModel) -> Self:
        """Return the identity of a model that is there, for adapters whose models are quickly built."""
        import torch

        latent_dim, encoded_dim = int(getattr(model, "latent_dim", 0)), None
        if latent_dim:
            none = torch.zeros(1, model.cell_set_len, len(model.genes), dtype=model.dtype, device=model.device)
            with torch.no_grad():
                encoded_dim = int(getattr(model, "encode_cells")(none).shape[-1])  # noqa: B009 a capability
        return cls(
            genes=tuple(model.genes),
            perturbations=tuple(model.perturbations),
            control=model.control,
            batches=tuple(model.batches),
            cell_set_len=model.cell_set_len,
            split=dict(model.split),
            weights_sha256=model.weights_sha256,
            provenance={"mask": "none", "torch": torch.__version__, **model.provenance},
            latent_dim=latent_dim,
            n_layers=int(getattr(model, "n_layers", 0)),
            any_set_len=model.any_set_len,
            encoded_dim=encoded_dim,
        )
