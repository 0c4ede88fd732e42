"""Every engine on tensors without storage, where a tensor left on the CPU raises."""

from __future__ import annotations

import pytest
import torch

from fixtures.elsewhere import fake_cuda, move, strict_meta
from jacprobe.jacobian.blocks import recognise
from jacprobe.jacobian.gemm import Gemm
from jacprobe.jacobian.generic import jacobian_autograd, jacobian_by_cells, jacobian_generic
from jacprobe.jacobian.local import local_jacobian, local_prediction

SHAPES = [{"gated": False, "bias": True}, {"head_dim": 4, "head_layers": 2}]


def arguments(model, device):
    """Three sets of five cells."""
    encoded = torch.empty(3, 5, 12, device=device, dtype=model.dtype)
    return (
        encoded,
        torch.empty(3, 12, device=device, dtype=model.dtype),
        torch.empty(3, 5, device=device, dtype=torch.long),
    )


@pytest.fixture(params=SHAPES, ids=str)
def given(tiny, request):
    model = tiny(dtype=torch.float32, **request.param)
    with fake_cuda():
        move(model.module, "cuda")
        yield model, *arguments(model, "cuda")


def test_a_tensor_left_on_the_cpu_is_found(given):
    with pytest.raises(RuntimeError, match="device"):
        torch.matmul(given[1], torch.empty(12, 12))
    with strict_meta(), pytest.raises(RuntimeError, match="cpu, meta"):
        torch.matmul(torch.empty(12, 12, device="meta"), torch.empty(12, 12))


def test_local_rules_stay_on_the_device(given):
    model, *args = given
    blocks = recognise(model)
    found = local_jacobian(blocks, Gemm(), *args, cells_at_once=5)
    assert (found.jacobian.device.type, found.jacobian.shape) == ("cuda", (3, 23, 12))
    assert {x.device.type for x in (found.near_kink, found.response, local_prediction(blocks, *args))} == {"cuda"}


def test_forward_mode_stays_on_the_device(given):
    model, *args = given
    found = jacobian_generic(model.forward, *args, chunk=5)
    assert (found.device.type, found.shape) == ("cuda", (3, 23, 12))


def test_forward_mode_over_cells_stays_on_the_device(given):
    model, *args = given
    found = jacobian_by_cells(model.forward, *args, chunk=5)
    assert (found.device.type, found.shape) == ("cuda", (3, 23, 12))


def test_the_published_call_stays_on_the_device(tiny):
    model = tiny(dtype=torch.float32)
    with strict_meta():
        move(model.module, "meta")
        found = jacobian_autograd(model.forward, *arguments(model, "meta"))
    assert (found.device.type, found.shape) == ("meta", (3, 23, 12))
