from __future__ import annotations

import pytest
import torch

from fixtures.tiny_state import build, control_cells


@pytest.fixture
def tiny():
    return build


@pytest.fixture
def cells():
    """Control cells of a tiny model: [5, 23], float64."""
    return torch.from_numpy(control_cells())
