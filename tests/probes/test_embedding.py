from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from fixtures.run_folders import write_run_folder
from jacprobe.models.state import load_run
from jacprobe.probes.embedding import pert_embedding

if TYPE_CHECKING:
    from pathlib import Path


def test_the_embedding_is_the_encoders_columns_plus_bias(tmp_path: Path):
    run = write_run_folder(tmp_path, rng=np.random.default_rng(0))
    model = load_run(run, device="cpu")
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    vectors = pert_embedding(model)
    assert vectors.dims == ("kd", "latent")
    assert vectors["kd"].values.tolist() == perturbation_names_of_file(run) == list(model.perturbations)
    wanted = state["pert_encoder.0.weight"].T + state["pert_encoder.0.bias"]
    assert np.array_equal(vectors.values, wanted.numpy())


def perturbation_names_of_file(run: Path) -> list[str]:
    onehot = torch.load(run / "pert_onehot_map.pt", weights_only=False)
    return sorted(onehot, key=lambda name: int(onehot[name].argmax()))
