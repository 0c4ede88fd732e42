"""In-silico knockouts: what the prediction loses when a gene is silenced in the control cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from jacprobe.errors import InputError
from jacprobe.jacobian.gemm import SWITCHES, choose
from jacprobe.probes.sets import encode, in_passes, labels, positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from torch import Tensor

    from jacprobe.cells import BatchRule
    from jacprobe.models.protocol import DifferentiableInPert


def knockout(
    model: DifferentiableInPert,
    control_cells: Any,
    genes: Sequence[str] | None = None,
    value: Literal[0, "mean"] = 0,
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return the response to silencing each input gene, under the control perturbation: silenced minus unsilenced.

    A knockout (KO) changes the control cells, not the perturbation; a knockdown (KD) is the reverse.

    Parameters
    ----------
    model
        A model that is differentiable in its perturbation vector.
    control_cells, batch
        As in `jacprobe.predict`.
    genes
        Input genes to silence, by name; all of the model's where None.
    value
        What their expression becomes in every cell: 0, or "mean" over the control cells.

    Returns
    -------
    DataArray
        (gene_in, gene), difference of the mean predicted log1p-normalised expression.

    Raises
    ------
    UnknownNameError
        Unknown genes, all listed.
    InputError
        The cells do not fit the model; another `value`.
    """
    import xarray as xr

    if value not in (0, "mean") or isinstance(value, bool):
        raise InputError(f"value={value!r}", "0 or 'mean'", where="value")
    prepared = encode(model, control_cells, batch)
    index = positions("gene", list(model.genes) if genes is None else genes, model.genes, "genes")
    level = prepared.values.mean(dim=0) if value == "mean" else prepared.values.new_zeros(len(model.genes))
    pert = prepared.vectors[model.perturbations.index(model.control)]
    with choose(model.device, model.dtype, among=SWITCHES).switched():
        found = silenced_responses(model, prepared.values, level, pert, prepared.batch, index)
    return xr.DataArray(
        found.cpu().numpy(),
        dims=("gene_in", "gene"),
        coords={"gene_in": [model.genes[i] for i in index], "gene": list(model.genes)},
        name="knockout",
        attrs=labels(
            model,
            prepared,
            "response to an in-silico knockout",
            units="difference of log1p-normalised expression",
            direction="silenced - unsilenced",
            value=str(value),
        ),
    )


@torch.no_grad()
def silenced_responses(
    model: DifferentiableInPert, values: Tensor, level: Tensor, pert: Tensor, batch: Tensor, genes: Sequence[int]
) -> Tensor:
    """Return mean predictions with each gene at `level` minus those without: [K, G].

    `values` [S, G], `level` [G], `pert` [D], `batch` [S]. The encoding is taken anew for each gene: that is 2 % of a
    pass, and right for any encoder. The unsilenced cells go through passes of the same shape as the silenced ones.
    """
    nothing = len(level)
    columns = torch.arange(nothing, device=values.device)

    def silenced(index: Tensor) -> Tensor:
        chosen = (columns == index.unsqueeze(1)).unsqueeze(1)
        cells = torch.where(chosen, level, values)
        size = len(index)
        return model.forward(model.encode_cells(cells), pert.expand(size, -1), batch.expand(size, -1)).mean(dim=1)

    items = torch.tensor([nothing, *genes], device=values.device)
    found = in_passes(silenced, items, len(values))
    return found[1:] - found[:1]
