"""Measured mean responses of cell lines to knockdowns, as a study ships them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacprobe.errors import EvidenceMissingError, StudyError
from jacprobe.h5ad_check import require_own
from jacprobe.texts import require_regular

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr


def read_observed(path: Path, line: str) -> xr.DataArray:
    """Return the responses of one line: (kd, gene), perturbed minus control cells, log1p units; `n_cells` beside them.

    Parameters
    ----------
    path
        An h5ad file: a row per line and knockdown, `obs` with `cell_line` and `gene` (and `n_cells`), `X` dense.
    line
        Which one.

    Raises
    ------
    StudyError
        If the file is no such table, or a knockdown stands twice in a line.
    EvidenceMissingError
        If the line is not there.
    """
    import anndata
    import h5py
    import xarray as xr

    try:
        require_regular(path)
        with h5py.File(path, "r") as file:
            require_own(file, path)
        data = anndata.read_h5ad(path)
        lines, kds = (np.asarray(data.obs[name]).astype(str) for name in ("cell_line", "gene"))
        table = data.to_df().to_numpy(dtype=np.float64)
    except Exception as error:  # whatever AnnData raises of what it does not know
        raise StudyError(
            f"not readable as observed responses ({error})", "an h5ad with obs cell_line and gene", where=path
        ) from error
    chosen = np.flatnonzero(lines == line)
    if not len(chosen):
        raise EvidenceMissingError(
            f"no responses observed in {line}", f"one of {', '.join(np.unique(lines))}", where=path.name
        )
    names = kds[chosen]
    if len(np.unique(names)) < len(names):
        raise StudyError(f"a knockdown stands twice in {line}", "one row per line and knockdown", where=path)
    values = table[chosen]
    if not np.isfinite(values).all():
        raise StudyError("responses that are not finite", "finite mean responses", where=path)
    coords: dict[str, object] = {"kd": names, "gene": np.asarray(data.var_names).astype(str)}
    if "n_cells" in data.obs:
        coords["n_cells"] = ("kd", np.asarray(data.obs["n_cells"])[chosen])
    attrs = {"units": "log1p-normalised expression", "direction": "perturbed - control", "cell_line": line}
    return xr.DataArray(values, dims=("kd", "gene"), coords=coords, attrs=attrs)
