"""Every probe and engine on a trained model, against its own public entry point in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from jacprobe.cells import read_cells
from jacprobe.models.state import load_run
from jacprobe.probes.features import features
from jacprobe.probes.knockout import knockout
from jacprobe.probes.routing import jacobian_wrt_pert, onehot_similarity, similarity
from jacprobe.probes.targeted import targeted_jacobian

DEMO = Path(__file__).parents[2] / "fixtures" / "studies" / "demo"


@pytest.fixture(scope="module")
def demo():
    """The trained model in float64 and 16 control cells of its line."""
    model = load_run(DEMO / "models" / "fewshot-hepg2", dtype="float64")
    cells = read_cells(DEMO / "control_cells.h5ad", model, "hepg2")[:16].astype(np.float64)
    return model, cells


def predicted(model, cells, kd):
    """Return the mean of `predict_step`, which knows nothing of probes: [G]."""
    index, batch = torch.tensor([model.perturbations.index(kd)]), torch.zeros(1, len(cells), dtype=torch.long)
    return model.predict_step(torch.as_tensor(cells)[None], index, batch)[0].mean(dim=0)


def ordered(model, cells):
    return cells.sel(gene=list(model.genes)).to_numpy().copy()


@pytest.mark.parametrize("engine", ["local", "generic", "autograd"])
def test_jacobians_are_central_differences_of_the_forward(demo, engine):
    model, cells = demo
    kd = model.perturbations[3]
    J = jacobian_wrt_pert(model, cells, [kd], engine=engine)[0].to_numpy()
    x = torch.as_tensor(ordered(model, cells))[None]
    p, batch = model.pert_vectors(torch.tensor([3])), torch.zeros(1, len(cells), dtype=torch.long)
    encoded, h = model.encode_cells(x), 1e-5
    smooth = (model.preactivation(encoded, p, batch).abs() > 1e-3).all(dim=(0, 1)).numpy()
    assert smooth.sum() > 20
    for latent in (0, 17, 40):
        step = h * torch.eye(p.shape[1], dtype=p.dtype)[latent]
        up, down = (model.forward(encoded, p + s, batch)[0].mean(dim=0) for s in (step, -step))
        slope = ((up - down) / (2 * h)).numpy()
        assert np.linalg.norm((J[:, latent] - slope)[smooth]) <= 1e-7 * np.linalg.norm(slope[smooth])


def test_similarities_are_cosines_of_whole_jacobians(demo):
    model, cells = demo
    J = jacobian_wrt_pert(model, cells, model.perturbations[:4])
    W = model.module.pert_encoder[0].weight.numpy()
    for found, rows in ((similarity(J), J.values), (onehot_similarity(J, model), J.values @ W)):
        flat = rows.reshape(4, -1)
        length = np.linalg.norm(flat, axis=1)
        np.testing.assert_allclose(found, flat @ flat.T / np.outer(length, length), rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [0, "mean"])
def test_knockouts_are_differences_of_predict_step(demo, value):
    model, cells = demo
    x = ordered(model, cells)
    column = int(x.mean(axis=0).argmax())
    silenced = x.copy()
    silenced[:, column] = 0 if value == 0 else x[:, column].mean()
    wanted = (predicted(model, silenced, model.control) - predicted(model, x, model.control)).numpy()
    found = knockout(model, cells, [model.genes[column]], value=value)[0]
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("cells", ["each", "mean"])
def test_targeted_entries_are_central_differences_of_predict_step(demo, cells):
    model, given = demo
    x = ordered(model, given)
    base = x if cells == "each" else np.tile(x.mean(axis=0), (len(x), 1))
    kd, column, h = model.perturbations[2], int(x.mean(axis=0).argmax()), 1e-6
    step = h * (np.arange(x.shape[1]) == column)
    slope = ((predicted(model, base + step, kd) - predicted(model, base - step, kd)) / (2 * h)).numpy()
    found = targeted_jacobian(model, given, [model.genes[column]], model.genes[:40], [kd], cells=cells)[0, 0]
    assert np.abs(slope[:40]).max() > 0
    np.testing.assert_allclose(found, slope[:40], rtol=1e-5, atol=1e-7)


def test_features_are_mean_activations_less_the_control(demo):
    model, cells = demo
    x = torch.as_tensor(ordered(model, cells))[None]
    batch = torch.zeros(1, len(cells), dtype=torch.long)
    control = model.perturbations.index(model.control)
    mine, theirs = (
        model.activations(model.encode_cells(x), model.pert_vectors(torch.tensor([i])), batch, 1)[0].mean(dim=0)
        for i in (5, control)
    )
    found = features(model, cells, [model.perturbations[5]], 1)[0]
    np.testing.assert_allclose(found, mine - theirs, rtol=0, atol=1e-11)
