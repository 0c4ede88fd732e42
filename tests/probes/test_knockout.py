from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.elsewhere import fake_cuda, move
from fixtures.tiny_state import build, control_cells
from jacprobe.errors import InputError, UnknownNameError
from jacprobe.probes.knockout import knockout, silenced_responses


def one_by_one(model, cells, gene, value):
    """Silence a gene in a copy of the cells and ask the model's public entry point."""
    silenced = cells.copy()
    column = model.genes.index(gene)
    silenced[:, column] = 0 if value == 0 else cells[:, column].mean()
    index, batch = (
        torch.tensor([model.perturbations.index(model.control)]),
        torch.zeros(1, len(cells), dtype=torch.long),
    )
    before, after = (
        model.predict_step(torch.as_tensor(x)[None], index, batch)[0].mean(dim=0) for x in (cells, silenced)
    )
    return (after - before).numpy()


@pytest.mark.parametrize("value", [0, "mean"])
def test_a_knockout_is_silenced_minus_unsilenced_under_the_control(value):
    model, cells = build(), control_cells()
    found = knockout(model, cells, ["G5", "G0", "G22"], value=value)
    assert found.dims == ("gene_in", "gene")
    for gene in ("G0", "G5", "G22"):
        np.testing.assert_allclose(found.sel(gene_in=gene), one_by_one(model, cells, gene, value), rtol=0, atol=1e-13)
    assert found.attrs | {"direction": "silenced - unsilenced", "value": str(value)} == found.attrs


def test_silencing_a_silent_gene_changes_nothing_at_all():
    cells = control_cells()
    cells[:, 3] = 0
    assert not knockout(build(dtype=torch.float32), cells, ["G3"]).any()


def test_a_knockout_has_the_same_bits_whatever_it_is_computed_with():
    model, cells = build(dtype=torch.float32), control_cells(70)
    whole = knockout(model, cells)
    assert list(whole["gene_in"].values) == list(model.genes)
    np.testing.assert_array_equal(knockout(model, cells, ["G9", "G2"])[1], whole.sel(gene_in="G2"))


def test_unknown_genes_are_all_listed():
    with pytest.raises(UnknownNameError, match=r"unknown gene G77.*, nosuch"):
        knockout(build(), control_cells(), ["G0", "G77", "nosuch"])


@pytest.mark.parametrize("value", [1, "median", False])
def test_other_values_are_refused(value):
    with pytest.raises(InputError, match="wanted 0 or 'mean'"):
        knockout(build(), control_cells(), ["G0"], value=value)


def test_knockouts_stay_on_the_device():
    model = build(dtype=torch.float32)
    with fake_cuda():
        move(model.module, "cuda")
        sizes = ((256, 23), (23,), (12,), (256,))
        values, level, pert, batch = (torch.empty(size, device="cuda") for size in sizes)
        found = silenced_responses(model, values, level, pert, batch.long(), [1, 2])
    assert (found.device.type, found.shape) == ("cuda", (2, 23))
