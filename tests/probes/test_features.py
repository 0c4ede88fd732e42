from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.elsewhere import fake_cuda, move
from fixtures.tiny_state import build, control_cells
from jacprobe.errors import InputError
from jacprobe.probes.features import features, mean_features
from jacprobe.probes.sae import SparseAutoencoder


def activations(model, cells, kd, layer):
    index = torch.tensor([model.perturbations.index(kd)])
    batch = torch.zeros(1, len(cells), dtype=torch.long)
    return model.activations(model.encode_cells(torch.as_tensor(cells)[None]), model.pert_vectors(index), batch, layer)[
        0
    ]


def autoencoder(width=12, n=30):
    rng = torch.Generator().manual_seed(3)
    parts = (torch.randn(size, generator=rng) for size in ((width, n), (n,), (n, width), (width,)))
    return SparseAutoencoder(*parts, activation="relu")


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_features_are_mean_activations(layer):
    model, cells = build(), control_cells()
    found = features(model, cells, ["KD3", "KD1"], layer, centre=False)
    assert found.dims == ("kd", "feature")
    for kd in ("KD1", "KD3"):
        np.testing.assert_allclose(found.sel(kd=kd), activations(model, cells, kd, layer).mean(dim=0), rtol=1e-12)


def test_centring_subtracts_the_control_whatever_else_is_asked_for():
    model, cells = build(), control_cells()
    found = features(model, cells, ["KD3"], 2)
    wanted = activations(model, cells, "KD3", 2).mean(dim=0) - activations(model, cells, model.control, 2).mean(dim=0)
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-13)
    assert not features(model, cells, [model.control], 2).any()
    np.testing.assert_array_equal(features(model, cells, None, 2).sel(kd="KD3"), found[0])


def test_an_autoencoder_reads_each_cell_by_itself():
    model, cells, sae = build(), control_cells(), autoencoder()
    found = features(model, cells, ["KD0"], 1, sae=sae, centre=False)
    x = activations(model, cells, "KD0", 1)
    each = [((cell - sae.b_dec.double()) @ sae.W_enc.double() + sae.b_enc.double()).clamp_min(0) for cell in x]
    np.testing.assert_allclose(found[0], torch.stack(each).mean(dim=0), rtol=1e-12)


@pytest.mark.parametrize("layer", [-1, 3, True])
def test_layers_that_the_model_does_not_have(layer):
    with pytest.raises(InputError, match=f"layer {layer}; wanted 0"):
        features(build(), control_cells(), ["KD0"], layer)


def test_an_autoencoder_of_another_width_is_refused():
    with pytest.raises(InputError, match="autoencoder of 11 inputs; wanted 12"):
        features(build(), control_cells(), ["KD0"], 1, sae=autoencoder(11))


def test_features_have_the_same_bits_whatever_they_are_computed_with():
    model, cells = build(dtype=torch.float32), control_cells()
    whole = features(model, cells, None, 2)
    np.testing.assert_array_equal(features(model, cells, ["KD5", "KD2"], 2)[1], whole.sel(kd="KD2"))


@pytest.mark.parametrize("sae", [None, autoencoder()])
def test_features_stay_on_the_device(sae):
    model = build(dtype=torch.float32)
    with fake_cuda():
        move(model.module, "cuda")
        if sae is not None:
            parts = (torch.empty(x.shape, device="cuda") for x in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec))
            sae = SparseAutoencoder(*parts, activation="relu")
        encoded, vectors, batch = (torch.empty(size, device="cuda") for size in ((256, 12), (3, 12), (256,)))
        found = mean_features(model, encoded, vectors, batch.long(), 2, sae)
    assert (found.device.type, found.shape) == ("cuda", (3, 12 if sae is None else 30))
