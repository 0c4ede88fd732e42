"""Measured mean responses of cell lines to knockdowns, as a study ships them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.apart import read_apart
from jacprobe.errors import EvidenceMissingError, InputError, StudyError
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
        If the file is no such table, or one on which HDF5 hangs or dies, or a knockdown stands twice in a line.
    EvidenceMissingError
        If the line is not there.
    """
    import xarray as xr

    try:
        read = read_apart(observed_of_file, path, needs=("h5py", "anndata"))
    except InputError as error:
        raise StudyError(error.given, error.wanted, error.mend, path) from error
    lines, kds = (np.array(read[name], dtype=str) for name in ("cell_line", "gene"))
    table = read["values"]
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
    coords: dict[str, object] = {"kd": names, "gene": np.array(read["names"], dtype=str)}
    if read["n_cells"] is not None:
        coords["n_cells"] = ("kd", np.asarray(read["n_cells"])[chosen])
    attrs = {"units": "log1p-normalised expression", "direction": "perturbed - control", "cell_line": line}
    return xr.DataArray(values, dims=("kd", "gene"), coords=coords, attrs=attrs)


def observed_of_file(path: Path) -> dict[str, Any]:
    """Return what a file of observed responses holds, in the very process that calls it.

    That is `values` (row, gene), `names` of genes, and of each row `cell_line`, `gene` and `n_cells` (or None).

    Raises
    ------
    StudyError
        If the file is no such table.
    """
    import anndata
    import h5py

    try:
        require_regular(path)
        with h5py.File(path, "r") as file:
            require_own(file, path)
        data = anndata.read_h5ad(path)
        listed = {name: np.asarray(data.obs[name]).astype(str).tolist() for name in ("cell_line", "gene")}
        n_cells = np.asarray(data.obs["n_cells"]) if "n_cells" in data.obs else None
        table = data.to_df().to_numpy(dtype=np.float64)
        names = np.asarray(data.var_names).astype(str).tolist()
    except Exception as error:  # whatever AnnData raises of what it does not know
        raise StudyError(
            f"not readable as observed responses ({error})", "an h5ad with obs cell_line and gene", where=path
        ) from error
    return {"values": table, "n_cells": n_cells, "names": names, **listed}
