from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from fixtures import linear_model
from fixtures.tiny_state import build, control_cells
from jacprobe.errors import InputError, UnknownNameError
from jacprobe.models.surrogates import linear_surrogate
from jacprobe.probes.input_jacobian import (
    cells_jacobian,
    input_agreement,
    input_encoder,
    input_similarity,
    jacobian_wrt_cells,
)
from jacprobe.probes.routing import jacobian_wrt_pert
from jacprobe.probes.targeted import targeted_jacobian


def whole(model, cells, kd, batch=0):
    """Return dY/dX [G, G_in] by reverse mode from expression through `predict_step`, one output gene at a time."""
    x = torch.as_tensor(cells)[None]
    shift = torch.zeros(1, 1, x.shape[2], dtype=x.dtype, requires_grad=True)
    index = torch.tensor([model.perturbations.index(kd)])
    Y = model.predict_step(x + shift, index, torch.full(x.shape[:2], batch))[0].mean(dim=0)
    return torch.stack([torch.autograd.grad(y, shift, retain_graph=True)[0][0, 0] for y in Y]).numpy()


def cosine(a, b):
    a, b = a.ravel(), b.ravel()
    return a @ b / np.sqrt((a @ a) * (b @ b))


@pytest.mark.parametrize("changes", [{}, {"causal": True, "gated": False, "head_layers": 2}], ids=str)
def test_the_two_factors_are_the_whole_input_jacobian(changes):
    model, cells = build(**changes), control_cells()
    J, W = jacobian_wrt_cells(model, cells, ["KD3", "KD0"]), input_encoder(model)
    assert (J.dims, W.dims) == (("kd", "gene", "encoded"), ("encoded", "gene_in"))
    for kd in ("KD0", "KD3"):
        np.testing.assert_allclose(J.sel(kd=kd).values @ W.values, whole(model, cells, kd), rtol=1e-10, atol=1e-13)


def test_a_row_and_column_of_it_are_a_targeted_jacobian():
    model, cells = build(), control_cells()
    full = jacobian_wrt_cells(model, cells, ["KD1"]) @ input_encoder(model)
    panel = targeted_jacobian(model, cells, ["G4", "G0"], ["G7", "G1", "G2"], ["KD1"])
    found = full.sel(gene=panel["target"].values, gene_in=panel["regulator"].values).transpose("kd", "gene_in", "gene")
    np.testing.assert_allclose(found, panel, rtol=1e-10, atol=1e-13)


def test_shifting_cells_of_a_model_without_residual_is_shifting_the_perturbation():
    model, cells = build(predict_residual=False), control_cells()
    by_cells, by_pert = (take(model, cells, ["KD2"]).values for take in (jacobian_wrt_cells, jacobian_wrt_pert))
    np.testing.assert_allclose(by_cells, by_pert, rtol=1e-12, atol=1e-14)
    model.module.predict_residual = True
    assert np.abs(jacobian_wrt_cells(model, cells, ["KD2"]).values - by_pert).max() > 0.1


def test_a_linear_model_has_the_jacobian_that_its_formula_has():
    model, cells = linear_model.build(), control_cells(8, 9)
    J = jacobian_wrt_cells(model, cells)
    for k, kd in enumerate(model.perturbations):
        z = cells + cells.mean(axis=0) / 10 + (model.weight[:, k] + model.bias).numpy() @ model.to_genes.numpy()
        # A shift moves each cell by itself and by a tenth through the mean.
        np.testing.assert_allclose(J.sel(kd=kd), np.diag(1.1 * (z > 0).mean(axis=0)), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(input_encoder(model), np.eye(9))


def test_a_surrogate_has_input_jacobians_as_any_model_has():
    model, cells = build(), control_cells()
    rival = linear_surrogate(model, cells)
    full = jacobian_wrt_cells(rival, cells, ["KD1"])[0].values @ input_encoder(rival).values
    np.testing.assert_allclose(full, whole(rival, cells, "KD1"), rtol=1e-10, atol=1e-13)


def test_cells_of_a_batch_of_their_own():
    model = build()
    coords = {"gene": list(model.genes), "batch": ("cell", ["B2"] * 5)}
    named = xr.DataArray(control_cells(), dims=("cell", "gene"), coords=coords)
    J = jacobian_wrt_cells(model, named, ["KD1"], batch="own")
    full = J[0].values @ input_encoder(model).values
    np.testing.assert_allclose(full, whole(model, control_cells(), "KD1", batch=2), rtol=1e-10, atol=1e-13)
    assert J.attrs["batch"] == "own"


def test_names_units_direction_and_provenance_stand_on_the_arrays():
    model = build()
    model.module.head.bias[[2, 5]] = -1e3
    J, W = jacobian_wrt_cells(model, control_cells()), input_encoder(model)
    assert list(J["kd"].values) == list(model.perturbations)
    assert list(J["gene"].values) == list(W["gene_in"].values) == list(model.genes)
    assert J.attrs["direction"] == "d(mean over cells of Y)/d(a shift common to all encoded cells)"
    assert J.attrs | {"engine": "local", "dtype": "float64", "control": model.control} == J.attrs
    assert {"gemm", "engine_why", "weights_sha256", "cells_sha256", "batch", "units"} <= J.attrs.keys()
    assert W.attrs["weights_sha256"] == model.weights_sha256
    np.testing.assert_array_equal(J["shut_genes"], (np.abs(J.values).max(axis=2) == 0).sum(axis=1))
    assert J["shut_genes"].min() >= 2


def test_a_knockdown_has_the_same_bits_whatever_it_is_computed_with():
    model, cells = build(dtype=torch.float32), control_cells()
    all_of_them, some = jacobian_wrt_cells(model, cells), jacobian_wrt_cells(model, cells, ["KD4", "KD1"])
    alone = cells_jacobian(model, cells)
    for kd in ("KD1", "KD4"):
        np.testing.assert_array_equal(all_of_them.sel(kd=kd), some.sel(kd=kd))
        np.testing.assert_array_equal(alone(kd), some.sel(kd=kd))


def test_unknown_knockdowns_are_all_listed():
    with pytest.raises(UnknownNameError, match=r"KD9 .*unheard"):
        jacobian_wrt_cells(build(), control_cells(), ["KD0", "KD9", "unheard"])


def test_a_model_whose_cells_carry_no_derivative_is_refused():
    model: Any = build()
    forward = model.forward
    model.forward = lambda encoded, pert, batch: forward(encoded.detach(), pert, batch)
    with pytest.raises(InputError, match="not differentiable in its encoded cells"):
        jacobian_wrt_cells(model, control_cells(), ["KD0"])


def test_the_encoder_is_the_models_own_weight():
    for dtype in (torch.float64, torch.float32):
        model = build(dtype=dtype)
        W = input_encoder(model)
        np.testing.assert_allclose(W, model.module.basal_encoder.weight, rtol=1e-6)
        assert W.dtype == model.module.basal_encoder.weight.numpy().dtype


@pytest.mark.parametrize("fault", ["rectified", "log", "mixed"])
def test_cells_that_are_encoded_otherwise_are_refused(fault):
    model: Any = build()
    linear = model.encode_cells
    model.encode_cells = {
        "rectified": lambda cells: linear(cells).relu(),
        "log": lambda cells: linear(torch.log1p(cells)),
        "mixed": lambda cells: linear(cells) + cells.mean(dim=1, keepdim=True).sum(),
    }[fault]
    with pytest.raises(InputError, match="not encoded by an affine map"):
        input_encoder(model)


@pytest.mark.parametrize("genes", [23, 8], ids=["more genes than dimensions", "fewer"])
@pytest.mark.parametrize("bytes_at_once", [1, 4000, 2**30])
def test_similarity_is_the_cosine_of_the_whole_input_jacobians(genes, bytes_at_once):
    model, cells = build(genes=genes), control_cells(genes=genes)
    kds = ["KD0", "KD4", "KD2"]
    found = input_similarity(jacobian_wrt_cells(model, cells, kds), input_encoder(model), bytes_at_once)
    full = [whole(model, cells, kd) for kd in kds]
    np.testing.assert_allclose(found, [[cosine(a, b) for b in full] for a in full], rtol=0, atol=1e-12)
    assert (found.dims, list(found["kd"].values)) == (("kd", "kd_other"), kds)


def test_agreement_is_the_cosine_of_the_whole_input_jacobians_of_two_models():
    cells = control_cells()
    a, b = build(seed=0), build(seed=1, width=9)
    given = [x for model in (a, b) for x in (jacobian_wrt_cells(model, cells, ["KD2", "KD0"]), input_encoder(model))]
    found = input_agreement(*given)
    wanted = [cosine(whole(a, cells, kd), whole(b, cells, kd)) for kd in ("KD2", "KD0")]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert found.dims == ("kd",)
    np.testing.assert_allclose(input_agreement(*given[:2], *given[:2]), 1, rtol=1e-14)


def test_agreement_matches_knockdowns_and_genes_by_name():
    cells = control_cells()
    a, b = build(seed=0), build(seed=1)
    J_a, W_a = jacobian_wrt_cells(a, cells), input_encoder(a)
    J_b = jacobian_wrt_cells(b, cells).isel(gene=slice(20, 2, -1), kd=[4, 2, 0])
    W_b = input_encoder(b).isel(gene_in=[7, 3, 11])
    found = input_agreement(J_a, W_a, J_b, W_b)
    assert list(found["kd"].values) == ["KD0", "KD2", "KD4"]
    rows, columns = np.arange(3, 21), np.array([3, 7, 11])
    for kd in found["kd"].values:
        wanted = cosine(*(whole(model, cells, kd)[np.ix_(rows, columns)] for model in (a, b)))
        assert found.sel(kd=kd).item() == pytest.approx(wanted, abs=1e-12)
    assert found.attrs["shared_knockdowns"] == "3 of 7 and 3"
    assert found.attrs["shared_output_genes"] == "18 of 23 and 18"
    assert found.attrs["shared_input_genes"] == "3 of 23 and 3"


def test_a_jacobian_of_zeros_agrees_with_nothing():
    model, cells = build(), control_cells()
    J, W = jacobian_wrt_cells(model, cells, ["KD0", "KD1"]), input_encoder(model)
    shut = J.copy(data=J.values * np.array([0.0, 1.0])[:, None, None])
    found = input_agreement(shut, W, J, W)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1, abs=1e-14)


def test_arrays_that_do_not_belong_together_are_refused():
    model, cells = build(), control_cells()
    J, W = jacobian_wrt_cells(model, cells, ["KD0"]), input_encoder(model)
    narrow = input_encoder(build(width=9))
    with pytest.raises(InputError, match="by 12 encoded dimensions and an encoder of 9"):
        input_similarity(J, narrow)
    with pytest.raises(InputError, match="by 12 encoded dimensions and an encoder of 9"):
        input_agreement(J, W, J, narrow)
    with pytest.raises(InputError, match="share no gene_in: G0, G1, G2 against"):
        input_agreement(J, W, J, W.assign_coords(gene_in=[f"ENSG{i}" for i in range(23)]))
