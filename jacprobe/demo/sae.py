"""The sparse autoencoders of the demo family: top-k, on the middle layer, one for each model that claims speak of."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.demo.study import CONTROLS_FILE, sae_folder
from jacprobe.streams import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from jacprobe.demo.family import DemoModel, Recipe
    from jacprobe.demo.simulate import Truth
    from jacprobe.models.protocol import HasLayers
    from jacprobe.probes.sae import SparseAutoencoder

MEASURED_SETS = 5


def train_autoencoders(
    models: Sequence[DemoModel],
    recipe: Recipe,
    truth: Truth,
    seed: int,
    out: Path,
    report: Callable[[DemoModel, int], None],
) -> None:
    """Train the autoencoders of a study whose models and control cells stand in `out`; finished ones are kept.

    They learn from control cells that are drawn anew from the truth, each in one set only, so that they hold the
    directions of the line and not its cells: given 512 of the study's own, they learned each by heart (explained
    variance .94 of those, .62 of the 128 others). They are measured on the study's control cells, which none of them
    has seen.

    Parameters
    ----------
    models
        The family; those with `sae` get one, on control cells of their own line.
    recipe
        Layers of the models and settings of the autoencoders.
    truth, seed
        What the study was simulated from, and its seed.
    out
        Folder of the study: holds models/ and the control cells, receives sae/.
    report
        Called with a model and its steps done.
    """
    from jacprobe.cells import read_cells
    from jacprobe.demo.topk import fit_topk, one_thread, quality
    from jacprobe.models.state import load_run

    for model in (model for model in models if model.sae):
        target = out / sae_folder(model)
        if not target.is_dir():
            report(model, 0)
            with one_thread():
                loaded = load_run(out / "models" / model.folder, device="cpu")
                rng = stream(seed, "sae", model.role)
                known = known_activations(loaded, truth, model.line, recipe, rng)
                sae = fit_topk(known, recipe.sae, rng, lambda steps, model=model: report(model, steps))
                cells = read_cells(out / CONTROLS_FILE, loaded, cell_line=model.line)
                measured = quality(sae, seen_by_all(loaded, cells, recipe.middle_layer))
            made_on = {
                "model_name": model.role,
                "hook_name": f"transformer_backbone.layers.{recipe.middle_layer - 1}",
                "layer": recipe.middle_layer,
                "weights_sha256": loaded.weights_sha256,
            }
            write_sae(sae, target, made_on | {name: round(value, 4) for name, value in asdict(measured).items()})
        report(model, recipe.sae.steps)


def known_activations(model: HasLayers, truth: Truth, line: str, recipe: Recipe, rng: np.random.Generator) -> Tensor:
    """Return activations to learn from: every perturbation on `rounds` sets of fresh control cells: [n, D]."""
    import torch

    from jacprobe.demo.simulate import draw_cells

    none = np.full(len(model.perturbations) * model.cell_set_len, -1)
    index = truth.plan.lines.index(line)
    rounds = [
        layer_activations(model, draw_cells(truth, index, none, rng)[0], recipe.middle_layer)
        for _ in range(recipe.sae.rounds)
    ]
    return torch.cat([found.flatten(0, 1) for found in rounds])


def seen_by_all(model: HasLayers, cells: Any, layer: int, sets: int = MEASURED_SETS) -> Tensor:
    """Return activations of the first sets of `cells` under every perturbation: [set, perturbation, cell, D]."""
    import torch

    size = model.cell_set_len
    repeated = [np.tile(np.arange(i * size, (i + 1) * size), len(model.perturbations)) for i in range(sets)]
    return torch.stack([layer_activations(model, cells.isel(cell=rows), layer) for rows in repeated])


def layer_activations(model: HasLayers, control_cells: Any, layer: int) -> Tensor:
    """Return the activations of a layer, where each perturbation is given the next set of the control cells.

    Parameters
    ----------
    model
        A model whose layers can be read.
    control_cells
        As many sets of `model.cell_set_len` cells as the model has perturbations; else as in `jacprobe.predict`, with
        the first batch for all.
    layer
        After which layer, as in `jacprobe.features`.

    Returns
    -------
    Tensor [perturbation, cell, D].
    """
    import torch

    from jacprobe.probes.sets import encode, in_passes

    prepared = encode(model, control_cells)
    perturbations, size = len(model.perturbations), model.cell_set_len
    encoded = prepared.encoded.reshape(perturbations, size, -1)
    batch = prepared.batch.reshape(perturbations, size)

    def compute(which: Tensor) -> Tensor:
        return model.activations(encoded[which], prepared.vectors[which], batch[which], layer)

    return in_passes(compute, torch.arange(perturbations, device=model.device), size)


def write_sae(sae: SparseAutoencoder, folder: Path, metadata: dict[str, Any]) -> None:
    """Write a top-k autoencoder as SAELens names its parts, whole or not at all; the folder must not exist."""
    from safetensors.torch import save

    width, features = sae.W_enc.shape
    cfg = {
        "architecture": sae.activation,
        "d_in": width,
        "d_sae": features,
        "k": sae.k,
        "dtype": str(sae.W_enc.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": sae.centred,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": metadata,
    }
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    weights = {"W_enc": sae.W_enc, "b_enc": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    # Not save_file, whose files nobody but their owner can read.
    content = save({name: part.contiguous() for name, part in weights.items()})
    (partial / "sae_weights.safetensors").write_bytes(content)
    (partial / "cfg.json").write_text(json.dumps(cfg, indent=2) + "\n", encoding="utf-8")
    partial.rename(folder)
