from __future__ import annotations

import pytest
import torch

from jacprobe.jacobian.generic import jacobian_autograd, jacobian_generic, tangents


@pytest.fixture
def given(tiny, cells):
    model = tiny(causal=True, gated=False)
    encoded = model.encode_cells(torch.stack([cells, 2 * cells])).detach()
    return model, encoded, model.pert_vectors(torch.tensor([1, 4])).detach(), torch.zeros(2, 5, dtype=torch.long)


def rows(model, encoded, pert, batch):
    p = pert.clone().requires_grad_()
    mean = model.forward(encoded, p, batch).mean(dim=1)
    sets = range(len(pert))
    return torch.stack(
        [torch.stack([torch.autograd.grad(y, p, retain_graph=True)[0][b] for y in mean[b]]) for b in sets]
    )


@pytest.mark.parametrize("chunk", [1, 5, 12, 100])
def test_forward_mode_equals_reverse_mode_row_by_row(given, chunk):
    model, *args = given
    torch.testing.assert_close(
        jacobian_generic(model.forward, *args, chunk=chunk), rows(model, *args), rtol=1e-12, atol=1e-14
    )


def test_the_published_call_gives_the_same(given):
    model, *args = given
    exact = rows(model, *args)
    torch.testing.assert_close(jacobian_autograd(model.forward, *args), exact, rtol=1e-12, atol=1e-14)
    part = jacobian_autograd(model.forward, *args, rows=slice(3, 9))
    torch.testing.assert_close(part, exact[:, 3:9], rtol=1e-12, atol=1e-14)


def test_tangents_are_the_jacobian_along_directions(given):
    model, *args = given
    directions = torch.eye(12, dtype=torch.float64)[:3] * 2.5
    mean, slopes = tangents(model.forward, *args, directions=directions)
    torch.testing.assert_close(mean, model.forward(*args).mean(dim=1))
    torch.testing.assert_close(slopes.movedim(0, -1), 2.5 * rows(model, *args)[..., :3], rtol=1e-12, atol=1e-14)
