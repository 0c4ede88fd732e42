"""Evidence as AnnData, for whoever works on with scanpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import InputError

if TYPE_CHECKING:
    import anndata
    import xarray as xr


def to_anndata(evidence: xr.DataArray) -> anndata.AnnData:
    """Return evidence as an AnnData, which `write_h5ad` writes and any AnnData reads.

    Parameters
    ----------
    evidence
        (kd, gene) or other two named axes, which become `X`, `obs` and `var`; or a third axis (kd, gene, latent), whose
        array stands in `obsm` under its name, or as "values", while `X` holds the norms over it.

    Returns
    -------
    AnnData with the axes' names in `uns["axes"]`, and the evidence's attributes in `uns["attrs"]` as texts.

    Raises
    ------
    InputError
        Where it has fewer axes than two or more than three.
    """
    import anndata
    import numpy as np
    import pandas as pd

    if evidence.ndim not in (2, 3):
        raise InputError(f"evidence of {evidence.ndim} axes", "two or three", "Select along the others.", "to_anndata")
    frames = []
    for axis in evidence.dims[:2]:
        names = evidence[axis].values if axis in evidence.coords else np.arange(evidence.sizes[axis])
        beside = {
            str(name): np.asarray(coord.values)
            for name, coord in evidence.coords.items()
            if coord.dims == (axis,) and name != axis
        }
        frames.append(pd.DataFrame(beside, index=pd.Index([str(name) for name in names], name=str(axis))))
    values = np.asarray(evidence.values)
    x = values if values.ndim == 2 else np.linalg.norm(values, axis=2)
    data = anndata.AnnData(X=x, obs=frames[0], var=frames[1])
    if values.ndim == 3:
        data.obsm[str(evidence.name or "values")] = values
        third: Any = evidence.dims[2]
        data.uns["third_axis"] = [str(name) for name in evidence[third].values] if third in evidence.coords else []
    data.uns["axes"] = [str(axis) for axis in evidence.dims]
    data.uns["attrs"] = {str(name): str(value) for name, value in evidence.attrs.items()}
    return data
