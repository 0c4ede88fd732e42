"""Every engine, and arc-state's own modules, on tensors without storage, where one left on the CPU raises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fixtures.elsewhere import fake_cuda, move, strict_meta
from fixtures.run_folders import Shape, write_run_folder
from jacprobe.jacobian.blocks import recognise
from jacprobe.jacobian.gemm import Gemm
from jacprobe.jacobian.generic import jacobian_autograd, jacobian_by_cells, jacobian_generic
from jacprobe.jacobian.local import local_jacobian
from jacprobe.models.state import load_run
from jacprobe.probes.features import mean_features
from jacprobe.probes.knockout import silenced_responses
from jacprobe.probes.response import predictions

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
    found = local_jacobian(recognise(model), Gemm(), *args, cells_at_once=5)
    assert (found.jacobian.device.type, found.jacobian.shape) == ("cuda", (3, 23, 12))
    assert {x.device.type for x in (found.near_kink, found.response)} == {"cuda"}


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


@pytest.fixture
def arc_state(tmp_path) -> Any:
    """arc-state's own modules on the fake device; 256 cells fill a pass, so that no bits have to be compared."""
    shape = Shape(head_dim=4, cell_set_len=256)
    model = load_run(write_run_folder(tmp_path, shape, rng=np.random.default_rng(0)))
    assert not list(model.module.buffers())
    with fake_cuda():
        move(model.module, "cuda")
        model.device = torch.device("cuda")
        yield model


def test_arc_states_modules_stay_on_the_device(arc_state):
    model, genes = arc_state, len(arc_state.genes)
    cells, encoded = torch.empty(256, genes, device="cuda"), torch.empty(1, 256, 16, device="cuda")
    batch = torch.empty(1, 256, device="cuda", dtype=torch.long)
    vectors = model.pert_vectors(torch.empty(2, device="cuda", dtype=torch.long))
    blocks = recognise(model)
    found = {
        "prediction": predictions(model, cells, batch[0])(torch.empty(1, device="cuda", dtype=torch.long)),
        "step": model.predict_step(cells[None], batch[:, 0], batch),
        "generic": jacobian_generic(model.forward, encoded, vectors[:1], batch, chunk=5),
        "local": local_jacobian(blocks, Gemm(), encoded, vectors[:1], batch, cells_at_once=9).jacobian,
        "features": mean_features(model, encoded[0], vectors, batch[0], 1, None),
        "knockout": silenced_responses(model, cells, cells[0], vectors[0], batch[0], [3]),
    }
    assert {name: (x.device.type, tuple(x.shape)) for name, x in found.items()} == {
        "prediction": ("cuda", (1, 256, genes)),
        "step": ("cuda", (1, 256, genes)),
        "generic": ("cuda", (1, genes, 16)),
        "local": ("cuda", (1, genes, 16)),
        "features": ("cuda", (2, 16)),
        "knockout": ("cuda", (1, genes)),
    }
