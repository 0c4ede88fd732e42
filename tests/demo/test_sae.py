from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from fixtures.tiny_state import build, control_cells
from jacprobe.demo.family import FAMILY, Recipe, SaeRecipe
from jacprobe.demo.sae import layer_activations, seen_by_all, train_autoencoders, write_sae
from jacprobe.demo.topk import fit_topk, quality, revival
from jacprobe.errors import InputError
from jacprobe.probes.sae import SparseAutoencoder, load_sae
from jacprobe.streams import stream

ATOMS, WIDTH, ACTIVE = 32, 16, 2
SMALL = SaeRecipe(k=ACTIVE, expansion=4, rounds=3, steps=600, batch_size=128, learning_rate=1e-2, quiet_steps=50)
SHORT = replace(SMALL, steps=20)


def planted(n: int = 4096, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that are sums of two of 32 unit vectors in 16 dimensions, with lengths in U(1, 2), about a common point."""
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((ATOMS, WIDTH))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    which = rng.permuted(np.tile(np.arange(ATOMS), (n, 1)), axis=1)[:, :ACTIVE]
    x = np.einsum("na,nad->nd", rng.uniform(1, 2, which.shape), atoms[which]) + rng.standard_normal(WIDTH)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(atoms, dtype=torch.float32)


def nearest(atoms: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Cosine of each atom with the direction that is nearest to it."""
    return (atoms @ torch.nn.functional.normalize(directions, dim=1).mT).amax(dim=1)


def fitted(recipe: SaeRecipe = SHORT, seed: int = 0, x: torch.Tensor | None = None) -> SparseAutoencoder:
    return fit_topk(planted()[0] if x is None else x, recipe, stream(seed, "sae"))


def weights(sae: SparseAutoencoder) -> list[torch.Tensor]:
    return [sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec]


def same(a: SparseAutoencoder, b: SparseAutoencoder) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_a_planted_dictionary_is_recovered():
    _, atoms = planted()
    found = nearest(atoms, fitted(SMALL).W_dec)
    chance = nearest(atoms, torch.as_tensor(np.random.default_rng(1).standard_normal((64, WIDTH))).float())
    assert chance.max() < 0.9
    assert found.median() > 0.98
    assert (found > 0.95).double().mean() > 0.8


def test_cells_not_seen_are_rendered_as_well():
    x, _ = planted(2 * 4096)
    sae = fitted(SMALL, x=x[:4096])
    seen, unseen = (quality(sae, part.reshape(4, 16, 64, WIDTH)) for part in (x[:4096], x[4096:]))
    assert unseen.explained_variance > 0.9
    assert abs(seen.explained_variance - unseen.explained_variance) < 0.02
    assert unseen.l0 <= ACTIVE


def test_the_same_stream_gives_the_same_bits_and_leaves_the_global_state():
    before = torch.random.get_rng_state()
    assert same(fitted(seed=3), fitted(seed=3))
    assert not same(fitted(seed=3), fitted(seed=4))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_features_are_lengths_in_units_of_the_activations():
    x, _ = planted()
    one, four = fitted(x=x), fitted(x=4 * x)
    torch.testing.assert_close(one.W_dec.norm(dim=1), torch.ones(64), rtol=1e-6, atol=0)
    assert torch.equal(four.encode(4 * x), 4 * one.encode(x))
    assert torch.equal(four.W_dec, one.W_dec)


@pytest.mark.parametrize("seed", [0, 1])
def test_silent_features_are_drawn_back(seed: int):
    """At ten times the usual rate, beside one direction that outweighs all others, half of the features die."""
    outweighing = torch.tensor(np.random.default_rng(seed).exponential(8, (4096, 1))).float() * torch.eye(WIDTH)[0]
    x = planted()[0] + outweighing
    harsh = replace(SMALL, steps=300, learning_rate=3e-2)
    with_revival, without = (
        quality(fitted(replace(harsh, quiet_steps=quiet), seed, x), x.reshape(4, 16, 64, WIDTH)).dead_features
        for quiet in (20, 10**6)
    )
    assert without > 20
    assert with_revival < without / 2


def test_only_dead_features_take_part_in_the_revival():
    z = torch.randn(8, 12, generator=torch.Generator().manual_seed(0), requires_grad=True)
    W_dec, error, dead = torch.eye(12)[:, :6], torch.ones(8, 6), torch.arange(12) < 3
    assert revival(z, torch.zeros(12, dtype=torch.bool), error, W_dec) == 0
    revival(z, dead, error, W_dec).backward()
    assert z.grad is not None
    assert z.grad[:, :3].any()
    assert not z.grad[:, 3:].any()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(100, 4), "100 activations; wanted at least 128"),
        (torch.ones(200, 4), "activations that are all alike"),
    ],
    ids=["few", "alike"],
)
def test_activations_that_cannot_be_learned_from_are_refused(x, message):
    with pytest.raises(InputError, match=message):
        fitted(x=x)


def test_quality_is_that_of_its_definition():
    x = planted(240)[0].reshape(2, 4, 30, WIDTH) + torch.eye(4, WIDTH).reshape(1, 4, 1, WIDTH)
    sae = fitted()
    rows = x.reshape(-1, WIDTH).double().numpy()
    features = sae.encode(x.reshape(-1, WIDTH)).double().numpy()
    decoded = features @ sae.W_dec.double().numpy() + sae.b_dec.double().numpy()

    def explained(true: np.ndarray, rendered: np.ndarray) -> float:
        return 1 - ((true - rendered) ** 2).sum() / ((true - true.mean(axis=0)) ** 2).sum()

    found = quality(sae, x)
    assert found.explained_variance == pytest.approx(explained(rows, decoded), abs=1e-6)
    means = [y.reshape(2, 4, 30, WIDTH).mean(axis=(0, 2)) for y in (rows, decoded)]
    assert found.explained_variance_of_means == pytest.approx(explained(*means), abs=1e-6)
    assert found.l0 == (features > 0).sum() / 240
    assert found.dead_features == (features.max(axis=0) == 0).sum()


def test_what_is_written_is_read_back_identical(tmp_path: Path):
    sae = fitted()
    write_sae(sae, tmp_path / "deep" / "sae", {"layer": 2})
    read = load_sae(tmp_path / "deep" / "sae")
    assert same(read, sae)
    assert (read.activation, read.k, read.centred) == ("topk", ACTIVE, True)
    assert {path.name for path in (tmp_path / "deep" / "sae").iterdir()} == {"cfg.json", "sae_weights.safetensors"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["sae"]


def test_every_perturbation_is_given_the_next_set_of_cells():
    model, cells = build(), control_cells(7 * 5)
    found = layer_activations(model, cells, 1)
    assert found.shape == (7, 5, 12)
    for i in (0, 4):
        encoded = model.encode_cells(torch.as_tensor(cells[5 * i : 5 * i + 5])[None])
        wanted = model.activations(encoded, model.pert_vectors(torch.tensor([i])), torch.zeros(1, 5).long(), 1)
        torch.testing.assert_close(found[i], wanted[0], rtol=1e-12, atol=1e-12)


def test_all_perturbations_are_measured_on_the_same_cells():
    model, cells = build(), xr.DataArray(control_cells(10), dims=("cell", "gene"), coords={"gene": list(build().genes)})
    found = seen_by_all(model, cells, 1, sets=2)
    assert found.shape == (2, 7, 5, 12)
    encoded = model.encode_cells(torch.as_tensor(cells.values[5:])[None])
    wanted = model.activations(encoded, model.pert_vectors(torch.tensor([3])), torch.zeros(1, 5).long(), 1)
    torch.testing.assert_close(found[1, 3], wanted[0], rtol=1e-12, atol=1e-12)


RECIPE = Recipe(layers=2, sae=replace(SMALL, rounds=4, steps=60, batch_size=64, expansion=8))


@pytest.fixture
def tiny_family(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts tiny models and random cells in the place of run folders and simulation; records what was loaded."""
    loaded: list[str] = []

    def load_run(folder: Path, device: str):
        loaded.append(folder.name)
        return build(seed=len(folder.name), dtype=torch.float32)

    def draw_cells(_truth, _line, knockdown, rng):
        return np.abs(rng.normal(size=(len(knockdown), 23))).astype(np.float32), None

    def read_cells(_path, model, cell_line):
        cells = control_cells(40, seed=len(cell_line)).astype(np.float32)
        return xr.DataArray(cells, dims=("cell", "gene"), coords={"gene": list(model.genes)})

    monkeypatch.setattr("jacprobe.models.state.load_run", load_run)
    monkeypatch.setattr("jacprobe.demo.simulate.draw_cells", draw_cells)
    monkeypatch.setattr("jacprobe.cells.read_cells", read_cells)
    return loaded


class Planned:
    """A truth of which nothing but the names of the lines is read."""

    class plan:  # noqa: N801
        lines = ("hepg2", "jurkat")


def trained(out: Path, report=lambda _model, _steps: None) -> dict[str, bytes]:
    train_autoencoders(FAMILY, RECIPE, Planned, 5, out, report)  # pyright: ignore[reportArgumentType]
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_models_that_claims_speak_of_get_one_each(tmp_path: Path, tiny_family: list[str]):
    steps: dict[str, list[int]] = {}
    trained(tmp_path, lambda model, done: steps.setdefault(model.role, []).append(done))
    assert list(steps) == ["fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2"]
    assert all(done == sorted(done) and done[-1] == 60 for done in steps.values())
    assert tiny_family == ["fewshot-hepg2", "fewshot-jurkat", "zeroshot-hepg2"]
    cfg = json.loads((tmp_path / "sae" / "fewshot-jurkat" / "cfg.json").read_text())
    assert (cfg["architecture"], cfg["d_in"], cfg["d_sae"], cfg["k"]) == ("topk", 12, 96, 2)
    assert (cfg["metadata"]["model_name"], cfg["metadata"]["layer"]) == ("fewshot/jurkat", 1)
    assert cfg["metadata"]["l0"] <= 2


def test_files_are_the_same_whatever_the_number_of_threads(tmp_path: Path, tiny_family: list[str]):
    threads = torch.get_num_threads()
    first = trained(tmp_path / "a")
    torch.set_num_threads(2)
    try:
        assert trained(tmp_path / "b") == first
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_an_interrupted_training_goes_on_with_what_is_left(tmp_path: Path, tiny_family: list[str]):
    whole = trained(tmp_path / "whole")

    def interrupt(model, done: int) -> None:
        if (model.role, done) == ("fewshot/jurkat", 50):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", interrupt)
    assert [path.name for path in (tmp_path / "cut" / "sae").iterdir()] == ["fewshot-hepg2"]
    tiny_family.clear()
    assert trained(tmp_path / "cut") == whole
    assert tiny_family == ["fewshot-jurkat", "zeroshot-hepg2"]
