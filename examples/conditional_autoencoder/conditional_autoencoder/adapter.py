"""The conditional autoencoder as jacprobe sees models (`jacprobe.models.protocol`)."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch.nn.functional import one_hot

from conditional_autoencoder.model import ConditionalAutoencoder
from jacprobe.models.adapters import Adapter
from jacprobe.models.devices import asked, device_of
from jacprobe.models.identity import Identity
from jacprobe.models.weights import weights_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


class Adapted:
    """One trained autoencoder: control cells are read under the control, and decoded under a knockdown."""

    batches: tuple[str, ...] = ("none",)
    any_set_len, cell_set_len = True, 32

    def __init__(self, module: ConditionalAutoencoder, names: dict[str, Any]) -> None:
        self.module, self._names = module.eval().requires_grad_(False), names
        self.genes, self.perturbations = tuple(names["genes"]), tuple(names["conditions"])
        self.control, self.split = names["control"], dict(names["split"])
        self.latent_dim = module.pert_encoder[0].out_features
        self.device, self.dtype = module.pert_encoder[0].weight.device, module.pert_encoder[0].weight.dtype
        self.weights_sha256 = weights_sha256(module.state_dict())
        self.provenance = {"model": "ConditionalAutoencoder", "mask": "none", "weights_sha256": self.weights_sha256}

    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        """Return the model's own prediction: [B, S, G], [B], [B, S] -> [B, S, G]."""
        of, under = (one_hot(k, len(self.perturbations)).to(cells) for k in (self._control(pert_index), pert_index))
        return self.module(cells, *(x[:, None].expand(-1, cells.shape[1], -1) for x in (of, under)))

    def pert_vectors(self, pert_index: Tensor) -> Tensor:
        """Return the vectors of conditions: [K] -> [K, D]."""
        return self.module.pert_encoder(one_hot(pert_index, len(self.perturbations)).to(self.dtype))

    def pert_linear(self) -> tuple[Tensor, Tensor]:
        """Return weight [D, P] and bias [D] of the layer that makes them."""
        return self.module.pert_encoder[0].weight, self.module.pert_encoder[0].bias

    def encode_cells(self, cells: Tensor) -> Tensor:
        """Return the codes of control cells: [B, S, G] -> [B, S, code]."""
        control = self.pert_vectors(self._control(torch.zeros(1, dtype=torch.long, device=self.device)))
        return self.module.encode(cells, control.expand(*cells.shape[:2], -1))

    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the argument of the final ReLU: [B, S, code], [B, D], [B, S] -> [B, S, G]."""
        return self.module.argument(encoded, pert[:, None].expand(-1, encoded.shape[1], -1))

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the prediction; shapes as in `preactivation`."""
        return self.preactivation(encoded, pert, batch).relu()

    def to(self, device: Any = None, dtype: Any = None) -> Adapted:
        """Return the same weights elsewhere or in another dtype, under the same hash."""
        place, kind = asked(self, device, dtype)
        moved = Adapted(deepcopy(self.module).to(place, kind), self._names)
        moved.weights_sha256, moved.provenance = self.weights_sha256, self.provenance
        return moved

    def _control(self, like: Tensor) -> Tensor:
        return torch.full_like(like, self.perturbations.index(self.control))


def load(run: Path, checkpoint: str, mask: str, device: str) -> Adapted:
    """Return the model of a run folder: names in names.json, weights in CHECKPOINT.safetensors."""
    names = json.loads((run / "names.json").read_text(encoding="utf-8"))
    module = ConditionalAutoencoder(len(names["genes"]), len(names["conditions"]))
    module.load_state_dict(load_file(run / f"{checkpoint}.safetensors"))
    return Adapted(module.to(device_of(device)), names)


ADAPTER = Adapter(load, lambda run, checkpoint: Identity.of(load(run, checkpoint, "auto", "cpu")))
