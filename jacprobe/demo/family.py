"""The models of the demo family: who they are, what they are trained on, and the command that trains them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacprobe.demo.truth import CONTROL, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

CELL_SET_LEN = 32


@dataclass(frozen=True)
class SaeRecipe:
    """How sparse autoencoders are trained.

    Attributes
    ----------
    k, expansion
        Features active in a cell; features per dimension of the layer.
    rounds
        Sets of fresh control cells that each knockdown is given.
    steps, batch_size, learning_rate
        Of Adam.
    quiet_steps
        Steps without activity after which a feature counts as dead and is drawn back.
    """

    k: int = 16
    expansion: int = 8
    rounds: int = 12
    steps: int = 1500
    batch_size: int = 1024
    learning_rate: float = 3e-3
    quiet_steps: int = 100


@dataclass(frozen=True)
class Recipe:
    """How long and how wide the demo models and their sparse autoencoders are trained."""

    steps: int = 1500
    batch_size: int = 16
    learning_rate: float = 2e-3
    hidden_dim: int = 64
    layers: int = 4
    intermediate: int = 160
    sae: SaeRecipe = SaeRecipe()

    @property
    def middle_layer(self) -> int:
        """The layer that the autoencoders read, counted as in `jacprobe.features`: 0 is the input of the stack."""
        return self.layers // 2


@dataclass(frozen=True)
class DemoModel:
    """One model of the family.

    Attributes
    ----------
    role
        Its role in the study, such as "fewshot/hepg2".
    folder
        Name of its run folder.
    line
        The cell line held out in part (fewshot) or whole (zeroshot).
    zeroshot
        Whether no knockdown of the line is trained on.
    seed_offset
        Added to the study's seed to give arc-state's `train_seed`.
    sae
        Whether a sparse autoencoder is trained on its middle layer.
    """

    role: str
    folder: str
    line: str
    zeroshot: bool
    seed_offset: int
    sae: bool = False


FAMILY = (
    DemoModel("fewshot/hepg2", "fewshot-hepg2", "hepg2", zeroshot=False, seed_offset=0, sae=True),
    DemoModel("fewshot/jurkat", "fewshot-jurkat", "jurkat", zeroshot=False, seed_offset=1, sae=True),
    DemoModel("zeroshot/hepg2", "zeroshot-hepg2", "hepg2", zeroshot=True, seed_offset=2, sae=True),
    DemoModel("seed-replicate", "seed-replicate", "hepg2", zeroshot=False, seed_offset=3),
    DemoModel("shared-seed/jurkat", "shared-seed-jurkat", "jurkat", zeroshot=False, seed_offset=0),
)


def held_out(plan: Plan, rng: np.random.Generator, test: int = 77, validation: int = 25) -> tuple[list[str], list[str]]:
    """Draw the knockdowns that a fewshot model does not see in its own line: (test, validation), sorted.

    Named knockdowns always train; the families of `plan.held_out` give so many members to the test half, and no other.
    """
    chosen: list[str] = []
    for family, members in plan.held_out.items():
        free = [kd for kd in plan.families[family] if kd not in plan.named]
        chosen += [str(kd) for kd in rng.permutation(free)[:members]]
    left = [kd for kd in plan.knockdowns if kd not in plan.named and plan.family_of[kd] not in plan.held_out]
    rest = [str(kd) for kd in rng.permutation(left)]
    from_rest = test - len(chosen)
    return sorted(chosen + rest[:from_rest]), sorted(rest[from_rest:][:validation])


def split_toml(model: DemoModel, h5ad: str, test: Sequence[str], validation: Sequence[str]) -> str:
    """Return the split of one model in cell-load's TOML."""
    head = f'[datasets]\nreplogle = "{h5ad}"\n\n[training]\nreplogle = "train"\n\n'
    if model.zeroshot:
        return head + f'[zeroshot]\n"replogle.{model.line}" = "test"\n\n[fewshot]\n'
    quoted = {name: ", ".join(f'"{kd}"' for kd in kds) for name, kds in (("val", validation), ("test", test))}
    return (
        head + f'[zeroshot]\n\n[fewshot."replogle.{model.line}"]\nval = [{quoted["val"]}]\ntest = [{quoted["test"]}]\n'
    )


def command(model: DemoModel, recipe: Recipe, seed: int, split: Path, output: Path) -> list[str]:
    """Return the `state tx train` call that trains `model` by the TOML `split` into `output`/`model.folder`."""
    backbone = {
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "intermediate_size": recipe.intermediate,
    }
    settings = {
        "data.kwargs.toml_config_path": split,
        "data.kwargs.embed_key": "X_hvg",
        "data.kwargs.output_space": "gene",
        "data.kwargs.num_workers": 0,
        "data.kwargs.pin_memory": False,
        "data.kwargs.batch_col": "gem_group",
        "data.kwargs.pert_col": "gene",
        "data.kwargs.cell_type_key": "cell_line",
        "data.kwargs.control_pert": CONTROL,
        "data.kwargs.use_consecutive_loading": True,
        "data.kwargs.barcode": False,
        "training.max_steps": recipe.steps,
        "training.val_freq": recipe.steps,
        "training.ckpt_every_n_steps": recipe.steps,
        "training.batch_size": recipe.batch_size,
        "training.lr": recipe.learning_rate,
        "training.train_seed": seed + model.seed_offset,
        "model": "state",
        "model.kwargs.cell_set_len": CELL_SET_LEN,
        "model.kwargs.hidden_dim": recipe.hidden_dim,
        "model.kwargs.n_encoder_layers": 1,
        "model.kwargs.n_decoder_layers": 1,
        "model.kwargs.batch_encoder": True,
        "model.kwargs.predict_residual": True,
        "+model.kwargs.gene_decoder_bool": False,
        **{f"model.kwargs.transformer_backbone_kwargs.{key}": value for key, value in backbone.items()},
        # Cells are not tokens; without this the checkpoint carries an embedding table of 32,000 dead rows.
        "+model.kwargs.transformer_backbone_kwargs.vocab_size": 8,
        "use_wandb": False,
        "overwrite": True,
        "output_dir": output,
        "name": model.folder,
    }
    return [sys.executable, "-m", "state", "tx", "train", *(f"{key}={value}" for key, value in settings.items())]
