"""What a perturbation model is to the rest of jacprobe, as capabilities.

Shapes: B sets of control cells, S cells a set, G genes, D latent dimensions, K perturbations.
Expression is log1p-normalised throughout. Everything is a torch tensor on `model.device` in `model.dtype`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor, nn


class Named(Protocol):
    """What of a model can be known without building it: the names by which control cells are put in its order."""

    @property
    def genes(self) -> tuple[str, ...]:
        """Names of the columns of input and output, in the model's order."""
        ...

    @property
    def perturbations(self) -> tuple[str, ...]:
        """Names of the perturbations, the control among them."""
        ...

    @property
    def control(self) -> str:
        """The perturbation that stands for no knockdown."""
        ...

    @property
    def batches(self) -> tuple[str, ...]:
        """Names of the batches."""
        ...

    @property
    def cell_set_len(self) -> int:
        """Cells in a set of the training."""
        ...

    @property
    def any_set_len(self) -> bool:
        """Whether sets of another size are admitted."""
        ...


@runtime_checkable
class PerturbationModel(Protocol):
    """A model that predicts the expression of control cells under a perturbation.

    Attributes
    ----------
    genes
        Names of the columns of input and output, in the model's order; unique.
    perturbations
        Names of the perturbations in the order of the encoder's inputs, the control among them; unique.
    control
        The perturbation that stands for no knockdown ("non-targeting").
    batches
        Names of the batches, in the order of the batch embedding; one name for a model without batches.
    cell_set_len, any_set_len
        S the model was trained with, and whether other S are admitted.
    split
        Per knockdown "trained", "held out" or "unknown", for the cell line the run is named after.
    weights_sha256
        Hash over names, shapes, dtypes and bytes of all weights.
    provenance
        What has to stand beside every verdict: mask, class, versions, checkpoint, hashes (strings; no absolute paths).
    """

    genes: tuple[str, ...]
    perturbations: tuple[str, ...]
    control: str
    batches: tuple[str, ...]
    cell_set_len: int
    any_set_len: bool
    split: Mapping[str, str]
    weights_sha256: str
    provenance: Mapping[str, str]
    device: torch.device
    dtype: torch.dtype

    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        """Return the model's own prediction through its public entry point.

        `cells` [B, S, G], `pert_index` [B] (long), `batch` [B, S] (long) -> [B, S, G].
        """
        ...


@runtime_checkable
class DifferentiableInPert(PerturbationModel, Protocol):
    """A model whose perturbation enters as a vector that the prediction can be differentiated by."""

    latent_dim: int

    def encode_cells(self, cells: Tensor) -> Tensor:
        """Return the encoded control cells: [B, S, G] -> [B, S, E]; linear or not, E is the model's own affair."""
        ...

    def pert_vectors(self, pert_index: Tensor) -> Tensor:
        """Return the vectors by which perturbations enter: [K] (long) -> [K, D]."""
        ...

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the prediction from encoded cells: [B, S, E], [B, D], [B, S] -> [B, S, G]; pure and differentiable."""
        ...


@runtime_checkable
class Rectified(DifferentiableInPert, Protocol):
    """A model whose output is a ReLU, so that its kinks can be located and left out of slopes."""

    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the argument of the final ReLU: shapes as in `forward`."""
        ...


@runtime_checkable
class LinearPertEncoder(DifferentiableInPert, Protocol):
    """A model whose perturbations pass a linear layer first, so that its columns can be read."""

    def pert_linear(self) -> tuple[Tensor, Tensor]:
        """Return weight [D, P] and bias [D] of the first layer that a perturbation's one-hot vector passes."""
        ...


@runtime_checkable
class Castable(PerturbationModel, Protocol):
    """A model that can be had in another dtype or on another device, the same weights under the same hash."""

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | str | None = None) -> Self:
        """Return the model there and so; float64 is float64 in every operation."""
        ...


@runtime_checkable
class HasLayers(DifferentiableInPert, Protocol):
    """A model with a stack of layers whose activations can be read."""

    n_layers: int

    def activations(self, encoded: Tensor, pert: Tensor, batch: Tensor, layer: int) -> Tensor:
        """Return the residual stream after `layer` (0 = its input, n_layers = its end): [B, S, D]."""
        ...


@runtime_checkable
class HasModule(PerturbationModel, Protocol):
    """A model that is a torch module inside, so that weights can be re-drawn and blocks recognised."""

    module: nn.Module

    def with_module(self, module: nn.Module, note: str) -> Self:
        """Return the same adapter around other weights, under their own hash; `note` goes into provenance."""
        ...

    def fresh_module(self, seed: int) -> nn.Module:
        """Return an untrained module of the same architecture by its own init law; no global state is touched."""
        ...
