"""State's sibling models in arc-state, as far as their interface allows.

embed_sum      Y_s = project_out(basal(x_s) + pert)                                     each cell by itself
pseudobulk     Y_s = relu(project_out(backbone(mean_s(basal(x_s) + pert + batch)) + basal(x_s)))
perturb_mean   Y_s = x_s + offset(perturbation), looked up by name: predictions alone
context_mean   Y_s = mean perturbed cell of the cell type: predictions alone
decoder_only   decodes measured perturbed cells: predicts nothing from control cells
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from jacprobe.errors import CapabilityMissingError, RunFolderError
from jacprobe.models.adapter import ArcStateModel
from jacprobe.models.devices import device_of, on_device
from jacprobe.models.identity import NO_BATCH, Identity
from jacprobe.models.pickles import read_pickle
from jacprobe.models.run_folder import (
    EncoderWidths,
    ModelClass,
    RunFolder,
    encoder_widths,
    find_checkpoint,
    predicting_weights,
    read_run_folder,
)
from jacprobe.models.state import built, fitting_weights, model_class
from jacprobe.models.state_identity import identity_of, run_provenance

if TYPE_CHECKING:
    from jacprobe.models.protocol import PerturbationModel


class EmbedSum(ArcStateModel):
    """embed_sum: a cell's code and the perturbation's are added, and decoded; cells do not see each other."""

    def encode_cells(self, cells: Tensor) -> Tensor:
        """Return the encoded control cells: [B, S, G] -> [B, S, E]."""
        return self._st.basal_encoder(cells)

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:  # noqa: ARG002 - the class knows no batches
        """Return the prediction from encoded cells: [B, S, E], [B, D], [B, S] -> [B, S, G]."""
        return self._st.project_out(encoded + pert[:, None, :])

    @staticmethod
    def _wide(module: nn.Module) -> nn.Module:
        return deepcopy(module).double()


class Pseudobulk(ArcStateModel):
    """pseudobulk: the mean over the set passes the backbone as one token, and is added to every cell."""

    def encode_cells(self, cells: Tensor) -> Tensor:
        """Return the encoded control cells: [B, S, G] -> [B, S, E]."""
        return self._st.basal_encoder(cells)

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the prediction from encoded cells: [B, S, E], [B, D], [B, S] -> [B, S, G]."""
        return self._st.relu(self.preactivation(encoded, pert, batch))

    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return the argument of the final ReLU; shapes as in `forward`."""
        x = encoded + pert[:, None, :]
        if self._st.batch_encoder is not None:
            x = x + self._st.batch_encoder(self._batch_input(batch))
        mean = self._st.transformer_backbone(inputs_embeds=x.mean(dim=1, keepdim=True)).last_hidden_state
        return self._st.project_out(mean + encoded)

    def _batch_input(self, batch: Tensor) -> Tensor:
        return nn.functional.one_hot(batch, len(self.batches)).to(self.dtype)


class LookedUp:
    """perturb_mean or context_mean: predictions looked up by name, which nothing can be differentiated by.

    Attributes are described in `jacprobe.models.protocol`.
    """

    dtype = torch.float32
    any_set_len = True

    def __init__(self, module: nn.Module, run: RunFolder, identity: Identity, cell_type: str, device: str) -> None:
        self._module: Any = on_device(module.eval().requires_grad_(False), device_of(device))
        self._cell_type = cell_type
        self.genes, self.perturbations, self.control = run.genes, run.perturbations, run.control
        self.batches: tuple[str, ...] = NO_BATCH
        self.split: Mapping[str, str] = run.split.tags
        self.cell_set_len = identity.cell_set_len
        self.device = device_of(device)
        self.weights_sha256, self.provenance = identity.weights_sha256, identity.provenance

    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:  # noqa: ARG002 - the class knows no batches
        """Return arc-state's own `predict_step`: [B, S, G], [B], [B, S] -> [B, S, G]."""
        flat, size = cells.reshape(-1, cells.shape[-1]), cells.shape[1]
        names = [self.perturbations[k] for k in pert_index.tolist() for _ in range(size)]
        given = {
            "ctrl_cell_emb": flat,
            "pert_cell_emb": flat,  # of a control cell, which is what context_mean takes of it
            "pert_name": names,
            "cell_type": [self._cell_type] * len(names),
        }
        return self._module.predict_step(given, 0)["preds"].reshape(cells.shape)


@dataclass(frozen=True)
class Sibling:
    """One of arc-state's other classes: where it stands, and what its run folders hold.

    Attributes
    ----------
    file, name
        Where the class stands among arc-state's models.
    of
        How configurations call it, and how widths are read.
    covered
        Hyperparameters that the adapter holds for, with the values that it holds for.
    model
        The adapter's class where the model has a gradient.
    table
        What of the checkpoint predictions are looked up in; "" where they are not.
    refused
        Why no prediction can be had from control cells; "" where one can.
    """

    file: str
    name: str
    of: ModelClass
    covered: Mapping[str, tuple[object, ...]]
    model: type[EmbedSum] | type[Pseudobulk] | None = None
    table: str = ""
    refused: str = ""


def _by_weights(_: Mapping[str, Any], state: Mapping[str, Tensor], where: str) -> EncoderWidths:
    """Return the widths of encoders; batches enter pseudobulk as one-hot vectors, embed_sum not at all."""
    widths, batches = encoder_widths(state, where), state.get("batch_encoder.0.weight")
    return EncoderWidths(widths.genes, widths.perturbations, 0 if batches is None else batches.shape[-1])


def _by_hyperparameters(hyperparameters: Mapping[str, Any], _: Mapping[str, Tensor], where: str) -> EncoderWidths:
    """Return the widths of a class without encoders."""
    sizes = [hyperparameters.get(name) for name in ("output_dim", "pert_dim")]
    if not all(isinstance(size, int) for size in sizes):
        raise RunFolderError(f"output_dim and pert_dim are {sizes}", "whole numbers", where=where)
    genes, perturbations = (int(size) for size in sizes if isinstance(size, int))
    return EncoderWidths(genes, perturbations, 0)


_IN_GENES = {"output_space": ("gene",), "embed_key": ("X_hvg",)}
SIBLINGS: tuple[Sibling, ...] = (
    Sibling(
        "embed_sum",
        "EmbedSumPerturbationModel",
        ModelClass(("embedsum", "embed_sum"), _by_weights),
        _IN_GENES,
        EmbedSum,
    ),
    Sibling(
        "pseudobulk",
        "PseudobulkPerturbationModel",
        ModelClass(("pseudobulk",), _by_weights),
        {
            **_IN_GENES,
            "transformer_backbone_key": ("llama",),
            "predict_residual": (True,),
            "softplus": (True,),
            "finetune_vci_decoder": (False, None),
        },
        Pseudobulk,
    ),
    Sibling(
        "perturb_mean",
        "PerturbMeanPerturbationModel",
        ModelClass(("perturb_mean", "globalsimplesum"), _by_hyperparameters),
        _IN_GENES,
        table="pert_mean_offsets",
    ),
    Sibling(
        "context_mean",
        "ContextMeanPerturbationModel",
        ModelClass(("context_mean", "celltypemean"), _by_hyperparameters),
        _IN_GENES,
        table="celltype_pert_means",
    ),
    Sibling(
        "decoder_only",
        "DecoderOnlyPerturbationModel",
        ModelClass(("decoder_only",), _by_hyperparameters),
        {},
        refused="it decodes measured perturbed cells (pert_cell_emb) and predicts nothing from control cells",
    ),
)


def identify_sibling(kind: Sibling, path: Path, checkpoint: str) -> Identity:
    """Return the identity of a sibling's run folder."""
    run = read_run_folder(path, checkpoint, kind.of)
    weights = {name: value.float() for name, value in predicting_weights(run.state_dict).items()}
    return identity_of(
        run,
        weights | _table(kind, path, checkpoint),
        _provenance(kind, run),
        latent_dim=int(run.hyperparameters.get("hidden_dim", 0)) if kind.model else 0,
    )


def load_sibling(kind: Sibling, path: Path, checkpoint: str, device: str) -> PerturbationModel:
    """Return the model of a sibling's run folder.

    Raises
    ------
    RunFolderError
        If a file is missing, damaged or contradicts the others, or an option is switched on that is not covered.
    CapabilityMissingError
        If the class predicts nothing from control cells, or nothing for the run's cell line.
    """
    run = read_run_folder(path, checkpoint, kind.of)
    where = f"{run.name}/{run.checkpoint}"
    if kind.refused:
        raise CapabilityMissingError(
            f"a {kind.file} model: {kind.refused}", "a model that predicts from control cells", where=run.name
        )
    _require_covered(kind, run.hyperparameters, where)
    architecture = _Architecture(kind, run.hyperparameters)
    if kind.model is not None:
        module = architecture.empty()
        module.load_state_dict(fitting_weights(run, module, where), strict=True)
        place = device_of(device)
        return kind.model(on_device(module, place), run, architecture, _provenance(kind, run))
    module: Any = architecture.empty()
    content = read_pickle(find_checkpoint(path, checkpoint))
    module.on_load_checkpoint(content)
    return LookedUp(module, run, identify_sibling(kind, path, checkpoint), _cell_type(kind, run, content), device)


@dataclass(frozen=True)
class _Architecture:
    kind: Sibling
    hyperparameters: Mapping[str, Any]

    def drawn(self) -> nn.Module:
        """Return an untrained module, drawn from torch's global random state."""
        given = deepcopy(dict(self.hyperparameters)) | {"gene_decoder_bool": False, "decoder_cfg": None}
        if self.kind.model is Pseudobulk:
            # Forward-mode AD does not pass through the CPU's flash attention.
            given["transformer_backbone_kwargs"]["attn_implementation"] = "eager"
        return built(model_class(self.kind.file, self.kind.name), given)

    def empty(self) -> nn.Module:
        """Return a module whose weights are still to be given; torch's random state is put back as it was."""
        with torch.random.fork_rng(devices=[]):
            return self.drawn()


def _table(kind: Sibling, path: Path, checkpoint: str) -> dict[str, Tensor]:
    """Return what predictions are looked up in, as tensors by name."""
    if not kind.table:
        return {}
    file = find_checkpoint(path, checkpoint)
    table = read_pickle(file).get(kind.table)
    if not isinstance(table, Mapping):
        raise RunFolderError(
            f"no {kind.table}", f"those of a trained {kind.file}", "Give a checkpoint of `state tx train`", file.name
        )
    return {f"{kind.table}.{name}": torch.as_tensor(value) for name, value in table.items()}


def _cell_type(kind: Sibling, run: RunFolder, content: Mapping[str, Any]) -> str:
    """Return the cell type that predictions are made for: the line that the run's split is about."""
    line = run.split.line.rpartition(".")[2]
    known = [str(name) for name in content[kind.table]]
    if kind.file == "context_mean" and line not in known:
        raise CapabilityMissingError(
            f"context_mean has no mean for {line or 'a line that its split TOML names'}",
            f"one of {', '.join(known[:5])}, the cell types that it was trained on",
            "Its prediction is a cell type's mean perturbed cell: there is none for a line that it never saw",
            run.name,
        )
    return line


def _require_covered(kind: Sibling, given: Mapping[str, Any], where: str) -> None:
    for name, covered in kind.covered.items():
        if given.get(name) not in covered:
            raise RunFolderError(
                f"hyperparameter {name} = {given.get(name)!r}",
                " or ".join(map(repr, covered)),
                f"jacprobe covers {kind.file} on X_hvg without additions; this one needs an adapter of its own",
                where,
            )


def _provenance(kind: Sibling, run: RunFolder) -> dict[str, str]:
    made = run_provenance(run)
    return {**made, "model": kind.name, "mask": "none", "mask_rule": f"{kind.file} has no attention between cells"}


LOOKUP: Mapping[str, Sibling] = {name: kind for kind in SIBLINGS for name in kind.of.names}
