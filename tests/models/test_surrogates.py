from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures import linear_model
from fixtures.elsewhere import fake_cuda, move
from fixtures.linear_model import LinearModel
from fixtures.tiny_state import build, control_cells
from jacprobe.cells import read_cells
from jacprobe.errors import InputError
from jacprobe.jacobian.generic import jacobian_generic
from jacprobe.models.protocol import Castable, LinearPertEncoder, PerturbationModel, Rectified
from jacprobe.models.state import load_run
from jacprobe.models.surrogates import STRENGTHS, Surrogate, linear_surrogate, mean_shift
from jacprobe.probes.knockout import knockout
from jacprobe.probes.response import delta, predict
from jacprobe.probes.routing import jacobian_wrt_pert, onehot_similarity, similarity
from jacprobe.probes.targeted import targeted_jacobian

DEMO = Path(__file__).parents[2] / "fixtures" / "studies" / "demo"
KINDS = [linear_surrogate, mean_shift]


def responses(model, cells):
    """Return each knockdown's vector less the control's and its mean change of the preactivation, one at a time."""
    X, Z = [], []
    encoded, batch = model.encode_cells(torch.as_tensor(cells)[None]), torch.zeros(1, len(cells), dtype=torch.long)
    control = model.pert_vectors(torch.tensor([model.perturbations.index(model.control)]))
    before = model.preactivation(encoded, control, batch)
    for i, name in enumerate(model.perturbations):
        if name != model.control:
            p = model.pert_vectors(torch.tensor([i]))
            X.append((p - control)[0].numpy())
            Z.append((model.preactivation(encoded, p, batch) - before)[0].mean(dim=0).numpy())
    return np.array(X), np.array(Z)


def ridge(X, Y, strength):
    """Return the minimum of |Y - X B|² + a |B|² as the least-squares solution of an enlarged system."""
    D = X.shape[1]
    a = strength * np.trace(X.T @ X) / D
    rows = np.vstack([X, np.sqrt(a) * np.eye(D)])
    return np.linalg.lstsq(rows, np.vstack([Y, np.zeros((D, Y.shape[1]))]), rcond=None)[0]


def left_out_error(X, Y, strength):
    """Return the squared error of each knockdown's change from the fit to all others, by refitting."""
    a = strength * np.trace(X.T @ X) / X.shape[1]
    error = 0.0
    for k in range(len(X)):
        x, y = np.delete(X, k, axis=0), np.delete(Y, k, axis=0)
        B = np.linalg.solve(x.T @ x + a * np.eye(X.shape[1]), x.T @ y)
        error += float(np.square(Y[k] - X[k] @ B).sum())
    return error


def test_the_rival_of_a_linear_model_is_that_model():
    model, cells = linear_model.build(20), control_cells(8, 9)
    rival: Any = linear_surrogate(model, cells)
    np.testing.assert_allclose(rival.to_genes, model.to_genes, rtol=0, atol=1e-6)
    other = control_cells(8, 9, seed=5)
    np.testing.assert_allclose(predict(rival, other), predict(model, other), rtol=0, atol=1e-5)
    assert float(rival.provenance["explained"]) == 1


@pytest.mark.parametrize("strength", [1e-4, 0.1, 10.0])
def test_the_linear_map_is_the_ridge_regression_of_mean_changes_on_vectors(strength):
    model, cells = build(perturbations=30), control_cells()
    rival = linear_surrogate(model, cells, ridge=strength)
    X, Z = responses(model, cells)
    np.testing.assert_allclose(rival.to_genes, ridge(X, Z, strength), rtol=1e-9, atol=1e-12)
    share = 1 - np.square(Z - X @ rival.to_genes.numpy()).sum() / np.square(Z).sum()
    assert float(rival.provenance["explained"]) == pytest.approx(share, abs=6e-5)


@pytest.mark.parametrize("perturbations", [40, 9], ids=["more knockdowns than dimensions", "fewer"])
def test_the_strength_is_the_one_with_the_least_left_out_error(perturbations):
    model, cells = build(perturbations=perturbations), control_cells()
    X, Z = responses(model, cells)
    best = min(STRENGTHS, key=lambda strength: left_out_error(X, Z, strength))
    rival = linear_surrogate(model, cells)
    assert rival.provenance["ridge"].startswith(f"{best:.3g} of")
    np.testing.assert_allclose(rival.to_genes, ridge(X, Z, best), rtol=1e-6, atol=1e-9)


def test_mean_shifts_move_along_the_mean_change_by_a_magnitude_linear_in_the_vector():
    model, cells = build(perturbations=30), control_cells()
    rival = mean_shift(model, cells, ridge=0.01)
    X, Z = responses(model, cells)
    mean = Z.mean(axis=0)
    magnitudes = np.array([np.linalg.lstsq(mean[:, None], z, rcond=None)[0][0] for z in Z])
    w = ridge(X, magnitudes[:, None], 0.01)
    np.testing.assert_allclose(rival.to_genes, w @ mean[None], rtol=1e-9, atol=1e-12)
    share = 1 - np.square(magnitudes - (X @ w)[:, 0]).sum() / np.square(magnitudes).sum()
    assert float(rival.provenance["magnitudes_explained"]) == pytest.approx(share, abs=6e-5)


def test_magnitudes_that_are_linear_in_the_vectors_are_met_exactly():
    model, cells = linear_model.build(20), control_cells(8, 9)
    _, wanted = responses(model, cells)
    mean = wanted.mean(axis=0)
    _, found = responses(mean_shift(model, cells), cells)
    np.testing.assert_allclose(found @ mean, wanted @ mean, rtol=0, atol=1e-6)


def test_mean_shifts_have_rank_one_before_the_relu():
    model, cells = build(perturbations=30), control_cells()
    _, changes = responses(mean_shift(model, cells), cells)
    values = np.linalg.svd(changes, compute_uv=False)
    assert values[1] <= 1e-12 * values[0]
    _, changes = responses(linear_surrogate(model, cells), cells)
    values = np.linalg.svd(changes, compute_uv=False)
    assert values[1] > 0.1 * values[0]


@pytest.mark.parametrize("make", KINDS)
def test_the_jacobian_is_the_share_of_open_cells_times_the_linear_map(make):
    model, cells = build(perturbations=30), control_cells()
    rival = make(model, cells)
    J = jacobian_wrt_pert(rival, cells, ["KD3", "KD0"])
    assert J.attrs["engine"] == "generic"
    batch = torch.zeros(1, len(cells), dtype=torch.long)
    encoded = rival.encode_cells(torch.as_tensor(cells)[None])
    for kd in ("KD0", "KD3"):
        p = rival.pert_vectors(torch.tensor([rival.perturbations.index(kd)])).requires_grad_()
        Y = rival.forward(encoded, p, batch)[0].mean(dim=0)
        by_autograd = torch.stack([torch.autograd.grad(y, p, retain_graph=True)[0][0] for y in Y])
        np.testing.assert_allclose(J.sel(kd=kd), by_autograd, rtol=1e-12, atol=1e-14)
        share = (rival.preactivation(encoded, p.detach(), batch)[0] > 0).double().mean(dim=0).numpy()
        assert 0 < share.mean() < 1
        np.testing.assert_allclose(J.sel(kd=kd), share[:, None] * rival.to_genes.numpy().T, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", KINDS)
def test_the_control_is_the_base_models_for_any_cells(make):
    model = build()
    rival = make(model, control_cells())
    for cells in (control_cells(), control_cells(7, seed=9)):
        ours, base = (predict(m, cells, [m.control], cells="each") for m in (rival, model))
        np.testing.assert_array_equal(ours, base)
        kds = torch.arange(len(model.perturbations))
        sets = torch.as_tensor(cells).expand(len(kds), -1, -1)
        own = rival.predict_step(sets, kds, torch.zeros(sets.shape[:2], dtype=torch.long))
        np.testing.assert_allclose(predict(rival, cells, cells="each"), own, rtol=0, atol=1e-13)


@pytest.mark.parametrize("make", KINDS)
def test_names_and_encoders_are_the_base_models_and_the_identity_is_its_own(make):
    model, cells = build(), control_cells()
    rival, again = make(model, cells), make(model, cells)
    assert all(isinstance(rival, kind) for kind in (PerturbationModel, Rectified, LinearPertEncoder, Castable))
    for name in ("genes", "perturbations", "control", "batches", "split", "cell_set_len", "any_set_len", "latent_dim"):
        assert getattr(rival, name) == getattr(model, name), name
    assert torch.equal(rival.pert_linear()[0], model.pert_linear()[0])
    hashes = {
        m.weights_sha256 for m in (model, rival, linear_surrogate(model, cells, ridge=3), mean_shift(build(1), cells))
    }
    assert len(hashes) == 4
    assert rival.weights_sha256 == again.weights_sha256 == rival.provenance["weights_sha256"]
    assert rival.provenance["surrogate"] == make.__name__.replace("_", "-")
    assert rival.provenance["surrogate_of"] == model.weights_sha256
    assert rival.provenance["model"] == "TinyState"


def test_the_batch_rule_decides_what_is_fitted():
    import xarray as xr

    model = build()
    coords = {"gene": list(model.genes), "batch": ("cell", ["B2"] * 5)}
    cells = xr.DataArray(control_cells(), dims=("cell", "gene"), coords=coords)
    first, own = (linear_surrogate(model, cells, batch=rule, ridge=0.1) for rule in ("first", "own"))
    assert not torch.allclose(first.to_genes, own.to_genes)
    assert (first.provenance["fitted_batch"], own.provenance["fitted_batch"]) == ("first", "own")
    assert first.provenance["fitted_on"] != own.provenance["fitted_on"]


def test_a_cast_keeps_function_and_hash():
    model = linear_model.build(20).to(dtype=torch.float32)
    cells = control_cells(8, 9)
    rival = linear_surrogate(model, cells)
    exact = rival.to(dtype=torch.float64)
    assert (exact.dtype, exact.to_genes.dtype) == (torch.float64, torch.float64)
    assert (exact.weights_sha256, exact.provenance) == (rival.weights_sha256, rival.provenance)
    np.testing.assert_allclose(predict(rival, cells), predict(exact, cells), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="no method `to`"):
        linear_surrogate(build(), control_cells()).to(dtype=torch.float32)


@pytest.mark.parametrize("make", KINDS)
def test_every_probe_runs_on_a_trained_models_rivals(make):
    model = load_run(DEMO / "models" / "fewshot-hepg2", device="cpu")
    cells = read_cells(DEMO / "control_cells.h5ad", model, "hepg2")[:8]
    rival = make(model, cells)
    kds = [name for name in model.perturbations if name != model.control][:4]
    rows = (delta(rival, cells, kds), jacobian_wrt_pert(rival, cells, kds), knockout(rival, cells, model.genes[:2]))
    assert all(np.isfinite(array).all() and array.any() for array in rows)
    targeted = targeted_jacobian(rival, cells, model.genes[:2], model.genes[:3], kds)
    assert targeted.shape == (4, 2, 3)
    for cosine in (similarity(rows[1]), onehot_similarity(rows[1], rival)):
        np.testing.assert_allclose(np.diag(cosine), 1, rtol=1e-6)
    assert 0 < float(rival.provenance["explained"]) < 1


def test_gradients_pass_without_leaving_the_device():
    model = build(dtype=torch.float32)
    with fake_cuda():
        move(model.module, "cuda")
        model.device = torch.device("cuda")
        placed = Placed(model, torch.empty(12, 23, device="cuda"))
        encoded, pert = torch.empty(3, 5, 12, device="cuda"), torch.empty(3, 12, device="cuda")
        batch = torch.empty(3, 5, device="cuda", dtype=torch.long)
        found = jacobian_generic(placed.forward, encoded, pert, batch, chunk=5)
    assert (found.device.type, found.shape) == ("cuda", (3, 23, 12))


class Placed(Surrogate):
    """A surrogate without identity, since tensors without storage have no bytes to hash."""

    def __init__(self, base, to_genes):
        self.base, self.to_genes = base, to_genes
        self._origin = base.pert_vectors(torch.zeros(1, dtype=torch.long, device="cuda"))


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda model: LinearModel(model.weight[:, -2:], model.bias, model.to_genes), "1 knockdowns"),
        (lambda model: LinearModel(0 * model.weight, model.bias, model.to_genes), "all have the control's vector"),
    ],
)
def test_models_without_responses_to_fit_are_refused(make, changed, message):
    with pytest.raises(InputError, match=message):
        make(changed(linear_model.build(20)), control_cells(8, 9))


def test_a_mean_change_of_0_has_no_direction():
    model = linear_model.build(20)
    with pytest.raises(InputError, match="mean change over knockdowns is 0"):
        mean_shift(LinearModel(model.weight, model.bias, 0 * model.to_genes), control_cells(8, 9))


@pytest.mark.parametrize("make", KINDS)
def test_a_model_that_shows_no_preactivation_is_refused(make):
    class Bare:
        def __init__(self, model):
            names = (name for name in dir(model) if not name.startswith("_") and name != "preactivation")
            self.__dict__ |= {name: getattr(model, name) for name in names}

    with pytest.raises(InputError, match="not known to be a ReLU"):
        make(Bare(build()), control_cells())


@pytest.mark.parametrize("strength", [0, -1.0, float("nan"), float("inf")])
def test_strengths_that_are_none_are_refused(strength):
    with pytest.raises(InputError, match=r"ridge=.*wanted a positive number"):
        linear_surrogate(build(), control_cells(), ridge=strength)


def test_a_base_without_a_linear_encoder_passes_that_on():
    model: Any = build()
    hidden: Any = linear_surrogate(model, control_cells())

    class Unread:
        def __init__(self):
            names = (name for name in dir(model) if not name.startswith("_") and name != "pert_linear")
            self.__dict__ |= {name: getattr(model, name) for name in names}

    hidden.base = Unread()
    with pytest.raises(InputError, match="has no pert_linear"):
        hidden.pert_linear()
