from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import xarray as xr

from fixtures.run_folders import Shape, batch_names, gene_names, random_cells, write_run_folder
from jacprobe.errors import InputError
from jacprobe.models.state import load_run
from jacprobe.probes.instrument import (
    encoder_lookup_error,
    forward_parity,
    name_mismatches,
    permutation_error,
)
from jacprobe.probes.routing import jacobian_wrt_pert, onehot_norms
from jacprobe.probes.slopes import jacobian_slope_error, largest_slope, targeted_slope_error

if TYPE_CHECKING:
    from pathlib import Path

    from jacprobe.models.adapter import StateModel

SHAPE = Shape()
KDS = ["GENE0", "GENE6"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("run"), SHAPE, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def model(run: Path) -> StateModel:
    return load_run(run, device="cpu")


@pytest.fixture(scope="module")
def cells() -> xr.DataArray:
    batch = ("cell", np.array(batch_names(SHAPE))[[2, 0, 1, 2, 0, 1, 2, 0]])
    values = random_cells(SHAPE, np.random.default_rng(1))
    return xr.DataArray(values, dims=("cell", "gene"), coords={"gene": gene_names(SHAPE), "batch": batch})


def with_forward(model: StateModel, forward: Any) -> StateModel:
    """Return the model with another forward, as a mistaken adapter would have it."""
    changed = model.with_module(model.module, "changed")
    changed.forward = forward
    return changed


def test_parity_holds_and_is_broken_by_the_published_forward(model: StateModel, cells: xr.DataArray):
    parity = forward_parity(model, cells, KDS)
    assert parity.dims == ("kd",)
    assert parity["kd"].values.tolist() == KDS
    assert parity.max() < 1e-6
    assert forward_parity(with_forward(model, model.forward_published), cells, KDS).min() > 0.05


@pytest.mark.parametrize("batch", ["first", "own"])
def test_permuting_cells_is_rounding_and_a_causal_build_is_caught(
    run: Path, model: StateModel, cells: xr.DataArray, batch: Any
):
    error = permutation_error(model, cells, KDS, np.random.default_rng(0), permutations=4, batch=batch)
    assert error.dims == ("kd", "permutation")
    assert error.shape == (2, 4)
    assert error.max() < 1e-5
    causal = load_run(run, device="cpu", mask="causal")
    assert permutation_error(causal, cells, KDS, np.random.default_rng(0), permutations=4, batch=batch).max() > 1e-2


def test_jacobians_are_slopes_in_genuine_float64(model: StateModel, cells: xr.DataArray):
    error = jacobian_slope_error(model, cells, KDS, np.random.default_rng(0), directions=3)
    assert error.dims == ("kd", "direction")
    assert error.max() < 1e-7
    assert error.attrs["left_out"] < 0.02 * 2 * 3 * 30
    assert error.attrs["engine"] == "local"


def test_a_wrong_jacobian_and_a_false_float64_are_caught(model: StateModel, cells: xr.DataArray):
    exact = model.to(dtype="float64")
    wrong = with_forward(exact, exact.forward_published)
    assert jacobian_slope_error(wrong, cells, KDS, np.random.default_rng(0), directions=3).max() > 1e-3

    false: Any = with_forward(exact, exact.forward)
    false.preactivation = lambda *given: exact.preactivation(*given).float().double()
    assert jacobian_slope_error(false, cells, KDS, np.random.default_rng(0), directions=3).max() > 1e-5


def test_kinks_are_left_out_and_counted(model: StateModel, cells: xr.DataArray):
    state = model.module.state_dict()
    state = {name: value.clone() for name, value in state.items()}
    # Outputs 0 to 9 are shut by nothing: their argument is exactly 0 in every cell.
    state["project_out.0.weight"][:10], state["project_out.0.bias"][:10] = 0, 0
    module = model.fresh_module(0)
    module.load_state_dict(state)
    kinked = model.with_module(module, "ten outputs at the kink")
    error = jacobian_slope_error(kinked, cells, KDS, np.random.default_rng(0), directions=2)
    assert error.attrs["left_out"] >= 10 * 2 * 2
    assert error.max() < 1e-7


def test_targeted_jacobians_are_slopes_too(model: StateModel, cells: xr.DataArray):
    regulators, targets = ["GENE1", "GENE3"], ["GENE0", "GENE2", "GENE5"]
    error = targeted_slope_error(model, cells, KDS, regulators, targets)
    assert error.dims == ("kd", "regulator", "target")
    assert error.shape == (2, 2, 3)
    assert error.max() < 1e-7
    exact = model.to(dtype="float64")
    wrong = with_forward(exact, exact.forward_published)
    assert targeted_slope_error(wrong, cells, KDS, regulators, targets).max() > 1e-3


def test_outputs_that_never_move_have_no_slope(model: StateModel, cells: xr.DataArray):
    J = jacobian_wrt_pert(model, cells, KDS)
    np.testing.assert_array_equal(largest_slope(J), np.abs(J.values).max(axis=(0, 2)))
    np.testing.assert_array_equal(largest_slope(J * (np.arange(30) > 3)[:, None])[:4], 0)


def test_onehot_norms_are_those_of_the_product(model: StateModel, cells: xr.DataArray):
    J = jacobian_wrt_pert(model, cells, KDS)
    W = model.pert_linear()[0].numpy().astype(np.float64)
    wanted = [np.linalg.norm(one @ W) for one in J.values.astype(np.float64)]
    np.testing.assert_allclose(onehot_norms(J, model), wanted, rtol=1e-10)


def test_a_model_without_float64_is_refused(model: StateModel, cells: xr.DataArray):
    class Fixed:
        dtype = torch.float32

    fixed: Any = Fixed()
    with pytest.raises(InputError, match=r"a Fixed in torch\.float32; wanted a model in float64"):
        jacobian_slope_error(fixed, cells, KDS, np.random.default_rng(0))


def test_names_and_counts_agree(model: StateModel, cells: xr.DataArray):
    found = name_mismatches(model, cells, {"genes": 30, "knockdowns": 11, "latent": 16, "batches": 3})
    assert found.dims == ("check",)
    assert not found.any()


def test_each_disagreement_is_counted(model: StateModel, cells: xr.DataArray):
    swapped = cells.isel(gene=[1, 0, *range(2, 30)])
    strange = swapped.assign_coords(batch=("cell", ["gem9"] * 8))
    found = name_mismatches(model, strange, {"genes": 2000}).to_series()
    assert found["genes of the cells under other names or in another order"] == 2
    assert found["batches of the cells that the model does not know"] == 1
    assert found["genes against the study"] == 1970
    assert found.sum() == 1973
    with pytest.raises(InputError, match="counts of heads; wanted counts of genes"):
        name_mismatches(model, cells, {"heads": 12})


def test_an_encoder_of_one_layer_is_a_table(model: StateModel):
    error = encoder_lookup_error(model)
    assert error.dims == ("kd",)
    assert error.max() < 1e-6


def test_an_encoder_of_two_layers_is_no_table(model: StateModel):
    module: Any = model.fresh_module(0)
    hidden = SHAPE.hidden
    module.pert_encoder = torch.nn.Sequential(
        module.pert_encoder[0], torch.nn.GELU(), torch.nn.Linear(hidden, hidden)
    ).requires_grad_(False)
    assert encoder_lookup_error(model.with_module(module, "two layers")).min() > 0.1
