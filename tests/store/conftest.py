from __future__ import annotations

import numpy as np
import pytest

from jacprobe.store.store import Store

KEY = {"probe": "Routing", "version": 1, "weights": "abc", "draw": 0}


@pytest.fixture
def key():
    return dict(KEY)


@pytest.fixture
def labels():
    return {"kd": [f"KD{i}" for i in range(6)], "gene": ["A", "B", "C"], "latent": [0, 1]}


@pytest.fixture
def values():
    """What belongs to a label: different for each, zeros for KD0."""

    def of(label):
        return np.arange(6, dtype=np.float32).reshape(3, 2) * int(label[2:])

    return of


@pytest.fixture
def store(tmp_path):
    return Store.at(tmp_path / "store")
