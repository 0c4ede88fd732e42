from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, random_cells, write_run_folder
from jacprobe.errors import InputError
from jacprobe.models.protocol import Castable, HasLayers, HasModule, LinearPertEncoder, Rectified
from jacprobe.models.state import load_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacprobe.models.adapter import StateModel

SHAPE = Shape()
KDS = [0, 7]
BATCH = np.array([[0] * 8, [2, 1, 0, 2, 1, 0, 2, 1]])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StateModel:
    folder = write_run_folder(tmp_path_factory.mktemp("run"), SHAPE, rng=np.random.default_rng(0))
    return load_run(folder, device="cpu")


@pytest.fixture(scope="module")
def cells() -> NDArray:
    return np.stack([random_cells(SHAPE, np.random.default_rng(i)) for i in (1, 2)])


def arguments(model: StateModel, cells: NDArray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded cells, vectors and batches of two sets."""
    x = torch.as_tensor(cells, dtype=model.dtype)
    return model.encode_cells(x), model.pert_vectors(torch.tensor(KDS)), torch.from_numpy(BATCH)


class Reference:
    """The model written out in NumPy, float64, from its weights alone: slow, one set at a time."""

    def __init__(self, model: StateModel, residual: bool = True) -> None:
        self.w = {name: value.double().numpy() for name, value in model.module.state_dict().items()}
        self.residual = residual

    def norm(self, x: NDArray, name: str) -> NDArray:
        return self.w[f"{name}.weight"] * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)

    def layer(self, x: NDArray, i: int) -> NDArray:
        p = f"transformer_backbone.layers.{i}"
        n = self.norm(x, f"{p}.input_layernorm")
        heads = []
        for h in range(SHAPE.heads):
            rows = slice(h * SHAPE.head_dim, (h + 1) * SHAPE.head_dim)
            q, k, v = (n @ self.w[f"{p}.self_attn.{name}_proj.weight"][rows].T for name in "qkv")
            logits = q @ k.T / np.sqrt(SHAPE.head_dim)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v)
        x = x + np.concatenate(heads, -1) @ self.w[f"{p}.self_attn.o_proj.weight"].T
        n = self.norm(x, f"{p}.post_attention_layernorm")
        gate = n @ self.w[f"{p}.mlp.gate_proj.weight"].T
        up = n @ self.w[f"{p}.mlp.up_proj.weight"].T
        return x + (gate / (1 + np.exp(-gate)) * up) @ self.w[f"{p}.mlp.down_proj.weight"].T

    def streams(self, cells: NDArray, kd: int, batch: NDArray) -> list[NDArray]:
        cc = cells @ self.w["basal_encoder.0.weight"].T + self.w["basal_encoder.0.bias"]
        pert = self.w["pert_encoder.0.weight"][:, kd] + self.w["pert_encoder.0.bias"]
        stream = [cc + pert + self.w["batch_encoder.weight"][batch]]
        for i in range(SHAPE.layers):
            stream.append(self.layer(stream[-1], i))
        return [*stream, cc]

    def predict(self, cells: NDArray, kd: int, batch: NDArray) -> NDArray:
        *_, last, cc = self.streams(cells, kd, batch)
        h = self.norm(last, "transformer_backbone.norm") + (cc if self.residual else 0)
        return np.maximum(h @ self.w["project_out.0.weight"].T + self.w["project_out.0.bias"], 0)

    def sets(self, cells: NDArray) -> NDArray:
        return np.stack([self.predict(c, kd, b) for c, kd, b in zip(cells.astype(float), KDS, BATCH, strict=True)])


def test_state_has_every_capability(model: StateModel):
    assert all(isinstance(model, kind) for kind in (HasLayers, HasModule, Rectified, Castable, LinearPertEncoder))


def test_forward_is_predict_step_bit_for_bit(model: StateModel, cells: NDArray):
    ours = model.forward(*arguments(model, cells))
    theirs = model.predict_step(torch.from_numpy(cells), torch.tensor(KDS), torch.from_numpy(BATCH))
    assert torch.equal(ours, theirs)
    assert (ours > 0).float().mean() > 0.3


@pytest.mark.parametrize("n_cells", [3, 5, 12])
def test_sets_of_other_sizes_are_predicted_one_by_one(model: StateModel, n_cells: int):
    x = torch.from_numpy(random_cells(SHAPE, np.random.default_rng(3), 2 * n_cells)).reshape(2, n_cells, -1)
    # As many cells as batches: arc-state would take a second axis of that length for one-hot vectors.
    batch = torch.arange(2 * n_cells).reshape(2, n_cells) % SHAPE.batches
    kds = torch.tensor(KDS)
    ours = model.forward(model.encode_cells(x), model.pert_vectors(kds), batch)
    assert torch.allclose(ours, model.predict_step(x, kds, batch), atol=1e-6)


def test_float64_is_genuine(model: StateModel, cells: NDArray):
    exact = model.to(dtype="float64")
    wanted = Reference(model).sets(cells)
    found = exact.forward(*arguments(exact, cells))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-13)
    stepped = exact.predict_step(torch.from_numpy(cells).double(), torch.tensor(KDS), torch.from_numpy(BATCH))
    np.testing.assert_allclose(stepped.numpy(), wanted, rtol=0, atol=1e-13)


def test_float32_agrees_with_the_reference(model: StateModel, cells: NDArray):
    np.testing.assert_allclose(model.forward(*arguments(model, cells)).numpy(), Reference(model).sets(cells), atol=2e-5)


def test_the_published_forward_leaves_out_the_residual_and_is_another_function(model: StateModel, cells: NDArray):
    exact = model.to(dtype="float64")
    published = exact.forward_published(*arguments(exact, cells)).numpy()
    np.testing.assert_allclose(published, Reference(model, residual=False).sets(cells), rtol=0, atol=1e-13)
    assert np.abs(published - Reference(model).sets(cells)).max() > 0.1


def test_preactivation_is_what_the_relu_sees(model: StateModel, cells: NDArray):
    given = arguments(model, cells)
    z = model.preactivation(*given)
    assert (z < 0).any()
    assert torch.equal(z.relu(), model.forward(*given))


@pytest.mark.parametrize("layer", range(SHAPE.layers + 1))
def test_activations_are_the_residual_stream(model: StateModel, cells: NDArray, layer: int):
    exact = model.to(dtype="float64")
    found = exact.activations(*arguments(exact, cells), layer=layer).numpy()
    for i, kd in enumerate(KDS):
        wanted = Reference(model).streams(cells[i].astype(float), kd, BATCH[i])[layer]
        np.testing.assert_allclose(found[i], wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("layer", [-1, 3])
def test_a_layer_that_is_not_there_is_refused(model: StateModel, cells: NDArray, layer: int):
    with pytest.raises(InputError, match=rf"layer {layer}; wanted 0 \(the input\) to 2"):
        model.activations(*arguments(model, cells), layer=layer)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own forward-mode rules
def test_forward_and_reverse_mode_agree(model: StateModel, cells: NDArray, dtype: str):
    subject: Any = model.to(dtype=dtype)
    encoded, pert, batch = arguments(subject, cells)

    def mean(p: torch.Tensor) -> torch.Tensor:
        return subject.forward(encoded[:1], p[None], batch[:1]).mean(dim=(0, 1))

    identity = torch.eye(subject.latent_dim, dtype=subject.dtype)
    forward = torch.vmap(lambda v: torch.func.jvp(mean, (pert[0],), (v,))[1])(identity).T
    reverse = torch.func.jacrev(mean)(pert[0])
    assert forward.abs().max() > 0.01
    assert torch.allclose(forward, reverse, atol=1e-6 if dtype == "float32" else 1e-14)


def test_going_to_float64_and_back_changes_nothing(model: StateModel, cells: NDArray):
    back = model.to(dtype="float64").to(dtype="float32")
    assert torch.equal(back.forward(*arguments(back, cells)), model.forward(*arguments(model, cells)))
    assert back.weights_sha256 == model.to(dtype="float64").weights_sha256 == model.weights_sha256
    assert model.to(dtype="float32") is model


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there_is_refused(model: StateModel):
    with pytest.raises(InputError, match=r"device cuda: .*Use device='cpu'"):
        model.to(device="cuda")


def test_other_weights_have_another_hash_and_say_what_they_are(model: StateModel, cells: NDArray):
    other = model.with_module(model.fresh_module(seed=1), "untrained")
    assert other.provenance["weights"] == "untrained"
    assert other.weights_sha256 == other.provenance["weights_sha256"] != model.weights_sha256
    assert other.genes == model.genes
    assert not torch.equal(other.forward(*arguments(other, cells)), model.forward(*arguments(model, cells)))


def test_a_seed_gives_the_same_untrained_module(model: StateModel):
    def weights(seed: int) -> str:
        return model.with_module(model.fresh_module(seed), "untrained").weights_sha256

    assert weights(1) == weights(1) != weights(2)


def test_the_vector_of_a_perturbation_is_its_column(model: StateModel):
    weight, bias = model.pert_linear()
    vectors = model.pert_vectors(torch.arange(SHAPE.perturbations))
    assert torch.equal(vectors, weight.T + bias)
