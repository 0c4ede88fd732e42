"""How one gene's prediction moves with another gene's expression in the control cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from jacprobe.errors import InputError
from jacprobe.jacobian.gemm import SWITCHES, choose
from jacprobe.probes.sets import EncodedCells, encode, in_passes, labels, positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from torch import Tensor

    from jacprobe.cells import BatchRule
    from jacprobe.models.protocol import DifferentiableInPert

_SAME = {torch.float32: 1e-4, torch.float64: 1e-10}  # relative, one repeated cell against one cell


def targeted_jacobian(
    model: DifferentiableInPert,
    control_cells: Any,
    regulators: Sequence[str],
    targets: Sequence[str],
    perturbations: Sequence[str] | None = None,
    cells: Literal["each", "mean"] = "each",
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return dY[target]/dX[regulator]: how a target's mean prediction moves when a regulator rises in all cells.

    With "each" the control cells are the true ones and the effect on their mean prediction is taken: the estimator to
    judge by. With "mean" all cells are their mean, which reproduces the published panel: all of them then share one
    ReLU state, so that an entry is either whole or exactly 0. Identical cells attend to identical values, so that one
    cell stands for the whole set, exactly; that is checked, and otherwise the repeated set is computed.

    Parameters
    ----------
    model
        A model that is differentiable in its perturbation vector.
    control_cells, batch
        As in `jacprobe.predict`.
    regulators, targets
        Genes, by name.
    perturbations
        Names; all of the model's where None.
    cells
        "each" or "mean".

    Returns
    -------
    DataArray
        (kd, regulator, target), log1p-normalised expression per unit of the same; coordinate `shut_targets` (kd): how
        many targets are exactly 0 for every regulator.

    Raises
    ------
    UnknownNameError
        Unknown genes or perturbations, all listed.
    InputError
        The cells do not fit the model; "mean" of cells of several batches.
    """
    import xarray as xr

    if cells not in ("each", "mean"):
        raise InputError(f"cells={cells!r}", "'each' or 'mean'", where="cells")
    prepared = encode(model, control_cells, batch)
    columns = positions("gene", regulators, model.genes, "regulators")
    rows = positions("gene", targets, model.genes, "targets")
    names = list(model.perturbations) if perturbations is None else perturbations
    index = positions("perturbation", names, model.perturbations, "perturbations")
    values, index_of_batch = _cells(model, prepared, cells)
    with choose(model.device, model.dtype, among=SWITCHES).switched():
        found = target_gradients(model, values, prepared.vectors[index], index_of_batch, rows, columns)
    array = found.cpu().numpy()
    return xr.DataArray(
        array,
        dims=("kd", "regulator", "target"),
        coords={
            "kd": [model.perturbations[i] for i in index],
            "regulator": [model.genes[i] for i in columns],
            "target": [model.genes[i] for i in rows],
            "shut_targets": ("kd", (~array.any(axis=1)).sum(axis=1)),
        },
        name="targeted_jacobian",
        attrs=labels(
            model,
            prepared,
            "Jacobian of a target's predicted expression by a regulator's expression",
            units="log1p-normalised expression per unit of the same",
            direction="d(mean over cells of Y[target])/d(X[regulator] in all cells)",
            cells="true cells" if cells == "each" else f"mean cell, repeated {len(values)} times",
        ),
    )


def target_gradients(
    model: DifferentiableInPert,
    values: Tensor,
    vectors: Tensor,
    batch: Tensor,
    targets: Sequence[int],
    regulators: Sequence[int],
) -> Tensor:
    """Return the gradient of each target's mean over cells by a shift of all cells, at regulators: [K, R, T].

    `values` [S, G], `vectors` [K, D], `batch` [S]. One backward pass per target serves as many perturbations as make up
    256 cells, and all regulators.
    """
    columns = torch.tensor(list(regulators), device=values.device)

    def gradients(pert: Tensor) -> Tensor:
        size = len(pert)
        shift = values.new_zeros(size, 1, values.shape[1]).requires_grad_()
        with torch.enable_grad():
            Y = model.forward(model.encode_cells(values + shift), pert, batch.expand(size, -1)).mean(dim=1)
            rows = [Y.select(1, target).sum() for target in targets]
            slopes = [torch.autograd.grad(row, shift, retain_graph=True)[0].squeeze(1) for row in rows]
        return torch.stack([slope.index_select(1, columns) for slope in slopes], dim=2)

    return in_passes(gradients, vectors, len(values))


def _cells(model: DifferentiableInPert, prepared: EncodedCells, cells: str) -> tuple[Tensor, Tensor]:
    """Return the cells to differentiate by and their batches: [S, G] and [S]."""
    if cells == "each":
        return prepared.values, prepared.batch
    if prepared.batch.unique().numel() > 1:
        raise InputError(
            given="the mean of control cells of several batches",
            wanted="cells of one batch",
            mend="Give batch='first', or cells='each'.",
            where="cells",
        )
    values = prepared.values.mean(dim=0, keepdim=True)
    one, whole = (values, prepared.batch[:1]), (values.expand_as(prepared.values), prepared.batch)
    if not model.any_set_len:
        return whole
    pert = prepared.vectors[model.perturbations.index(model.control)].unsqueeze(0)
    with torch.no_grad():
        few, many = (
            model.forward(model.encode_cells(x.unsqueeze(0)), pert, b.unsqueeze(0)).mean(dim=1) for x, b in (one, whole)
        )
    return one if float((few - many).norm()) <= _SAME[model.dtype] * float(many.norm()) else whole
