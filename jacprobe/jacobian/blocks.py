"""Recognise the blocks whose derivative is known in closed form, by their parts, and fold their weights.

Recognition reads structure only (submodules and attributes), never class names; that the rules really are those of the
model is then checked against the model itself (`jacprobe.jacobian.engine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from jacprobe.models.protocol import DifferentiableInPert

Part = TypeVar("Part", bound=nn.Module)


class Unrecognised(Exception):  # noqa: N818 (control flow inside the engine, never seen by users)
    """A block for which there is no local rule; the message says which and why."""


class Affine(NamedTuple):
    """y = W x + b."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map to the last axis."""
        return nn.functional.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class Attention:
    """Multi-head attention without positions or mask, norm weight and scale folded in: q, k [H*d, D], v, o."""

    heads: int
    q: Affine
    k: Affine
    v: Affine
    o: Affine


@dataclass(frozen=True)
class Mlp:
    """down(act(gate n) * (up n)), or down(act(up n)) where `gate` is None; norm weight folded in."""

    gate: Affine | None
    up: Affine
    down: Affine
    act: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Layer:
    """x += attention(rms(x)); x += mlp(rms(x)), each norm with its own eps."""

    attention_eps: float
    attention: Attention
    mlp_eps: float
    mlp: Mlp


@dataclass(frozen=True)
class Blocks:
    """A recognised model: y = head(rms(layers(encoded + pert + batch)) + encoded), all weights folded.

    Attributes
    ----------
    layers
        The residual layers, first to last.
    norm_eps, norm_weight
        The final RMSNorm.
    head
        Affine maps and elementwise functions from the latent space to the genes, in order.
    residual
        Whether the encoded cells are added before the head.
    batch
        Embedding of the batch, or None.
    """

    layers: tuple[Layer, ...]
    norm_eps: float
    norm_weight: Tensor
    head: tuple[Affine | Callable[[Tensor], Tensor], ...]
    residual: bool
    batch: nn.Embedding | None


def recognise(model: DifferentiableInPert, residual: bool = True) -> Blocks:
    """Return the model's blocks with folded weights (copies, about as large as the model).

    Raises
    ------
    Unrecognised
        The model is not made of blocks with a local rule.
    """
    module = getattr(model, "module", None)
    if not isinstance(module, nn.Module):
        raise Unrecognised("the model holds no torch module")
    backbone = _part(module, "transformer_backbone", nn.Module)
    stack = _part(backbone, "layers", nn.ModuleList)
    norm = _part(backbone, "norm", nn.Module)
    batch = getattr(module, "batch_encoder", None)
    if batch is not None and not isinstance(batch, nn.Embedding):
        raise Unrecognised("batch_encoder is no embedding")
    relu = getattr(module, "relu", None)
    tail = [] if relu is None else [relu]
    with torch.no_grad():
        return Blocks(
            layers=tuple(_layer(layer) for layer in stack),
            norm_eps=_eps(norm),
            norm_weight=_weight(norm),
            head=tuple(_head([*_steps(_part(module, "project_out", nn.Module)), *tail])),
            residual=residual and bool(getattr(module, "predict_residual", True)),
            batch=batch,
        )


def _part(owner: nn.Module, name: str, kind: type[Part]) -> Part:
    found = getattr(owner, name, None)
    if not isinstance(found, kind):
        raise Unrecognised(f"{type(owner).__name__} has no {kind.__name__} named {name}")
    return found


def _eps(norm: nn.Module) -> float:
    eps = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
    if not isinstance(eps, float) or getattr(norm, "bias", None) is not None:
        raise Unrecognised(f"{type(norm).__name__} is no RMSNorm (weight and eps, no bias)")
    return eps


def _weight(norm: nn.Module) -> Tensor:
    weight = getattr(norm, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.dim() != 1:
        raise Unrecognised(f"{type(norm).__name__} has no weight vector")
    return weight.detach()


def _affine(owner: nn.Module, name: str, columns: Tensor | None = None, scale: float = 1.0, repeat: int = 1) -> Affine:
    """Return a Linear with `columns` folded into its input and `scale` into its output, heads of 'repeat' queries."""
    linear = _part(owner, name, nn.Linear)
    weight = linear.weight.detach() * scale
    bias = _bias(linear)
    bias = None if bias is None else bias * scale
    if columns is not None:
        weight = weight * columns
    if repeat > 1:
        head = _head_dim(owner)
        weight = weight.unflatten(0, (-1, head)).repeat_interleave(repeat, dim=0).flatten(0, 1)
        bias = None if bias is None else bias.unflatten(0, (-1, head)).repeat_interleave(repeat, dim=0).flatten()
    return Affine(weight.contiguous(), bias)


def _bias(linear: nn.Linear) -> Tensor | None:
    found: Tensor | None = linear.bias  # nn.Linear declares it as always there
    return None if found is None else found.detach()


def _head_dim(attention: nn.Module) -> int:
    head = getattr(attention, "head_dim", None)
    if not isinstance(head, int):
        raise Unrecognised(f"{type(attention).__name__} does not say its head_dim")
    return head


def _layer(layer: nn.Module) -> Layer:
    first, second = _part(layer, "input_layernorm", nn.Module), _part(layer, "post_attention_layernorm", nn.Module)
    return Layer(
        attention_eps=_eps(first),
        attention=_attention(_part(layer, "self_attn", nn.Module), _weight(first)),
        mlp_eps=_eps(second),
        mlp=_mlp(_part(layer, "mlp", nn.Module), _weight(second)),
    )


def _attention(module: nn.Module, norm: Tensor) -> Attention:
    head = _head_dim(module)
    queries, keys = (_part(module, name, nn.Linear).out_features for name in ("q_proj", "k_proj"))
    if queries % head or keys % head or queries % keys:
        raise Unrecognised(f"{queries} query and {keys} key rows do not divide into heads of {head}")
    scale = getattr(module, "scaling", head**-0.5)
    return Attention(
        heads=queries // head,
        q=_affine(module, "q_proj", norm, scale),
        k=_affine(module, "k_proj", norm, repeat=queries // keys),
        v=_affine(module, "v_proj", norm, repeat=queries // keys),
        o=_affine(module, "o_proj"),
    )


def _mlp(module: nn.Module, norm: Tensor) -> Mlp:
    act = getattr(module, "act_fn", getattr(module, "act", None))
    if not isinstance(act, nn.Module):
        raise Unrecognised(f"{type(module).__name__} has no activation named act_fn or act")
    gated = getattr(module, "gate_proj", None) is not None
    return Mlp(
        gate=_affine(module, "gate_proj", norm) if gated else None,
        up=_affine(module, "up_proj", norm),
        down=_affine(module, "down_proj"),
        act=act,
    )


def _steps(module: nn.Module) -> list[nn.Module]:
    return list(module) if isinstance(module, nn.Sequential) else [module]


def _head(steps: list[nn.Module]) -> Iterator[Affine | Callable[[Tensor], Tensor]]:
    for step in steps:
        if isinstance(step, nn.Linear):
            yield Affine(step.weight.detach(), _bias(step))
        elif isinstance(step, nn.Dropout):
            if step.training and step.p > 0:
                raise Unrecognised("dropout is active: the model is in training mode")
        elif next(step.parameters(), None) is None and next(step.children(), None) is None:
            yield step
        else:
            raise Unrecognised(f"the head holds a {type(step).__name__}")
