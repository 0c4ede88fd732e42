from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jacprobe.errors import InputError, JacprobeError
from jacprobe.jacobian import gemm, generic
from jacprobe.jacobian.engine import prepare
from jacprobe.jacobian.gemm import Gemm
from jacprobe.jacobian.generic import tangents

BATCH = torch.tensor([0, 1, 2, 0, 1])


def plain(model, entry=lambda pert: pert) -> Any:
    """Return a model that is no more than differentiable; `entry` acts on its perturbation vectors."""
    names = set(dir(model)) - {"module", "forward_published", "activations"}
    found = SimpleNamespace(**{name: getattr(model, name) for name in names if not name.startswith("_")})
    found.forward = lambda encoded, pert, batch: model.forward(encoded, entry(pert), batch)
    return found


@pytest.fixture
def exact(cells):
    def of(model, forward=None):
        p = model.pert_vectors(torch.tensor([2])).detach().requires_grad_()
        mean = (forward or model.forward)(model.encode_cells(cells)[None], p, BATCH[None])[0].mean(dim=0)
        return p.detach(), torch.stack([torch.autograd.grad(y, p, retain_graph=True)[0][0] for y in mean])

    return of


@pytest.mark.parametrize("name", ["auto", "local", "generic", "autograd"])
def test_every_engine_gives_the_same_jacobian(tiny, cells, exact, name):
    model = tiny()
    pert, wanted = exact(model)
    engine = prepare(model, model.encode_cells(cells), BATCH, engine=name)
    torch.testing.assert_close(engine(pert)[0], wanted, rtol=1e-11, atol=1e-13)
    assert engine.name == {"auto": "local"}.get(name, name)


def test_the_choice_stands_in_provenance(tiny, cells):
    engine = prepare(tiny(), tiny().encode_cells(cells), BATCH)
    assert engine.provenance["engine"] == "local"
    assert "verified against generic on 4 random directions" in engine.provenance["engine_why"]


@pytest.mark.parametrize(("name", "way"), [("local", "numpy"), ("generic", "onednn")])
def test_provenance_names_the_way_that_products_are_really_taken(tiny, cells, monkeypatch, name, way):
    found = (Gemm("torch", 90, 3e-7), Gemm("numpy", 220, 3e-7), Gemm("onednn", 190, 6e-7))
    monkeypatch.setattr(gemm, "probe", lambda: found)
    model = tiny(dtype=torch.float32)
    assert prepare(model, model.encode_cells(cells.float()), BATCH, engine=name).gemm.way == way


@pytest.mark.parametrize(
    ("changes", "reason"), [({"causal": True}, "differ from the model by"), ({}, "no local rules")]
)
def test_auto_falls_back_on_generic_and_says_so(tiny, cells, exact, changes, reason, caplog):
    model = tiny(**changes)
    if not changes:
        model.module.project_out.append(torch.nn.LayerNorm(23, dtype=torch.float64))
    pert, wanted = exact(model)
    with caplog.at_level(logging.WARNING):
        engine = prepare(model, model.encode_cells(cells), BATCH)
    assert engine.name == "generic"
    assert reason in engine.provenance["engine_why"]
    assert reason in caplog.text
    torch.testing.assert_close(engine(pert)[0], wanted, rtol=1e-11, atol=1e-13)


def test_local_by_name_is_refused_where_it_does_not_hold(tiny, cells):
    model = tiny(causal=True)
    with pytest.raises(InputError, match=r"engine 'local', but the local rules differ.*engine='auto'"):
        prepare(model, model.encode_cells(cells), BATCH, engine="local")


def test_the_published_function_leaves_the_residual_out(tiny, cells, exact):
    model = tiny()
    pert, wanted = exact(model, model.forward_published)
    for name in ("local", "generic", "autograd"):
        engine = prepare(model, model.encode_cells(cells), BATCH, engine=name, residual="published")
        torch.testing.assert_close(engine(pert)[0], wanted, rtol=1e-11, atol=1e-13)
    ours = prepare(model, model.encode_cells(cells), BATCH)(pert)[0]
    assert float((ours - wanted).norm() / wanted.norm()) > 0.01


def test_the_published_function_must_exist(tiny, cells):
    with pytest.raises(InputError, match="wanted a model with forward_published"):
        prepare(plain(tiny()), tiny().encode_cells(cells), BATCH, residual="published")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"engine": "fast"}, "engine 'fast'; wanted one of auto, local"), ({"residual": "none"}, "residual 'none'")],
)
def test_unknown_choices_are_refused(tiny, cells, arguments, message):
    with pytest.raises(InputError, match=message):
        prepare(tiny(), tiny().encode_cells(cells), BATCH, **arguments)


def test_a_model_without_perturbation_vectors_is_refused(tiny, cells):
    without_forward = plain(tiny())
    del without_forward.forward
    with pytest.raises(InputError, match="not differentiable in pert"):
        prepare(without_forward, tiny().encode_cells(cells), BATCH)


def test_a_model_that_detaches_is_refused(tiny, cells):
    model = plain(tiny(), lambda pert: pert.detach())
    with pytest.raises(InputError, match="its prediction moves, its derivative is 0"):
        prepare(model, model.encode_cells(cells), BATCH)


def test_a_model_that_ignores_the_perturbation_has_a_jacobian_of_zeros(tiny, cells):
    model = plain(tiny(), lambda pert: 0 * pert)
    assert not prepare(model, model.encode_cells(cells), BATCH, engine="generic")(torch.ones(1, 12).double()).any()


def test_an_operation_without_forward_derivative_is_named(tiny, cells):
    class NoForward(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    model = plain(tiny(), NoForward.apply)
    with pytest.raises(InputError, match="without forward derivative"):
        prepare(model, model.encode_cells(cells), BATCH)


def test_out_of_memory_shrinks_the_chunk_and_says_so_once(tiny, cells, exact, caplog, monkeypatch):
    model = tiny()
    pert, wanted = exact(model)
    engine = prepare(model, model.encode_cells(cells), BATCH, engine="generic")

    def allocate(forward, encoded, pert, batch, directions):
        if len(directions) > 4:
            raise torch.OutOfMemoryError("pretended")
        return tangents(forward, encoded, pert, batch, directions)

    monkeypatch.setattr(generic, "tangents", allocate)
    with caplog.at_level(logging.WARNING):
        first, second = engine(pert), engine(pert)
    torch.testing.assert_close(first[0], wanted, rtol=1e-11, atol=1e-13)
    assert torch.equal(first, second)
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: the generic engine now takes 6 at once, not 12",
        "out of memory: the generic engine now takes 3 at once, not 6",
    ]


def test_out_of_memory_for_several_knockdowns_takes_them_one_by_one(tiny, cells, monkeypatch):
    model = tiny()
    engine = prepare(model, model.encode_cells(cells), BATCH, engine="generic")
    pert = model.pert_vectors(torch.arange(3))
    wanted = engine(pert)

    def allocate(forward, encoded, pert, batch, directions):
        if len(pert) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return tangents(forward, encoded, pert, batch, directions)

    monkeypatch.setattr(generic, "tangents", allocate)
    torch.testing.assert_close(engine(pert), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["auto", "generic"])
def test_out_of_memory_before_anything_is_computed_is_an_error_that_says_so(tiny, cells, monkeypatch, name):
    model = tiny()

    def forward(*_args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(model, "forward", forward)
    with pytest.raises(JacprobeError, match="out of memory for the engine's check"):
        prepare(model, model.encode_cells(cells), BATCH, engine=name)


def test_out_of_memory_for_a_single_direction_is_an_error(tiny, cells):
    model = tiny()
    engine = prepare(model, model.encode_cells(cells), BATCH, engine="generic")

    def forward(_x):
        raise torch.OutOfMemoryError("pretended")

    model.module.project_out.forward = forward
    with pytest.raises(JacprobeError, match="out of memory for a single direction"):
        engine(torch.zeros(1, 12, dtype=torch.float64))


def test_other_errors_of_the_model_pass_through(tiny, cells):
    model = tiny()
    engine = prepare(model, model.encode_cells(cells), BATCH, engine="generic")
    with pytest.raises(RuntimeError, match="size"):
        engine(torch.zeros(1, 11, dtype=torch.float64))


def test_fp32_is_close_to_float64_away_from_kinks(tiny, cells):
    single, double = tiny(dtype=torch.float32, genes=300, width=24), tiny(genes=300, width=24)
    x = torch.empty(5, 300, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(2)).abs()
    pert = double.pert_vectors(torch.tensor([2])).detach()
    wanted = prepare(double, double.encode_cells(x), BATCH)(pert)
    found = prepare(single, single.encode_cells(x.float()), BATCH)(pert.float()).double()
    rows = (found - wanted).norm(dim=-1) / wanted.norm(dim=-1).clamp_min(math.ulp(1))
    assert float(rows.median()) < 2e-6
