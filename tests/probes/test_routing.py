from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from fixtures import linear_model
from fixtures.tiny_state import build, control_cells
from jacprobe.errors import InputError, UnknownNameError
from jacprobe.probes.routing import jacobian_wrt_pert, onehot_similarity, pert_jacobian, similarity
from jacprobe.store.fill import put
from jacprobe.store.store import Store


def row_by_row(model, cells, kd, batch=0):
    """Reverse mode, one gene at a time, through the model's own forward."""
    p = model.pert_vectors(torch.tensor([model.perturbations.index(kd)])).requires_grad_()
    encoded = model.encode_cells(torch.as_tensor(cells)[None])
    Y = model.forward(encoded, p, torch.full(cells.shape[:1], batch)[None])[0].mean(dim=0)
    return torch.stack([torch.autograd.grad(y, p, retain_graph=True)[0][0] for y in Y]).numpy()


@pytest.mark.parametrize("engine", ["auto", "local", "generic", "autograd"])
def test_the_jacobian_is_the_slope_of_the_mean_prediction(engine):
    model, cells = build(), control_cells()
    J = jacobian_wrt_pert(model, cells, ["KD3", "KD0"], engine=engine)
    assert J.dims == ("kd", "gene", "latent")
    for kd in ("KD0", "KD3"):
        np.testing.assert_allclose(J.sel(kd=kd), row_by_row(model, cells, kd), rtol=1e-10, atol=1e-13)


def test_rows_of_a_batch_of_their_own():
    model, cells = build(), control_cells()
    named = xr.DataArray(
        cells[:, ::-1],
        dims=("cell", "gene"),
        coords={"gene": list(model.genes)[::-1], "batch": ("cell", ["B2"] * 5), "cell": list("abcde")},
    )
    J = jacobian_wrt_pert(model, named, ["KD1"], batch="own")
    np.testing.assert_allclose(J[0], row_by_row(model, cells, "KD1", batch=2), rtol=1e-10, atol=1e-13)
    assert J.attrs["batch"] == "own"


def test_names_units_direction_and_provenance_stand_on_the_array():
    model = build()
    J = jacobian_wrt_pert(model, control_cells())
    assert list(J["kd"].values) == list(model.perturbations)
    assert list(J["gene"].values) == list(model.genes)
    assert J.attrs["direction"] == "d(mean over cells of Y)/d(pert)"
    assert J.attrs["units"] == "log1p-normalised expression per unit of pert"
    assert J.attrs | {"engine": "local", "residual": "model", "dtype": "float64"} == J.attrs
    assert {"gemm", "engine_why", "weights_sha256", "cells_sha256", "control", "batch"} <= J.attrs.keys()


def test_genes_shut_in_every_cell_are_counted():
    model = build()
    model.module.head.bias[[2, 5]] = -1e3
    J = jacobian_wrt_pert(model, control_cells(), ["KD0"])
    assert J["shut_genes"].item() == int((np.abs(J.values[0]).max(axis=1) == 0).sum()) >= 2


@pytest.mark.parametrize("engine", ["local", "generic"])
def test_a_knockdown_has_the_same_bits_whatever_it_is_computed_with(engine):
    model, cells = build(dtype=torch.float32), control_cells()
    whole = jacobian_wrt_pert(model, cells, engine=engine)
    some = jacobian_wrt_pert(model, cells, ["KD4", "KD1"], engine=engine)
    alone = pert_jacobian(model, cells, engine=engine)
    for kd in ("KD1", "KD4"):
        np.testing.assert_array_equal(whole.sel(kd=kd), some.sel(kd=kd))
        np.testing.assert_array_equal(alone(kd), some.sel(kd=kd))


def test_unknown_knockdowns_are_all_listed_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"KD9 \(nearest: KD\d.*unheard"):
        jacobian_wrt_pert(build(), control_cells(), ["KD0", "KD9", "unheard"])


@pytest.mark.parametrize(
    ("given", "message"), [(control_cells(5, 22), r"shape \(5, 22\)"), (control_cells(0), "no control cells")]
)
def test_cells_that_do_not_fit_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        jacobian_wrt_pert(build(), given, ["KD0"])


def test_a_set_size_that_the_model_refuses():
    model = build()
    model.any_set_len = False
    with pytest.raises(InputError, match="a set of 4 cells; wanted 5"):
        jacobian_wrt_pert(model, control_cells(4), ["KD0"])


def labelled(values):
    n, genes, latent = values.shape
    coords = {"kd": [f"KD{i}" for i in range(n)], "gene": [f"G{i}" for i in range(genes)], "latent": range(latent)}
    return xr.DataArray(values, dims=("kd", "gene", "latent"), coords=coords)


def cosines(rows):
    rows = rows.reshape(len(rows), -1).astype(np.float64)
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in rows] for a in rows])


@pytest.mark.parametrize("bytes_at_once", [1, 4000, 2**30])
def test_similarity_is_the_cosine_of_flattened_jacobians(bytes_at_once):
    values = np.random.default_rng(0).normal(size=(6, 23, 12))
    found = similarity(labelled(values), bytes_at_once)
    assert found.dims == ("kd", "kd_other")
    np.testing.assert_allclose(found, cosines(values), rtol=0, atol=1e-13)
    np.testing.assert_allclose(similarity(labelled(values.astype(np.float32)), bytes_at_once), found, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (labelled(np.ones((3, 4, 2))).rename(latent="encoded"), "axes kd, gene, encoded; wanted a DataArray"),
        (labelled(np.ones((3, 4, 2))).drop_vars("kd"), "wanted a DataArray .* names of the knockdowns"),
        (np.ones((3, 4, 2)), "ndarray with axes without names"),
    ],
)
def test_other_arrays_are_no_jacobians(given, message):
    for take in (similarity, lambda J: onehot_similarity(J, build())):
        with pytest.raises(InputError, match=message):
            take(given)


def test_similarity_of_stored_jacobians_is_that_of_jacobians_in_memory(tmp_path):
    J = labelled(np.random.default_rng(0).normal(size=(6, 23, 12)).astype(np.float32))
    entry = put(Store.at(tmp_path), {"probe": "Routing"}, J, source="a test")
    np.testing.assert_array_equal(similarity(entry.open(), 4000), similarity(J, 4000))


@pytest.mark.parametrize("perturbations", [7, 40])
def test_onehot_similarity_is_the_cosine_of_the_onehot_jacobians(perturbations):
    model = build(perturbations=perturbations)
    J = jacobian_wrt_pert(model, control_cells(), [f"KD{i}" for i in range(5)])
    onehot = J.values @ model.module.pert_encoder.weight.numpy()
    np.testing.assert_allclose(onehot_similarity(J, model, 4000), cosines(onehot), rtol=0, atol=1e-12)


def test_a_jacobian_of_zeros_has_no_direction():
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    values[1] = 0
    found = similarity(labelled(values)).values
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[np.ix_([0, 2], [0, 2])]).all()


def test_onehot_similarity_needs_an_affine_encoder_of_the_same_width():
    model = build()
    J = jacobian_wrt_pert(model, control_cells(), ["KD0", "KD1"])
    with pytest.raises(InputError, match="over 12 latent dimensions; wanted 10"):
        onehot_similarity(J, build(width=10))
    for faulty in (linear_model.build(gated=True), object()):
        with pytest.raises(InputError, match="not a single affine map"):
            onehot_similarity(J, faulty)


def test_onehot_similarity_reads_any_linear_encoder():
    model, cells = linear_model.build(), control_cells(8, 9)
    J = jacobian_wrt_pert(model, cells, ["KD0", "KD2", "KD3"])
    onehot = J.values @ model.weight.numpy()
    np.testing.assert_allclose(onehot_similarity(J, model), cosines(onehot), rtol=0, atol=1e-12)
