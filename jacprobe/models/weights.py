"""The identity of a set of weights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping


def weights_sha256(state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over names, dtypes, shapes and bytes of tensors.

    The order of the mapping, the device and the memory layout do not matter; every name, shape, dtype and bit does.

    Parameters
    ----------
    state
        Tensors by name, such as a module's `state_dict()`.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        shape = ",".join(map(str, tensor.shape))
        # Names may hold any character but are length-prefixed, so that no two states spell the same stream.
        digest.update(f"{len(name)}:{name}|{tensor.dtype}|{shape}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
