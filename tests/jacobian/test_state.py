"""The engines on arc-state's own modules, of small and of the published shape cut to two layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fixtures.run_folders import PUBLISHED, Shape, random_cells, write_run_folder
from jacprobe.jacobian.blocks import recognise
from jacprobe.jacobian.gemm import Gemm, choose
from jacprobe.jacobian.local import KINK, local_jacobian
from jacprobe.models.state import load_run
from jacprobe.probes.routing import jacobian_wrt_pert
from jacprobe.probes.sets import encode


def loaded(folder, shape, **options):
    return load_run(write_run_folder(folder, shape, rng=np.random.default_rng(0)), **options)


def reverse_mode(model, cells, kd, rows, residual="model"):
    """Gene by gene in float64, through arc-state's own modules."""
    prepared = encode(model, cells)
    forward = model.forward if residual == "model" else model.forward_published
    p = prepared.vectors[model.perturbations.index(kd)][None].clone().requires_grad_()
    Y = forward(prepared.encoded[None], p, prepared.batch[None])[0].mean(dim=0)
    return torch.stack([torch.autograd.grad(Y[row], p, retain_graph=True)[0][0] for row in rows]).numpy()


@pytest.mark.parametrize("engine", ["auto", "local", "generic", "autograd"])
@pytest.mark.parametrize("residual", ["model", "published"])
def test_every_engine_equals_reverse_mode_through_arc_states_modules(tmp_path, engine, residual):
    shape = Shape(head_dim=4, cell_set_len=9)
    model = loaded(tmp_path, shape, dtype="float64")
    cells = random_cells(shape, np.random.default_rng(1))
    J = jacobian_wrt_pert(model, cells, ["GENE2"], engine=engine, residual=residual)
    exact = reverse_mode(model, cells, "GENE2", range(shape.genes), residual)
    assert np.linalg.norm(J[0] - exact) <= 1e-12 * np.linalg.norm(exact)
    assert J.attrs["engine"] == {"auto": "local"}.get(engine, engine)


def test_a_causal_model_gets_the_generic_engine_and_the_right_jacobian(tmp_path):
    shape = Shape()
    model = loaded(tmp_path, shape, dtype="float64", mask="causal")
    cells = random_cells(shape, np.random.default_rng(1))
    J = jacobian_wrt_pert(model, cells, ["GENE2"])
    assert (J.attrs["engine"], "differ from the model" in J.attrs["engine_why"]) == ("generic", True)
    exact = reverse_mode(model, cells, "GENE2", range(shape.genes))
    assert np.linalg.norm(J[0] - exact) <= 1e-12 * np.linalg.norm(exact)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    shape = replace(PUBLISHED, layers=2)
    cells = random_cells(shape, np.random.default_rng(1))
    model = loaded(tmp_path_factory.mktemp("run"), shape)
    found = local_jacobian(recognise(model), choose(model.device, model.dtype), *one_set(model, cells))
    return model, model.to(dtype="float64"), cells, found


def one_set(model, cells):
    prepared = encode(model, cells)
    return prepared.encoded[None], prepared.vectors[:1], prepared.batch[None]


@pytest.mark.slow
def test_fp32_at_the_published_width_is_exact_to_2e_6(published):
    _, double, cells, found = published
    exact = local_jacobian(recognise(double), Gemm(), *one_set(double, cells))
    keep = ~exact.near_kink[0]
    assert int((~keep).sum()) < 20
    difference = (found.jacobian[0].double() - exact.jacobian[0])[keep]
    assert float(difference.norm() / exact.jacobian[0][keep].norm()) <= 2e-6
    rows = keep.nonzero().squeeze(1)[:10].tolist()
    by_row = reverse_mode(double, cells, double.perturbations[0], rows)
    assert np.linalg.norm(exact.jacobian[0][rows].numpy() - by_row) <= 1e-12 * np.linalg.norm(by_row)


@pytest.mark.slow
def test_float64_equals_central_differences_away_from_kinks(published):
    _, double, cells, _ = published
    encoded, pert, batch = one_set(double, cells)
    rng = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(1, pert.shape[1], generator=rng, dtype=torch.float64))
    slope = local_jacobian(recognise(double), Gemm(), encoded, pert, batch).jacobian[0] @ direction[0]
    h = 1e-4
    with torch.no_grad():
        up, down = (double.forward(encoded, pert + step * direction, batch).mean(dim=1)[0] for step in (h, -h))
        z = double.preactivation(encoded, pert, batch)
    smooth = (z.abs() > 10 * h).all(dim=(0, 1)) & ~(z.abs() < KINK).any(dim=(0, 1))
    assert int(smooth.sum()) > 1000
    difference = ((up - down) / (2 * h) - slope)[smooth]
    assert float(difference.norm() / slope[smooth].norm()) <= 1e-8
