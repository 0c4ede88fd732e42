"""Controls: the same architecture with re-drawn weights, or with its one-hot labels permuted."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeVar

import torch
from torch import nn

from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.models.protocol import HasModule, PerturbationModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

What = Literal["all", "body", "pert_encoder"]
_ENCODER = "pert_encoder"


class Redrawable(HasModule, PerturbationModel, Protocol):
    """A model that can be built anew, untrained, and rebuilt around other weights."""

    def fresh_module(self, seed: int) -> nn.Module:
        """Return an untrained module of the same hyperparameters, drawn by the architecture's own init law."""
        ...

    def with_module(self, module: nn.Module, note: str) -> Self:
        """Return the same model around other weights, under their own hash."""
        ...


ModelT = TypeVar("ModelT", bound=Redrawable)


def randomise(model: ModelT, what: What = "all", seed: int = 0) -> ModelT:
    """Return a copy of a model with weights re-drawn by the architecture's own init law.

    Every parameter of the chosen part is drawn anew as the class draws it before training: norms and bare parameters
    too. The original is left as it is.

    Parameters
    ----------
    model
        The trained model.
    what
        "all" parameters; "pert_encoder" alone; or the "body", everything but the `pert_encoder`.
    seed
        Of the draw. The parts drawn with one seed are those of one untrained model.

    Raises
    ------
    InputError
        Where `what` is none of the three, or names a part that the model does not have.
    """
    if what not in ("all", "body", "pert_encoder"):
        raise InputError(f"what = {what!r}", "'all', 'body' or 'pert_encoder'", where="randomise")
    _require_module(model)
    trained, drawn = model.module.state_dict(), model.fresh_module(seed).state_dict()
    chosen = {name for name in trained if what == "all" or _in_encoder(name) == (what == "pert_encoder")}
    if what != "all" and not any(_in_encoder(name) for name in trained):
        raise CapabilityMissingError(
            f"no submodule {_ENCODER}", "a model with one", "Use what='all'", where="randomise"
        )
    state = {name: drawn[name] if name in chosen else weight for name, weight in trained.items()}
    return model.with_module(_rebuilt(model, state), f"{what} re-drawn, seed {seed}")


def permute_onehot(model: ModelT, seed: int = 0) -> ModelT:
    """Return a copy of a model whose knockdowns have swapped their one-hot labels at random.

    The input columns of the pert encoder are permuted among the knockdowns; the control keeps its own, so that
    responses are still measured against it. Geometry stays the same up to names: the control for claims in which names
    meet outside knowledge. The original is left as it is.

    Parameters
    ----------
    model
        The trained model.
    seed
        Of the permutation.

    Raises
    ------
    InputError
        Where no linear layer of the pert encoder takes the one-hot vectors.
    """
    _require_module(model)
    name = _onehot_weight(model)
    knockdowns = torch.tensor([i for i, kd in enumerate(model.perturbations) if kd != model.control])
    order = torch.arange(len(model.perturbations))
    generator = torch.Generator().manual_seed(seed)
    order[knockdowns] = knockdowns[torch.randperm(len(knockdowns), generator=generator)]
    state = dict(model.module.state_dict())
    state[name] = state[name][:, order.to(state[name].device)]
    return model.with_module(_rebuilt(model, state), f"one-hot labels permuted, seed {seed}")


def _require_module(model: object) -> None:
    if not isinstance(model, HasModule):
        raise CapabilityMissingError(
            f"{type(model).__name__}, whose weights cannot be drawn anew",
            "a model with module, with_module and fresh_module",
            where="model",
        )


def _rebuilt(model: Redrawable, state: Mapping[str, Tensor]) -> nn.Module:
    module = deepcopy(model.module)
    module.load_state_dict({name: weight.to(model.device, copy=True) for name, weight in state.items()}, strict=True)
    return module


def _in_encoder(name: str) -> bool:
    return name.split(".", 1)[0] == _ENCODER


def _onehot_weight(model: Redrawable) -> str:
    for name, layer in model.module.named_modules():
        if _in_encoder(name) and isinstance(layer, nn.Linear) and layer.in_features == len(model.perturbations):
            return f"{name}.weight"
    raise CapabilityMissingError(
        f"no linear layer of {_ENCODER} with {len(model.perturbations)} inputs",
        "one-hot perturbations",
        where="permute_onehot",
    )
