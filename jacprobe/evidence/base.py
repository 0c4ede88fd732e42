"""The dispatch that every kind of request registers with."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError
from jacprobe.requests import Request

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.studies import Study


@singledispatch
def resolve(request: Request, study: Study) -> Any:
    """Return the evidence that `request` describes, computed from the models of `study`.

    Raises
    ------
    EvidenceMissingError
        Where the study lacks a model, gene or set, or no probe serves the request.
    """
    raise EvidenceMissingError(f"no probe serves {request}", f"a request that jacprobe knows, in {study.name}")


def labelled(values: Any, coords: dict[str, Any], units: str = "1") -> xr.DataArray:
    """Return values with names on every axis."""
    import xarray as xr

    return xr.DataArray(values, dims=list(coords), coords=coords, attrs={"units": units})
