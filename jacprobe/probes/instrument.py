"""Is the instrument sound? Deviations between ways of computing the same number."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jacprobe.cells import BatchRule, prepare_cells
from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.models.protocol import LinearPertEncoder
from jacprobe.probes.response import perturbation_names, predict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from jacprobe.models.protocol import PerturbationModel


@torch.no_grad()
def forward_parity(
    model: PerturbationModel, control_cells: Any, perturbations: Sequence[str], batch: BatchRule = "first"
) -> xr.DataArray:
    """Return max |Y - Y_predict_step| / max |Y_predict_step| over cells and genes, for each perturbation: (kd,).

    Y is what `predict` gives, Y_predict_step what the model's own entry point gives.
    """
    names = perturbation_names(model, perturbations)
    ours = predict(model, control_cells, names, cells="each", batch=batch).values
    theirs = _own_prediction(model, control_cells, names, batch)
    return _labelled(np.abs(ours - theirs).max(axis=(1, 2)) / np.abs(theirs).max(), {"kd": names})


@torch.no_grad()
def permutation_error(
    model: PerturbationModel,
    control_cells: Any,
    perturbations: Sequence[str],
    rng: np.random.Generator,
    permutations: int = 10,
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return max |P Y(X) - Y(P X)| / max |Y| for random orders P of the control cells X: (kd, permutation).

    Rounding alone for a model that treats its cells as a set; a fraction of 1 for one that reads their order.
    """
    names = perturbation_names(model, perturbations)
    cells = prepare_cells(model, control_cells, batch)
    orders = [np.arange(len(cells.values)), *(rng.permutation(len(cells.values)) for _ in range(permutations))]
    errors = np.empty((len(names), permutations))
    for k, name in enumerate(names):
        first, *others = (_one_step(model, cells.values[order], cells.batch[order], name) for order in orders)
        for i, (other, order) in enumerate(zip(others, orders[1:], strict=True)):
            errors[k, i] = np.abs(first[order] - other).max() / np.abs(first).max()
    return _labelled(errors, {"kd": names, "permutation": range(permutations)})


def name_mismatches(model: PerturbationModel, control_cells: Any, shapes: Mapping[str, int]) -> xr.DataArray:
    """Return how often names and counts of model, cells and study disagree: (check,), all 0 where all is well.

    Parameters
    ----------
    model
        The model.
    control_cells
        A DataArray (cell, gene) with `batch`.
    shapes
        Counts that the study states: "genes", "knockdowns" (the control left out), "latent", "batches".

    Raises
    ------
    InputError
        If the study states a count that is none of these.
    """
    knockdowns = [name for name in model.perturbations if name != model.control]
    counts = {"genes": len(model.genes), "knockdowns": len(knockdowns), "batches": len(model.batches)}
    if hasattr(model, "latent_dim"):
        counts["latent"] = int(getattr(model, "latent_dim"))  # noqa: B009 a capability that not every model has
    unknown = [name for name in shapes if name not in counts]
    if unknown:
        raise InputError(f"counts of {', '.join(unknown)}", f"counts of {', '.join(counts)}", where="shapes")
    genes = [str(name) for name in control_cells["gene"].values]
    batches = {str(name) for name in control_cells["batch"].values} if "batch" in control_cells.coords else set()
    predicted = predict(model, control_cells, knockdowns[:1])
    checks = {
        "genes named twice": _repeats(model.genes),
        "perturbations named twice": _repeats(model.perturbations),
        "control named other than once": abs(model.perturbations.count(model.control) - 1),
        "genes of the cells under other names or in another order": _differences(genes, model.genes),
        "batches of the cells that the model does not know": len(batches - set(model.batches)),
        "outputs without a gene or genes without an output": _differences(predicted["gene"].values, model.genes),
        "knockdowns without training status": len(set(knockdowns) ^ set(model.split)),
    }
    checks |= {f"{name} against the study": abs(counts[name] - int(stated)) for name, stated in shapes.items()}
    return _labelled(np.array(list(checks.values())), {"check": list(checks)})


@torch.no_grad()
def encoder_lookup_error(model: LinearPertEncoder) -> xr.DataArray:
    """Return max |pert_encoder(onehot_k) - (W[:, k] + b)| / max |W| for each perturbation k: (kd,).

    0 where the encoder is a single linear layer, that is, a table with one learned vector for each perturbation.

    Raises
    ------
    CapabilityMissingError
        The model's perturbations pass no linear layer.
    """
    if not isinstance(model, LinearPertEncoder):
        raise CapabilityMissingError(
            f"{type(model).__name__}, whose perturbations pass no linear layer first",
            "a model with pert_linear",
            where="model",
        )
    weight, bias = model.pert_linear()
    vectors = model.pert_vectors(torch.arange(len(model.perturbations), device=model.device))
    errors = (vectors - (weight.T + bias)).abs().amax(dim=1) / weight.abs().max()
    return _labelled(errors.cpu().numpy(), {"kd": list(model.perturbations)})


def _own_prediction(model: PerturbationModel, control_cells: Any, names: Sequence[str], batch: BatchRule) -> np.ndarray:
    cells = prepare_cells(model, control_cells, batch)
    return np.stack([_one_step(model, cells.values, cells.batch, name) for name in names])


def _one_step(model: PerturbationModel, values: np.ndarray, batch: np.ndarray, name: str) -> np.ndarray:
    """Return the model's own prediction for one set under one perturbation: [S, G]."""
    x, index = _tensors(model, values, batch)
    pert = torch.tensor([model.perturbations.index(name)], device=model.device)
    return model.predict_step(x, pert, index)[0].cpu().numpy()


def _tensors(model: PerturbationModel, values: np.ndarray, batch: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.as_tensor(values, dtype=model.dtype, device=model.device)[None]
    return x, torch.as_tensor(batch, device=model.device)[None]


def _repeats(names: Sequence[str]) -> int:
    return sum(count - 1 for count in Counter(names).values())


def _differences(names: Sequence[str] | np.ndarray, wanted: Sequence[str]) -> int:
    """Return at how many positions two lists differ, surplus ones counted."""
    same = sum(str(a) == b for a, b in zip(names, wanted, strict=False))
    return max(len(names), len(wanted)) - same


def _labelled(values: np.ndarray, coords: dict[str, Any], **attrs: Any) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(values, dims=list(coords), coords={k: list(v) for k, v in coords.items()}, attrs=attrs)
