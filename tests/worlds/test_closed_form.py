"""The closed form is what its docstring says: a model of every capability, with Jacobians that can be written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fixtures.worlds.effects import NOTHING, PLANTED
from fixtures.worlds.plan import GENES, KNOCKDOWNS
from fixtures.worlds.planted import world
from jacprobe.models import protocol

ROLE = "fewshot/hepg2"
WORLDS = {
    "planted": PLANTED,
    "structureless": NOTHING,
    "half shut": replace(PLANTED, low=0.5, dead=0.1, panel_low=True, noise=1.0),
}


@pytest.fixture(scope="module", params=WORLDS)
def subject(request):
    """Model in float64, cells [S, G], and vectors [K, D]: some knockdowns', and one that no knockdown has."""
    of_effects = world(effects=WORLDS[request.param])
    model = of_effects.model(ROLE).to(dtype=torch.float64)
    cells = torch.tensor(of_effects.control_cells(ROLE).values)
    vectors = model.pert_vectors(torch.tensor([0, 70, 120, len(KNOCKDOWNS)]))
    elsewhere = 0.3 * torch.randn(1, model.latent_dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return model, cells, torch.cat([vectors, elsewhere])


def mean_prediction(model, cells, p):
    return model.forward(cells[None], p[None], torch.zeros(1, len(cells), dtype=torch.long))[0].mean(dim=0)


def state(model, cells, p):
    """t, contexts, open shares, and every map in its context, as the docstring names them."""
    t = cells.mean(dim=0) - model.expected
    c = torch.cat([torch.ones(1, dtype=t.dtype), torch.tanh(t @ model.contexts)])
    A, M, N, V = (
        torch.tensordot(c, maps, 1) for maps in (model.inputs, model.responses, model.routing, model.sensitivity)
    )
    gain = p @ model.gate - model.level
    sensed = (t @ model.regulators.T) * (p @ V)
    z = cells + model.offset + t @ A + p @ M + gain * (p @ N) + sensed @ model.targets
    return t, c, A, M, N, V, gain, z


def test_the_prediction_is_the_formula(subject):
    model, cells, vectors = subject
    for p in vectors:
        z = state(model, cells, p)[-1]
        torch.testing.assert_close(mean_prediction(model, cells, p), z.relu().mean(dim=0), rtol=1e-12, atol=1e-12)


def test_the_jacobian_by_the_perturbation_is_the_formula(subject):
    model, cells, vectors = subject
    for p in vectors:
        t, _, _, M, N, V, gain, z = state(model, cells, p)
        through_panels = model.targets.T @ torch.diag(t @ model.regulators.T) @ V.T
        J = M.T + gain * N.T + torch.outer(p @ N, model.gate) + through_panels
        J = (z > 0).double().mean(dim=0)[:, None] * J
        autograd = torch.autograd.functional.jacobian(lambda q: mean_prediction(model, cells, q), p)
        torch.testing.assert_close(J, autograd, rtol=1e-9, atol=1e-9)


def test_the_jacobian_by_the_cells_is_the_formula(subject):
    model, cells, vectors = subject
    for p in vectors:
        t, c, A, _, _, V, gain, z = state(model, cells, p)
        J = torch.eye(len(t), dtype=t.dtype) + A + model.regulators.T @ torch.diag(p @ V) @ model.targets
        for r in range(model.contexts.shape[1]):
            u = t @ model.regulators.T
            by_context = t @ model.inputs[1 + r] + p @ model.responses[1 + r] + gain * (p @ model.routing[1 + r])
            by_context = by_context + (u * (p @ model.sensitivity[1 + r])) @ model.targets
            J = J + torch.outer(model.contexts[:, r] * (1 - c[1 + r] ** 2), by_context)
        J = (z > 0).double().mean(dim=0)[:, None] * J.T
        autograd = torch.autograd.functional.jacobian(
            lambda shift, p=p: mean_prediction(model, cells + shift, p), torch.zeros_like(t)
        )
        torch.testing.assert_close(J, autograd, rtol=1e-9, atol=1e-9)


def test_every_knockdown_passes_the_gate_at_its_level_so_that_its_routing_moves_nothing(subject):
    model, _, _ = subject
    vectors = model.pert_vectors(torch.arange(len(KNOCKDOWNS)))
    np.testing.assert_allclose(vectors @ model.gate, model.level, atol=1e-6)


def test_the_layers_are_the_formula(subject):
    model, cells, vectors = subject
    batch = torch.zeros(1, len(cells), dtype=torch.long)
    _, c, *_ = state(model, cells, vectors[0])
    U = torch.tensordot(c, model.layers, 1)
    base = cells @ model.cells_to_layers
    for layer in range(model.n_layers + 1):
        found = model.activations(cells[None], vectors[:1], batch, layer)[0]
        wanted = base + (vectors[0] if layer == 0 else layer / model.n_layers * (vectors[0] @ U))
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "capability",
    ["PerturbationModel", "DifferentiableInPert", "Rectified", "LinearPertEncoder", "Castable", "HasLayers"],
)
def test_the_closed_form_and_its_copies_have_every_capability(capability):
    planted = world()
    for role in (ROLE, f"{ROLE}#untrained-0", f"{ROLE}#random-body-1"):
        assert isinstance(planted.model(role), getattr(protocol, capability))


def test_the_latent_space_is_as_wide_as_the_cells_so_that_one_width_serves_both_jacobians():
    assert world().model(ROLE).latent_dim == len(GENES)


def test_a_number_does_not_depend_on_where_in_a_pass_it_stands():
    model = world().model(ROLE)
    cells = torch.tensor(world().control_cells(ROLE).values, dtype=torch.float32).expand(32, -1, -1)
    batch = torch.zeros(32, cells.shape[1], dtype=torch.long)
    vectors = model.pert_vectors(torch.arange(32))
    there, back = model.forward(cells, vectors, batch), model.forward(cells, vectors.flip(0), batch).flip(0)
    assert torch.equal(there, back)


def test_other_weights_have_another_hash_and_the_same_ones_the_same():
    once, again = (world().model(ROLE).weights_sha256 for _ in range(2))
    assert once == again
    others = {world(seed=1).model(ROLE).weights_sha256, world().model(f"{ROLE}#untrained-0").weights_sha256}
    assert len(others | {once}) == 3


def test_the_published_forward_leaves_out_the_cells_and_nothing_else():
    of_effects = world()
    model = of_effects.model(ROLE).to(dtype=torch.float64)
    cells = torch.tensor(of_effects.control_cells(ROLE).values)[None]
    pert, batch = model.pert_vectors(torch.tensor([3])), torch.zeros(1, cells.shape[1], dtype=torch.long)
    without = (model.preactivation(cells, pert, batch) - cells).relu()
    torch.testing.assert_close(model.forward_published(cells, pert, batch), without, rtol=1e-10, atol=1e-10)
