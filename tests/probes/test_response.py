from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import xarray as xr

from fixtures.run_folders import Shape, batch_names, random_cells, write_run_folder
from jacprobe.errors import InputError, UnknownNameError
from jacprobe.models.protocol import DifferentiableInPert
from jacprobe.models.state import load_run
from jacprobe.probes.response import delta, predict

if TYPE_CHECKING:
    from jacprobe.models.adapter import StateModel

SHAPE = Shape()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StateModel:
    return load_run(write_run_folder(tmp_path_factory.mktemp("run"), SHAPE, rng=np.random.default_rng(0)), device="cpu")


@pytest.fixture(scope="module")
def cells() -> xr.DataArray:
    values = random_cells(SHAPE, np.random.default_rng(1))
    batch = np.array(batch_names(SHAPE))[[2, 0, 1, 2, 0, 1, 2, 0]]
    names = [f"GENE{i}" for i in range(SHAPE.genes)]
    coords = {"gene": names, "cell": [f"c{i}" for i in range(8)], "batch": ("cell", batch)}
    return xr.DataArray(values, dims=("cell", "gene"), coords=coords)


class Opaque:
    """A model that predicts and shows nothing else."""

    def __init__(self, model: StateModel) -> None:
        for name in ("genes", "perturbations", "control", "batches", "cell_set_len", "any_set_len", "split"):
            setattr(self, name, getattr(model, name))
        for name in ("weights_sha256", "provenance", "device", "dtype", "predict_step"):
            setattr(self, name, getattr(model, name))


def one_by_one(model: StateModel, cells: xr.DataArray, names: list[str], batch: list[int]) -> np.ndarray:
    """Return the model's own prediction of each perturbation alone."""
    x, index = torch.from_numpy(cells.values)[None], torch.tensor([batch])
    kds = [torch.tensor([model.perturbations.index(name)]) for name in names]
    return np.stack([model.predict_step(x, kd, index)[0].numpy() for kd in kds])


def test_predictions_carry_names_and_are_the_models_own(model: StateModel, cells: xr.DataArray):
    kds = ["GENE4", "non-targeting", "GENE0"]
    y = predict(model, cells, kds, cells="each")
    assert y.dims == ("kd", "cell", "gene")
    assert y["kd"].values.tolist() == kds
    assert y["cell"].values.tolist() == cells["cell"].values.tolist()
    assert y["gene"].values.tolist() == list(model.genes)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.values, one_by_one(model, cells, kds, [0] * 8), atol=1e-6)
    mean = predict(model, cells, kds)
    assert mean.dims == ("kd", "gene")
    np.testing.assert_allclose(mean.values, y.values.mean(axis=1), atol=1e-6)
    assert (mean.attrs["units"], mean.attrs["batch"]) == ("log1p-normalised expression", "first")


def test_own_batches_are_those_of_the_cells(model: StateModel, cells: xr.DataArray):
    y = predict(model, cells, ["GENE4"], cells="each", batch="own")
    np.testing.assert_allclose(y.values, one_by_one(model, cells, ["GENE4"], [2, 0, 1, 2, 0, 1, 2, 0]), atol=1e-6)
    assert not np.allclose(y.values, predict(model, cells, ["GENE4"], cells="each").values, atol=1e-2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("batch_size", [None, 1, 5])
def test_a_number_does_not_depend_on_what_else_was_asked_for(
    model: StateModel, cells: xr.DataArray, seed: int, batch_size: int | None
):
    rng = np.random.default_rng(seed)
    some = rng.permutation(model.perturbations)[: rng.integers(1, 13)].tolist()
    everything = predict(model, cells, batch_size=batch_size)
    assert everything["kd"].values.tolist() == list(model.perturbations)
    assert np.array_equal(predict(model, cells, some, batch_size=batch_size).values, everything.sel(kd=some).values)


def test_delta_is_perturbed_minus_control(model: StateModel, cells: xr.DataArray):
    response = delta(model, cells)
    y = predict(model, cells)
    assert np.array_equal(response.values, y.values - y.sel(kd="non-targeting").values)
    assert np.abs(response.sel(kd="GENE4")).max() > 0.01
    assert not response.sel(kd="non-targeting").any()
    assert response.attrs["direction"] == "perturbed - non-targeting"
    assert delta(model, cells, ["GENE4"], cells="each").dims == ("kd", "cell", "gene")


def test_the_control_of_a_delta_goes_through_the_pass_that_tries_the_places(model: StateModel, cells: xr.DataArray):
    passes = []
    head = model.module.get_submodule("project_out")
    handle = head.register_forward_hook(lambda _module, args, _output: passes.append(len(args[0])))
    try:
        delta(model, cells, ["GENE4", "GENE2", "GENE0"], batch_size=3)
    finally:
        handle.remove()
    assert passes == [3, 3]


def test_a_model_whose_bits_depend_on_the_place_is_run_set_by_set(model: StateModel, cells: xr.DataArray):
    opaque: Any = Opaque(model)
    own = model.predict_step
    opaque.predict_step = lambda x, kd, batch: own(x, kd, batch) * (1 + 1e-6 * torch.arange(len(x))[:, None, None])
    kds = ["GENE4", "GENE2", "GENE0"]
    assert np.array_equal(predict(opaque, cells, kds).values, predict(opaque, cells, kds[::-1]).values[::-1])


def test_a_single_name_is_one_perturbation(model: StateModel, cells: xr.DataArray):
    assert predict(model, cells, "GENE4")["kd"].values.tolist() == ["GENE4"]


def test_float64_models_give_float64(model: StateModel, cells: xr.DataArray):
    exact = predict(model.to(dtype="float64"), cells)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(predict(model, cells).values, exact.values, atol=2e-5)
    assert exact.attrs["weights_sha256"] == predict(model, cells).attrs["weights_sha256"]


def test_a_model_that_only_predicts_will_do(model: StateModel, cells: xr.DataArray):
    opaque: Any = Opaque(model)
    assert not isinstance(opaque, DifferentiableInPert)
    np.testing.assert_allclose(predict(opaque, cells).values, predict(model, cells).values, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturbations": ["GENE4", "GENE4"]}, "GENE4 twice; wanted at least one name, each once"),
        ({"perturbations": []}, "no perturbations"),
        ({"cells": "median"}, "cells='median'; wanted 'mean' or 'each'"),
        ({"batch_size": 0}, "batch_size=0; wanted at least 1"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    model: StateModel, cells: xr.DataArray, options: dict[str, Any], message: str
):
    with pytest.raises(InputError, match=message):
        predict(model, cells, **options)


def test_every_unknown_perturbation_is_listed_with_near_names(model: StateModel, cells: xr.DataArray):
    with pytest.raises(UnknownNameError, match=r"unknown perturbation GENE40 \(nearest: GENE4.*\), XYZ"):
        predict(model, cells, ["GENE40", "GENE4", "XYZ"])
