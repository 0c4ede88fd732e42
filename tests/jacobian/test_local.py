from __future__ import annotations

import pytest
import torch
from torch import nn

from jacprobe.jacobian.blocks import Unrecognised, recognise
from jacprobe.jacobian.gemm import Gemm
from jacprobe.jacobian.local import KINK, local_jacobian

SHAPES = {
    "gated, no biases": {},
    "plain mlp with biases": {"gated": False, "bias": True},
    "more cells than head dimensions": {"head_dim": 3},
    "keys shared by heads": {"groups": 1},
    "a head of three layers": {"head_layers": 3},
    "no residual": {"predict_residual": False},
    "one layer": {"layers": 1},
}


def sets(model, cells, n=2):
    """Encoded cells, perturbation vectors and batches of n sets; the cells differ between sets."""
    x = model.encode_cells(torch.stack([cells.roll(i, 0) * (1 + i) for i in range(n)]).to(model.dtype)).detach()
    batch = torch.arange(x.shape[1]).remainder(len(model.batches)).expand(n, -1)
    return x, model.pert_vectors(torch.arange(n)).detach(), batch


def reverse_mode(model, encoded, pert, batch):
    """Row by row, set by set: the slow reference."""
    found = []
    for x, p, b in zip(encoded, pert, batch, strict=True):
        p = p.clone().requires_grad_()
        mean = model.forward(x[None], p[None], b[None])[0].mean(dim=0)
        found.append(torch.stack([torch.autograd.grad(y, p, retain_graph=True)[0] for y in mean]))
    return torch.stack(found)


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("way", ["torch", "numpy"])
def test_local_rules_equal_reverse_mode_row_by_row(tiny, cells, changes, way):
    model = tiny(**changes)
    given = sets(model, cells)
    exact = reverse_mode(model, *given)
    found = local_jacobian(recognise(model), Gemm(way), *given, cells_at_once=3)
    assert float((found.jacobian - exact).norm() / exact.norm()) < 1e-13
    torch.testing.assert_close(found.response, model.forward(*given).mean(dim=1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("residual", [True, False])
def test_local_rules_equal_central_differences_away_from_kinks(tiny, cells, residual):
    model = tiny()
    if not residual:
        model.module.predict_residual = False
    encoded, pert, batch = sets(model, cells, n=1)
    found = local_jacobian(recognise(model), Gemm(), encoded, pert, batch)
    h = 1e-5
    steps = h * torch.eye(pert.shape[1], dtype=pert.dtype)
    differences = [model.forward(encoded, pert + v, batch) - model.forward(encoded, pert - v, batch) for v in steps]
    slopes = torch.stack([difference.mean(dim=1)[0] for difference in differences], dim=1) / (2 * h)
    z = preactivation(model, encoded, pert, batch)
    smooth = (z.abs() > 1e-3).all(dim=(0, 1))
    assert smooth.sum() > 10
    difference = (found.jacobian[0] - slopes)[smooth]
    assert float(difference.norm() / slopes[smooth].norm()) < 1e-8


def preactivation(model, encoded, pert, batch):
    relu, model.module.relu = model.module.relu, nn.Identity()
    z = model.forward(encoded, pert, batch)
    model.module.relu = relu
    return z


def test_how_many_cells_share_a_product_is_a_matter_of_rounding(tiny, cells):
    model = tiny(dtype=torch.float32)
    given = sets(model, cells, n=1)
    one, all_ = (local_jacobian(recognise(model), Gemm(), *given, cells_at_once=n).jacobian for n in (1, 5))
    torch.testing.assert_close(one, all_, rtol=1e-5, atol=1e-6)


def test_a_gene_shut_in_every_cell_has_a_row_of_exact_zeros(tiny, cells):
    model = tiny()
    model.module.head.bias[3] = -1e3
    found = local_jacobian(recognise(model), Gemm(), *sets(model, cells))
    assert not found.jacobian[:, 3].any()
    assert found.jacobian[:, 4].any()


def test_genes_near_a_kink_are_named(tiny, cells):
    model = tiny()
    given = sets(model, cells, n=1)
    z = preactivation(model, *given)
    model.module.head.bias[7] -= z[0, 2, 7].detach() - KINK / 2
    near = local_jacobian(recognise(model), Gemm(), *given).near_kink
    assert near[0, 7]
    assert int(near.sum()) == 1


def without_module(model):
    del model.module


def without_backbone(model):
    model.module.transformer_backbone = nn.Identity()


def with_layer_norm(model):
    model.module.transformer_backbone.norm = nn.LayerNorm(12)


def with_dropout_on(model):
    model.module.project_out.train()


def with_adapters(model):
    model.module.transformer_backbone.layers[0].mlp.up_proj = nn.Sequential(nn.Linear(12, 20))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_module, "no torch module"),
        (without_backbone, "Identity has no ModuleList named layers"),
        (with_layer_norm, "LayerNorm is no RMSNorm"),
        (with_dropout_on, "training mode"),
        (with_adapters, "Mlp has no Linear named up_proj"),
    ],
)
def test_what_is_not_recognised_says_why(tiny, spoil, message):
    model = tiny(head_layers=2)
    spoil(model)
    with pytest.raises(Unrecognised, match=message):
        recognise(model)
