from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from fixtures.run_folders import Shape, random_cells, write_run_folder
from jacprobe.models.protocol import HasLayers, HasModule, Rectified
from jacprobe.models.state import load_run

if TYPE_CHECKING:
    from pathlib import Path

    from jacprobe.models.adapter import StateModel

SHAPE = Shape()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("run"), SHAPE, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def model(run: Path) -> StateModel:
    return load_run(run, device="cpu")


def test_state_has_every_capability(model: StateModel):
    assert isinstance(model, HasLayers)
    assert isinstance(model, HasModule)
    assert isinstance(model, Rectified)


def test_forward_is_predict_step_bit_for_bit(model: StateModel):
    cells = torch.from_numpy(random_cells(SHAPE, np.random.default_rng(1), 2 * 8)).reshape(2, 8, -1)
    kds, batch = torch.tensor([3, 7]), torch.tensor([[0] * 8, [2] * 8])
    with torch.no_grad():
        ours = model.forward(model.encode_cells(cells), model.pert_vectors(kds), batch)
        theirs = model.predict_step(cells, kds, batch)
    assert torch.equal(ours, theirs)
    assert (ours > 0).float().mean() > 0.3
