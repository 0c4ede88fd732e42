from __future__ import annotations

import torch

from jacprobe.models.weights import weights_sha256

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


def test_the_hash_is_stable():
    # Fixed, since ledgers of different times are compared by it.
    assert weights_sha256(STATE) == "fdc9b0a371e098f80b1831d7c8211d965b772f5c7bba9e26e90bd35b33ad56ad"


def test_order_and_memory_layout_do_not_matter():
    reordered = {"b": STATE["b"], "a": STATE["a"].T.contiguous().T}
    assert weights_sha256(reordered) == weights_sha256(STATE)


def test_every_name_shape_dtype_and_bit_matters():
    changed = [
        {"a": STATE["a"], "c": STATE["b"]},
        {"a": STATE["a"].reshape(3, 2), "b": STATE["b"]},
        {"a": STATE["a"], "b": STATE["b"].to(torch.int32)},
        {"a": STATE["a"], "b": torch.tensor([1.0, 1.0 + 2**-23])},
        {"a": STATE["a"]},
    ]
    assert len({weights_sha256(state) for state in [STATE, *changed]}) == 6


def test_scalars_and_narrow_types_have_hashes():
    assert weights_sha256({"x": torch.tensor(1.0)}) != weights_sha256({"x": torch.tensor([1.0])})
    assert weights_sha256({"x": torch.ones(3, dtype=torch.bfloat16)}) != weights_sha256({"x": torch.ones(3)})
