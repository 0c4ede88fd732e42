"""Control copies of a model, by the name of the control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.models.randomised import permute_onehot, randomise
from jacprobe.models.surrogates import linear_surrogate, mean_shift

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.cells import BatchRule
    from jacprobe.roles import Control


def control_copy(
    model: Any, control_cells: xr.DataArray, control: Control, copy: int, batch: BatchRule = "first"
) -> Any:
    """Return a control copy of a model; the copy's number is the seed of what is re-drawn."""
    if control in ("linear-surrogate", "mean-shift"):
        make = linear_surrogate if control == "linear-surrogate" else mean_shift
        return make(model, control_cells, batch=batch)
    if control == "permuted-onehot":
        return permute_onehot(model, copy)
    if control == "random-body":
        return randomise(model, "body", copy)
    return randomise(model, "all" if control == "untrained" else "pert_encoder", copy)
