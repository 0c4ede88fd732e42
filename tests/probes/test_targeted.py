from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from fixtures.elsewhere import move, strict_meta
from fixtures.tiny_state import build, control_cells
from jacprobe.errors import InputError, UnknownNameError
from jacprobe.probes.targeted import target_gradients, targeted_jacobian

REGULATORS, TARGETS, KDS = ["G4", "G0", "G9"], ["G7", "G4"], ["KD2", "KD0", "KD5"]


def one_triple_at_a_time(model, cells, kd, regulator, target):
    """Raise one gene by h in all cells, both ways, and read one other gene's mean prediction."""
    h, index = 1e-6, torch.tensor([model.perturbations.index(kd)])
    column, row = model.genes.index(regulator), model.genes.index(target)
    found = []
    for step in (h, -h):
        moved = torch.as_tensor(cells).clone()
        moved[:, column] += step
        Y = model.predict_step(moved[None], index, torch.zeros(1, len(cells), dtype=torch.long))
        found.append(float(Y[0, :, row].mean()))
    return (found[0] - found[1]) / (2 * h)


@pytest.mark.parametrize("cells", ["each", "mean"])
@pytest.mark.parametrize("changes", [{}, {"causal": True, "gated": False}], ids=str)
def test_entries_are_the_slopes_of_one_triple_at_a_time(cells, changes):
    model, given = build(**changes), control_cells()
    found = targeted_jacobian(model, given, REGULATORS, TARGETS, KDS, cells=cells)
    assert found.dims == ("kd", "regulator", "target")
    base = given if cells == "each" else np.tile(given.mean(axis=0), (len(given), 1))
    for kd in KDS:
        for regulator in REGULATORS:
            for target in TARGETS:
                slope = one_triple_at_a_time(model, base, kd, regulator, target)
                entry = found.sel(kd=kd, regulator=regulator, target=target).item()
                assert entry == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_the_mean_cell_stands_for_the_whole_set_exactly():
    model, cells = build(), control_cells()
    found = targeted_jacobian(model, cells, REGULATORS, TARGETS, KDS, cells="mean")
    repeated = np.broadcast_to(cells.mean(axis=0), cells.shape)
    np.testing.assert_allclose(found, targeted_jacobian(model, repeated, REGULATORS, TARGETS, KDS), rtol=1e-10)
    assert found.attrs["cells"] == "mean cell, repeated 1 times"


def test_a_model_to_which_the_size_of_the_set_matters_gets_the_whole_set():
    class Crowded:
        def __init__(self, model):
            self.__dict__ |= {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
            self.forward = lambda encoded, pert, batch: model.forward(encoded, pert, batch) * encoded.shape[1]

    crowded: Any = Crowded(build())
    found = targeted_jacobian(crowded, control_cells(), REGULATORS, TARGETS, KDS, cells="mean")
    assert found.attrs["cells"] == "mean cell, repeated 5 times"
    plain = targeted_jacobian(build(), control_cells(), REGULATORS, TARGETS, KDS, cells="mean")
    np.testing.assert_allclose(found, 5 * plain, rtol=1e-10)


def test_a_shut_target_is_exactly_0_and_counted():
    model = build()
    model.module.head.bias[7] = -1e3
    found = targeted_jacobian(model, control_cells(), REGULATORS, TARGETS, KDS)
    assert not found.sel(target="G7").any()
    assert (found["shut_targets"] >= 1).all()


def test_an_entry_has_the_same_bits_whatever_it_is_computed_with():
    model, cells = build(dtype=torch.float32), control_cells()
    for way in ("each", "mean"):
        whole = targeted_jacobian(model, cells, list(model.genes), TARGETS, cells=way)
        alone = targeted_jacobian(model, cells, ["G3"], TARGETS[::-1], ["KD4"], cells=way)
        np.testing.assert_array_equal(whole.sel(kd="KD4", regulator="G3", target="G4"), alone[0, 0, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["G0", "XYZ"], ["G1"], ["KD0"]), "unknown gene XYZ"),
        ((["G0"], ["G99", "G1"], ["KD0"]), r"unknown gene G99 \(nearest: G9"),
        ((["G0"], ["G1"], ["KD0", "KD77"]), "unknown perturbation KD77"),
    ],
)
def test_unknown_names_are_listed(arguments, message):
    with pytest.raises(UnknownNameError, match=message):
        targeted_jacobian(build(), control_cells(), *arguments)


def test_the_mean_of_several_batches_is_refused():
    model = build()
    cells = xr.DataArray(
        control_cells(),
        dims=("cell", "gene"),
        coords={"gene": list(model.genes), "batch": ("cell", ["B0", "B1", "B0", "B2", "B0"])},
    )
    with pytest.raises(InputError, match="cells of several batches"):
        targeted_jacobian(model, cells, REGULATORS, TARGETS, KDS, cells="mean", batch="own")


@pytest.mark.parametrize(("regulators", "message"), [([], "no gene"), (["G1", "G1"], "G1 twice")])
def test_no_or_repeated_genes_are_refused(regulators, message):
    with pytest.raises(InputError, match=message):
        targeted_jacobian(build(), control_cells(), regulators, TARGETS, KDS)


def test_gradients_stay_on_the_device():
    model = build(dtype=torch.float32)
    with strict_meta():
        move(model.module, "meta")
        values, vectors, batch = (torch.empty(size, device="meta") for size in ((256, 23), (3, 12), (256,)))
        found = target_gradients(model, values, vectors, batch.long(), [1, 2], [3])
    assert (found.device.type, found.shape) == ("meta", (3, 1, 2))
