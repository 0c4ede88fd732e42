"""A float64 forward that is float64 all the way.

Llama's RMSNorm and its eager softmax cast to float32 and back, so that `.double()` alone leaves errors of 1e-7 in the
activations and of 1e-3 in central differences. Here both are replaced by functions of the same formula that keep the
dtype. The weights, and everything else, stay the model's own; float32 models are left as they are. The rotary angles of
a causal build keep the float32 precision that transformers computes them in: they are constants of that model.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

_ATTENTION = "jacprobe_float64"


class RMSNorm(nn.Module):
    """x / sqrt(mean x² + eps) * weight, in the dtype of x (Zhang and Sennrich 2019)."""

    def __init__(self, weight: nn.Parameter, eps: float) -> None:
        super().__init__()
        self.weight = weight
        self.variance_epsilon = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised x: [..., D] -> [..., D]."""
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def to_float64(module: nn.Module) -> nn.Module:
    """Return a float64 copy of a State module whose norms and softmax do not cast down."""
    copy = deepcopy(module).double()
    backbone: Any = copy.transformer_backbone
    for name, child in list(backbone.named_modules()):
        if type(child).__name__ == "LlamaRMSNorm":
            parent, _, attribute = name.rpartition(".")
            setattr(backbone.get_submodule(parent), attribute, RMSNorm(child.weight, child.variance_epsilon))
    _register_attention()
    backbone.config._attn_implementation = _ATTENTION
    return copy


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float, **_: object
) -> tuple[Tensor, Tensor]:
    """Return softmax(q kᵀ scaling + mask) v in the dtype of q: [B, H, S, d] -> [B, S, H, d], and the weights."""
    groups = module.num_key_value_groups
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    logits = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        logits = logits + attention_mask
    weights = logits.softmax(dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def _register_attention() -> None:
    """Make the attention known to transformers, which looks implementations up by name; other names are untouched."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, _attention)
    try:
        from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
    except ImportError:
        return  # before 4.53 masks do not depend on the implementation
    ALL_MASK_ATTENTION_FUNCTIONS.register(_ATTENTION, eager_mask)
