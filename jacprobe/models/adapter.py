"""The State Transition (ST) model behind the protocol.

    cc   = basal_encoder(cells)                    [B, S, E]
    x    = cc + pert + batch_encoder(batch)        pert = pert_encoder(onehot), [B, D], E = D
    h    = backbone(x)                             Llama layers; every cell sees every cell, no positions
    Y    = relu(project_out(h + cc))               [B, S, G]

All of it runs through arc-state's own modules, which `jacprobe.models.state` builds.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
from torch import Tensor, nn

from jacprobe.errors import InputError
from jacprobe.models.devices import asked, on_device
from jacprobe.models.float64 import to_float64
from jacprobe.models.identity import NO_BATCH
from jacprobe.models.weights import weights_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.models.run_folder import RunFolder


class Architecture(Protocol):
    """How to make modules of one architecture."""

    def drawn(self) -> nn.Module:
        """Return an untrained module, drawn from torch's global random state."""
        ...

    def empty(self) -> nn.Module:
        """Return a module whose weights are still to be given."""
        ...


class ArcStateModel:
    """What models of arc-state's classes have in common; attributes are described in `jacprobe.models.protocol`.

    Attributes
    ----------
    module
        arc-state's own module.
    """

    def __init__(
        self, module: nn.Module, run: RunFolder, architecture: Architecture, provenance: Mapping[str, str]
    ) -> None:
        self.module = module.eval().requires_grad_(False)
        self._st: Any = module  # the same, for the names that nn.Module does not declare
        self._run = run
        self._architecture = architecture
        self.genes = run.genes
        self.perturbations = run.perturbations
        self.control = run.control
        self.batches = run.batches or NO_BATCH
        self.cell_types = run.cell_types
        self.split: Mapping[str, str] = run.split.tags
        self.cell_set_len = int(run.hyperparameters["cell_set_len"])
        self.any_set_len = True
        self.latent_dim = int(run.hyperparameters["hidden_dim"])
        first = next(module.parameters())
        self.device, self.dtype = first.device, first.dtype
        self.weights_sha256 = weights_sha256(module.state_dict())
        self.provenance: Mapping[str, str] = {**provenance, "weights_sha256": self.weights_sha256}

    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        """Return arc-state's own `predict_step`: [B, S, G], [B], [B, S] -> [B, S, G]."""
        onehot = nn.functional.one_hot(pert_index, len(self.perturbations)).to(cells)
        sets = [slice(None)] if cells.shape[1] == self.cell_set_len else [slice(b, b + 1) for b in range(len(cells))]
        return torch.cat([self._predict_sets(cells[s], onehot[s], batch[s]) for s in sets])

    def _predict_sets(self, cells: Tensor, onehot: Tensor, batch: Tensor) -> Tensor:
        given = {
            "ctrl_cell_emb": cells,
            "pert_emb": onehot[:, None, :].expand(-1, cells.shape[1], -1),
            "batch": self._batch_input(batch.reshape(-1)),
        }
        padded = cells.shape[1] == self.cell_set_len
        return self._st.predict_step(given, 0, padded=padded)["preds"].reshape(cells.shape)

    def _batch_input(self, batch: Tensor) -> Tensor:
        """Return the batch of each cell as the class takes it: [B S] -> [B S] or [B S, batches]."""
        return batch  # flat, since arc-state takes a second axis as long as its batches for a one-hot vector

    def encode_cells(self, cells: Tensor) -> Tensor:
        """Return the encoded control cells: [B, S, G] -> [B, S, E]."""
        return self._st.basal_encoder(cells)

    def pert_vectors(self, pert_index: Tensor) -> Tensor:
        """Return the perturbations' vectors, `pert_encoder(onehot)`: [K] -> [K, D]."""
        onehot = nn.functional.one_hot(pert_index, len(self.perturbations))
        return self._st.pert_encoder(onehot.to(self.dtype))

    def pert_linear(self) -> tuple[Tensor, Tensor]:
        """Return weight [D, P] and bias [D] of the encoder's first layer, mostly its only one."""
        first = self._st.pert_encoder[0]
        return first.weight, first.bias

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | str | None = None) -> Self:
        """Return the model on another device or in another dtype; itself where nothing changes.

        The weights keep their identity: `weights_sha256` stays that of the weights as loaded.
        """
        place, kind = asked(self, device, dtype)
        if (place, kind) == (self.device, self.dtype):
            return self
        if kind == torch.float64 and self.dtype != torch.float64:
            module = self._wide(self.module)
        elif kind == self.dtype:
            module = deepcopy(self.module)
        else:
            module = self._float32()
        moved = type(self)(on_device(module, place), self._run, self._architecture, self.provenance)
        moved.weights_sha256, moved.provenance = self.weights_sha256, self.provenance
        return moved

    def _float32(self) -> nn.Module:
        """Return a float32 module as arc-state builds it, with these weights."""
        module = self._architecture.empty()
        module.load_state_dict({name: value.float() for name, value in self.module.state_dict().items()}, assign=True)
        return module

    def with_module(self, module: nn.Module, note: str) -> Self:
        """Return the same adapter around other weights, under their own hash; `note` goes into provenance."""
        return type(self)(module, self._run, self._architecture, {**self.provenance, "weights": note})

    def fresh_module(self, seed: int) -> nn.Module:
        """Return an untrained module of the same hyperparameters, drawn by arc-state's own init law on the CPU.

        The global random state is put back as it was.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self._architecture.drawn()
        module = module.eval().requires_grad_(False)
        return self._wide(module) if self.dtype == torch.float64 else module

    @staticmethod
    def _wide(module: nn.Module) -> nn.Module:
        """Return a float64 copy of a module that is float64 in every operation."""
        return to_float64(module)


class StateModel(ArcStateModel):
    """A State Transition model.

    Attributes
    ----------
    mask
        The attention mask in force.
    """

    def __init__(
        self, module: nn.Module, run: RunFolder, architecture: Architecture, provenance: Mapping[str, str]
    ) -> None:
        super().__init__(module, run, architecture, provenance)
        self.mask = provenance["mask"]
        self.n_layers = len(self._st.transformer_backbone.layers)

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the prediction from encoded cells: [B, S, E], [B, D], [B, S] -> [B, S, G]."""
        return self._st.relu(self.preactivation(encoded, pert, batch))

    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the argument of the final ReLU; shapes as in `forward`."""
        states = self._backbone(self._combined(encoded, pert, batch))
        return self._st.project_out(states + encoded if self._st.predict_residual else states)

    def forward_published(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return relu(project_out(h)), the function whose Jacobians were published: the residual `+ cc` is missing.

        Another function than the model (46 % relative error in the Jacobian of an untrained one): to explain
        differences from the published numbers, and for nothing else.
        """
        return self._st.relu(self._st.project_out(self._backbone(self._combined(encoded, pert, batch))))

    def activations(self, encoded: Tensor, pert: Tensor, batch: Tensor, layer: int) -> Tensor:
        """Return the residual stream after `layer` (0 = its input, n_layers = its end, before the last norm)."""
        if not 0 <= layer <= self.n_layers:
            raise InputError(f"layer {layer}", f"0 (the input) to {self.n_layers} (the end)", where="layer")
        x = self._combined(encoded, pert, batch)
        if layer == 0:
            return x
        seen: list[Tensor] = []

        def keep(_module: nn.Module, _args: object, output: Any) -> None:
            seen.append(output[0] if isinstance(output, tuple) else output)

        handle = self._st.transformer_backbone.layers[layer - 1].register_forward_hook(keep)
        try:
            self._backbone(x)
        finally:
            handle.remove()
        return seen[0]

    def _combined(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        x = pert[:, None, :] + encoded
        return x if self._st.batch_encoder is None else x + self._st.batch_encoder(batch)

    def _backbone(self, x: Tensor) -> Tensor:
        return self._st.transformer_backbone(inputs_embeds=x).last_hidden_state
