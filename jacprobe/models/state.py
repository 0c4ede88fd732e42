"""Loading State run folders. The one file that imports arc-state.

arc-state is licensed CC BY-NC-SA 4.0 and never part of jacprobe; it is imported when a model is built.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import torch

from jacprobe.errors import JacprobeError, RunFolderError
from jacprobe.models.adapter import StateModel
from jacprobe.models.devices import device_of, dtype_of
from jacprobe.models.run_folder import RunFolder, predicting_weights, read_run_folder
from jacprobe.models.state_identity import Mask, mask_of, run_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

# Options of arc-state that change the function the adapter writes out above, with the value that it covers.
_COVERED: dict[str, tuple[object, ...]] = {
    "output_space": ("gene",),
    "embed_key": ("X_hvg",),
    "transformer_backbone_key": ("llama",),
    "confidence_token": (False, None),
    "use_batch_token": (False, None),
    "batch_predictor": (False, None),
    "mask_attn": (False, None),
    "finetune_vci_decoder": (False, None),
    "nb_decoder": (False, None),
    "use_effect_gating_token": (False, None),
}


def load_run(
    path: str | Path,
    checkpoint: str = "best",
    mask: Literal["auto", "bidirectional", "causal"] = "auto",
    device: str | torch.device = "auto",
    dtype: torch.dtype | str | None = None,
) -> StateModel:
    """Load a State run folder as a model that predicts, can be differentiated and shows its layers.

    Files are read as data only. The class is rebuilt from the stored hyperparameters and the state dict must fit it
    exactly.

    Parameters
    ----------
    path
        The run folder.
    checkpoint
        "best", "last", "final", "step=N", or the path of a checkpoint.
    mask
        Which attention over control cells to build. "auto" follows the checkpoint's `bidirectional_attention`; where
        that is absent (checkpoints of 2025) it means bidirectional, which those models were made to be. The mask that
        is really in force is measured on the built model, and another one than was asked for is refused.
    device
        A torch device; "auto" is CUDA where there is one, else the CPU.
    dtype
        float32 (the default) or float64. Float64 is genuine: norms and softmax do not cast down (`models.float64`).

    Returns
    -------
    StateModel
        In evaluation mode, without gradients of its weights.

    Raises
    ------
    RunFolderError
        If a file is missing, damaged, contradicts the others, or names a model that is not covered.
    UnsafePickleError
        If a file asks for more than data.
    InputError
        If an argument is none of the above.
    """
    wanted_dtype, place = dtype_of(dtype), device_of(device)
    run = read_run_folder(path, checkpoint)
    where = f"{run.name}/{run.checkpoint}"
    require_covered(run.hyperparameters, where)
    provenance = run_provenance(run, mask)
    in_force: Mask = mask_of(run.hyperparameters, mask)[0]
    architecture = StateArchitecture(run.hyperparameters, in_force, where)
    module = _loaded_module(run, architecture)
    _require_mask(module, in_force)
    return StateModel(module, run, architecture, provenance).to(place, wanted_dtype)


def require_covered(given: Mapping[str, Any], where: str) -> None:
    """Refuse hyperparameters that are missing or switch on what the adapter does not write out."""
    missing = [name for name in ("hidden_dim", "cell_set_len", "transformer_backbone_kwargs") if name not in given]
    if missing:
        raise RunFolderError(
            f"hyperparameters lack {', '.join(missing)}",
            "those of a StateTransitionPerturbationModel",
            "Give a checkpoint of `state tx train` with model=state",
            where,
        )
    lora = given.get("lora") or {}
    options = {**given, "lora.enable": lora.get("enable", False)}
    for name, covered in {**_COVERED, "lora.enable": (False, None)}.items():
        if name in options and options[name] not in covered:
            raise RunFolderError(
                f"hyperparameter {name} = {options[name]!r}",
                " or ".join(repr(value) for value in covered),
                "jacprobe covers the ST model on X_hvg without additions; this one needs an adapter of its own",
                where,
            )


def _loaded_module(run: RunFolder, architecture: StateArchitecture) -> nn.Module:
    """Return the module with the run's weights."""
    module = architecture.empty()
    module.load_state_dict(fitting_weights(run, module, architecture.where), strict=True, assign=True)
    return module


def fitting_weights(run: RunFolder, module: nn.Module, where: str) -> dict[str, torch.Tensor]:
    """Return the run's weights in float32, which must fit a module name for name and shape for shape."""
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    state = predicting_weights(run.state_dict)
    given = {name: tuple(value.shape) for name, value in state.items()}
    if wanted != given:
        faults = [f"lacks {name}" for name in wanted.keys() - given.keys()]
        faults += [f"has {name} beyond the model" for name in given.keys() - wanted.keys()]
        faults += [
            f"{name} is {given[name]}, the hyperparameters say {wanted[name]}"
            for name in wanted.keys() & given.keys()
            if wanted[name] != given[name]
        ]
        raise RunFolderError(
            f"the state dict does not fit the hyperparameters: {'; '.join(sorted(faults)[:5])}"
            + (f" and {len(faults) - 5} more" if len(faults) > 5 else ""),
            "the weights of exactly this model",
            "The checkpoint was altered or is of another version of the model: take it from the run again",
            where,
        )
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise RunFolderError(
            f"weights that are not finite in {', '.join(broken[:5])}",
            "finite weights",
            "The training diverged or the file is damaged: take an earlier checkpoint",
            where,
        )
    return {name: value.float() for name, value in state.items()}


@dataclass(frozen=True)
class StateArchitecture:
    """The hyperparameters that a State module is built from, with the mask that was decided on."""

    hyperparameters: Mapping[str, Any]
    mask: Mask
    where: str = ""

    def drawn(self) -> nn.Module:
        """Return an untrained module, drawn from torch's global random state by arc-state's own init law."""
        given = deepcopy(dict(self.hyperparameters))
        given["transformer_backbone_kwargs"] |= {
            "bidirectional_attention": self.mask == "bidirectional",
            "attn_implementation": "eager",  # forward-mode AD does not pass through the CPU's flash attention
        }
        given |= {"gene_decoder_bool": False, "decoder_cfg": None}
        return built(model_class("state_transition", "StateTransitionPerturbationModel"), given)

    def empty(self) -> nn.Module:
        """Return the module without weights: nothing is drawn or allocated, however large it claims to be."""
        layers = self.hyperparameters["transformer_backbone_kwargs"].get("num_hidden_layers")
        if not isinstance(layers, int) or not 1 <= layers <= 512:
            raise RunFolderError(f"num_hidden_layers = {layers!r}", "1 to 512", where=self.where)
        try:
            with torch.device("meta"):
                module: Any = self.drawn()
        except JacprobeError:
            raise
        except Exception as error:
            raise RunFolderError(
                f"arc-state cannot build the model ({type(error).__name__}: {error})",
                "hyperparameters of a StateTransitionPerturbationModel",
                "Give a checkpoint of `state tx train` with model=state",
                self.where,
            ) from error
        backbone = module.transformer_backbone
        if list(backbone.rotary_emb.buffers()):
            # Frequencies of positions are computed, not stored: they need real numbers instead of the meta device's.
            backbone.rotary_emb = type(backbone.rotary_emb)(config=backbone.config)
        return module


def built(kind: type[nn.Module], given: Mapping[str, Any]) -> nn.Module:
    """Return an untrained module of one of arc-state's classes, in silence."""
    # arc-state prints every model that it builds, and Lightning remarks on the loss among the hyperparameters.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return kind(**given)


def model_class(file: str, name: str) -> type[nn.Module]:
    """Return a class of arc-state's by the file of its models and its name, or say what has to be installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a dozen libraries that arc-state imports
            import state.tx.models

            found_class = getattr(import_module(f"{state.tx.models.__name__}.{file}"), name)
    except ImportError as error:
        raise JacprobeError(
            f"arc-state cannot be imported ({error})",
            "arc-state 0.11 with transformers below 5",
            "pip install 'jacprobe[state]' (arc-state is licensed CC BY-NC-SA 4.0: non-commercial use only)",
            "State models",
        ) from error
    found = version("transformers")
    if int(found.partition(".")[0]) >= 5:
        raise JacprobeError(
            f"transformers {found}, which refuses a hidden size that is no multiple of the heads (328 and 12)",
            "transformers 4.52.3 or later, below 5",
            "pip install 'transformers<5'",
            "State models",
        )
    return found_class


def _require_mask(module: nn.Module, mask: Mask) -> None:
    """Measure the mask in force on three tokens and refuse another one than was asked for.

    With a causal mask the first token does not see the last; without, it does, and without positions either, swapping
    the last two leaves the first as it is.
    """
    backbone: Any = module.transformer_backbone
    tokens = torch.linspace(-1, 1, 3 * backbone.config.hidden_size).sin().reshape(1, 3, -1) * 10
    changed = tokens.clone()
    changed[:, 2] = tokens[:, 2].flip(-1)
    swapped = tokens[:, [0, 2, 1]]
    with torch.no_grad():
        first, other, again = (backbone(inputs_embeds=x).last_hidden_state[0, 0] for x in (tokens, changed, swapped))
    sees_later = not torch.equal(first, other)
    ordered = not torch.allclose(first, again, rtol=1e-4, atol=1e-5)
    in_force = "bidirectional" if sees_later and not ordered else "causal" if not sees_later else "ordered"
    if in_force != mask:
        raise JacprobeError(
            f"the attention in force is {in_force} with transformers {version('transformers')}",
            f"{mask}, as asked for",
            "Install the versions that jacprobe was tested with (constraints.txt)",
            "attention mask",
        )
