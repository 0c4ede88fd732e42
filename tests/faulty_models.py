"""Models that break one promise of the protocol each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from fixtures import linear_model
from fixtures.linear_model import LinearModel

if TYPE_CHECKING:
    from torch import Tensor


class Sound(LinearModel):
    """A LinearModel that says how its cells see each other, from which faulty ones are made."""

    def __init__(self, **changes: Any) -> None:
        made = linear_model.build()
        super().__init__(made.weight, made.bias, made.to_genes)
        self.provenance = {**self.provenance, "mask": "none"}
        for name, value in changes.items():
            setattr(self, name, value)

    def to(self, device: Any = None, dtype: Any = None) -> Any:  # noqa: ARG002 - float64 already
        return self


class OnlyPredicts:
    """A model without a perturbation vector."""

    def __init__(self) -> None:
        self.inner = Sound()
        for name in ("genes", "perturbations", "control", "batches", "cell_set_len", "any_set_len", "split"):
            setattr(self, name, getattr(self.inner, name))
        self.weights_sha256, self.provenance = self.inner.weights_sha256, self.inner.provenance
        self.device, self.dtype = self.inner.device, self.inner.dtype

    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return self.inner.predict_step(cells, pert_index, batch)


class WithoutSplit(OnlyPredicts):
    def __init__(self) -> None:
        super().__init__()
        delattr(self, "split")


class Halved(OnlyPredicts):
    latent_dim = 6


class Recording(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index, batch) * torch.nn.Parameter(torch.ones(()))


class Flat(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index, batch).flatten(0, 1)


class Narrow(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index, batch).float()


class Infinite(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index, batch) / 0


class Elsewhere(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index, batch).to("meta")


class DropsOut(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return torch.nn.functional.dropout(super().predict_step(cells, pert_index, batch), 0.1)


class Draws(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        torch.rand(1)
        return super().predict_step(cells, pert_index, batch)


class MixesSets(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells - cells.mean(dim=(0, 1)) + 2, pert_index, batch)


class FirstForAll(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index[:1].expand(len(cells)), batch)


class Unmoved(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:  # noqa: ARG002
        return cells.clone()


class ReadsInOrder(Sound):
    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        return super().preactivation(encoded.cumsum(dim=1), pert, batch)


class OneSize(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells.reshape(-1, 8, 9), pert_index, batch)


class Wide(Sound):
    def pert_vectors(self, pert_index: Tensor) -> Tensor:
        return super().pert_vectors(pert_index).repeat(1, 2)

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        return super().forward(encoded, pert[:, :6], batch)


class WithoutResidual(Sound):
    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        return super().predict_step(cells, pert_index, batch) + cells


class WithoutGraph(Sound):
    @torch.no_grad()
    def encode_cells(self, cells: Tensor) -> Tensor:
        return cells.clone()


class HalfSlope(Sound):
    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        return super().forward(encoded, (pert + pert.detach()) / 2, batch)


class NoSlope(Sound):
    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        return super().forward(encoded, pert.detach() + 0 * pert, batch)


class Shifted(Sound):
    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        return super().preactivation(encoded, pert, batch) + 1

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        return LinearModel.preactivation(self, encoded, pert, batch).relu()


class Transposed(Sound):
    def pert_linear(self) -> tuple[Tensor, Tensor]:
        return self.weight.T, self.bias


class Layered(Sound):
    n_layers = 1

    def activations(self, encoded: Tensor, pert: Tensor, batch: Tensor, layer: int) -> Tensor:  # noqa: ARG002
        return encoded if layer else pert[:, None, :].expand(-1, encoded.shape[1], -1)


class Renamed(Sound):
    def to(self, device: Any = None, dtype: Any = None) -> Any:  # noqa: ARG002 - float64 already
        return Sound(weights_sha256="0" * 64)


class Trained(torch.nn.Module):
    """A module around a weight, for adapters that have one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
