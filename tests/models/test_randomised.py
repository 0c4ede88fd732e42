from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, random_cells, write_run_folder
from jacprobe.errors import InputError
from jacprobe.models.randomised import permute_onehot, randomise
from jacprobe.models.state import load_run

if TYPE_CHECKING:
    from jacprobe.models.adapter import StateModel

SHAPE = Shape()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StateModel:
    """A model none of whose weights is as its class draws it: all shifted by .05."""
    loaded = load_run(
        write_run_folder(tmp_path_factory.mktemp("run"), SHAPE, rng=np.random.default_rng(0)), device="cpu"
    )
    module = loaded.fresh_module(99)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05)
    return loaded.with_module(module, "shifted")


def predict(model: StateModel, kd: int) -> torch.Tensor:
    cells = torch.from_numpy(random_cells(SHAPE, np.random.default_rng(1), 8))[None].to(model.dtype)
    return model.predict_step(cells, torch.tensor([kd]), torch.zeros(1, 8, dtype=torch.long))


def parameters(model: StateModel) -> dict[str, torch.Tensor]:
    return dict(model.module.named_parameters())


@pytest.mark.parametrize(
    ("what", "redrawn"),
    [
        ("all", lambda _name: True),
        ("body", lambda name: not name.startswith("pert_encoder.")),
        ("pert_encoder", lambda name: name.startswith("pert_encoder.")),
    ],
)
def test_every_parameter_of_the_part_is_redrawn_and_no_other(model: StateModel, what, redrawn):
    copy = randomise(model, what, seed=1)
    for name, weight in parameters(model).items():
        same = (parameters(copy)[name] == weight).float().mean().item()
        assert same < 0.01 if redrawn(name) else same == 1, name


def test_linears_follow_their_init_law(model: StateModel):
    """PyTorch draws weights and biases of a Linear from U(-1/sqrt(fan in), 1/sqrt(fan in)): sd 1/sqrt(3 fan in)."""
    copies = [parameters(randomise(model, "all", seed=seed)) for seed in range(20)]
    for name in ("pert_encoder.0", "basal_encoder.0", "project_out.0"):
        fan_in = copies[0][f"{name}.weight"].shape[1]
        for kind in ("weight", "bias"):
            drawn = torch.cat([copy[f"{name}.{kind}"].flatten() for copy in copies])
            assert drawn.abs().max() <= fan_in**-0.5
            assert drawn.std() == pytest.approx((3 * fan_in) ** -0.5, rel=4 / np.sqrt(len(drawn)) + 0.01)
            assert abs(drawn.mean()) < 5 * drawn.std() / np.sqrt(len(drawn))


def test_backbone_follows_its_init_law(model: StateModel):
    """Llama draws its Linears from N(0, initializer_range) and starts its norms at one."""
    backbone: Any = model.fresh_module(0).transformer_backbone
    config = backbone.config
    drawn = parameters(randomise(model, "body", seed=3))
    projections = [
        w.flatten() for name, w in drawn.items() if "transformer_backbone.layers" in name and "_proj" in name
    ]
    pooled = torch.cat(projections)
    assert pooled.std() == pytest.approx(config.initializer_range, rel=4 / np.sqrt(len(pooled)))
    standardised = pooled / config.initializer_range
    assert (standardised**4).mean() == pytest.approx(3, abs=5 * np.sqrt(96 / len(pooled)))
    norms = [weight for name, weight in drawn.items() if "norm" in name]
    assert norms
    assert all(torch.equal(weight, torch.ones_like(weight)) for weight in norms)


def test_one_seed_is_one_draw_whatever_the_part(model: StateModel):
    whole, again, other = (randomise(model, "all", seed=seed) for seed in (5, 5, 6))
    assert whole.weights_sha256 == again.weights_sha256 != other.weights_sha256
    encoder = parameters(randomise(model, "pert_encoder", seed=5))
    assert torch.equal(encoder["pert_encoder.0.weight"], parameters(whole)["pert_encoder.0.weight"])


def test_the_original_and_the_global_random_state_stay_as_they_are(model: StateModel):
    before, state, prediction = model.weights_sha256, torch.get_rng_state(), predict(model, 3)
    copy = randomise(model, "all", seed=1)
    permute_onehot(model, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(predict(model, 3), prediction)
    assert model.weights_sha256 == before != copy.weights_sha256
    assert copy.provenance["weights"] == "all re-drawn, seed 1"


@pytest.mark.parametrize("what", ["all", "body", "pert_encoder"])
def test_redrawn_models_predict_something_else_reproducibly(model: StateModel, what):
    copy = randomise(model, what, seed=2)
    assert torch.equal(predict(copy, 3), predict(randomise(model, what, seed=2), 3))
    assert (predict(copy, 3) - predict(model, 3)).abs().max() > 1e-3


def test_an_untrained_copy_in_float64_is_the_same_function(model: StateModel):
    single = randomise(model, "all", seed=4)
    double = randomise(model.to(dtype=torch.float64), "all", seed=4)
    assert double.dtype == torch.float64
    torch.testing.assert_close(predict(double, 3).float(), predict(single, 3), rtol=1e-5, atol=1e-5)


def test_permuted_onehots_swap_the_knockdowns_predictions(model: StateModel):
    copy = permute_onehot(model, seed=1)
    original = torch.stack([predict(model, kd) for kd in range(len(model.perturbations))]).flatten(1)
    permuted = torch.stack([predict(copy, kd) for kd in range(len(model.perturbations))]).flatten(1)
    source = torch.cdist(permuted, original).argmin(dim=1)
    assert torch.equal(permuted, original[source])
    assert sorted(source.tolist()) == list(range(len(model.perturbations)))
    control = model.perturbations.index(model.control)
    assert source[control] == control
    assert (source != torch.arange(len(source))).float().mean() > 0.5


def test_permutation_is_reproducible(model: StateModel):
    assert permute_onehot(model, seed=1).weights_sha256 == permute_onehot(model, seed=1).weights_sha256
    assert permute_onehot(model, seed=1).weights_sha256 != permute_onehot(model, seed=2).weights_sha256


def test_an_unknown_part_is_refused(model: StateModel):
    with pytest.raises(InputError, match="what = 'decoder'; wanted 'all', 'body' or 'pert_encoder'"):
        randomise(model, "decoder")  # pyright: ignore[reportArgumentType]
