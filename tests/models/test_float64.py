from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from fixtures.run_folders import Shape, random_cells, write_run_folder
from jacprobe.models.float64 import to_float64
from jacprobe.models.state import load_run

if TYPE_CHECKING:
    from pathlib import Path


def test_casting_alone_is_no_reference(tmp_path: Path):
    """Perturbing an input by 1e-9 moves a true float64 output in proportion; one that passes float32 it does not."""
    shape = Shape()
    model = load_run(write_run_folder(tmp_path, shape, rng=np.random.default_rng(0)), device="cpu")
    x = torch.from_numpy(random_cells(shape, np.random.default_rng(1))).double()
    nudge = torch.linspace(-1, 1, shape.hidden).double()

    def slope(module: torch.nn.Module, step: float) -> torch.Tensor:
        cc = module.get_submodule("basal_encoder")(x)
        backbone = module.get_submodule("transformer_backbone")
        low, high = (backbone(inputs_embeds=(cc + sign * step * nudge)[None]).last_hidden_state for sign in (-1, 1))
        return (high - low) / (2 * step)

    exact, cast = to_float64(model.module), to_float64(model.module)
    cast.load_state_dict(model.module.state_dict())
    wanted = slope(exact, 1e-4)
    assert (slope(exact, 1e-6) - wanted).abs().max() < 1e-6 * wanted.abs().max()
    naive = model.to(dtype="float32").fresh_module(0).double()
    naive.load_state_dict(model.module.state_dict())
    assert (slope(naive, 1e-6) - wanted).abs().max() > 1e-3 * wanted.abs().max()


def test_the_original_is_left_as_it_is(tmp_path: Path):
    model = load_run(write_run_folder(tmp_path, rng=np.random.default_rng(0)), device="cpu")
    before = model.weights_sha256
    to_float64(model.module)
    assert next(model.module.parameters()).dtype == torch.float32
    assert model.with_module(model.module, "the same").weights_sha256 == before
