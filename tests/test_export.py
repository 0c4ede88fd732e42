"""Evidence opened by others: an entry of the store by xarray alone, an export by anndata."""

from __future__ import annotations

import subprocess
import sys

import anndata
import numpy as np
import pytest
import xarray as xr

import jacprobe
from jacprobe.errors import InputError
from jacprobe.requests import Delta

OPEN = """
import sys, xarray
entry = xarray.open_zarr(sys.argv[1], consolidated=False)
delta = entry["values"].assign_coords(entry.attrs["labels"])
assert "jacprobe" not in sys.modules
print(dict(delta.sizes), float(delta.sel(kd="MYC", gene="RPL3")), entry.attrs["attrs"]["units"])
"""


def test_an_entry_of_the_store_opens_in_xarray_without_this_package(tmp_path):
    study = jacprobe.open_study("demo", store=tmp_path)
    delta = study.evidence(Delta("fewshot/hepg2"))
    entries = [path for path in tmp_path.iterdir() if (path / "zarr.json").is_file()]
    run = subprocess.run([sys.executable, "-c", OPEN, str(entries[0])], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    value = float(delta.sel(kd="MYC", gene="RPL3"))
    assert (
        run.stdout == f"{{'kd': {delta.sizes['kd']}, 'gene': {delta.sizes['gene']}}} {value} {delta.attrs['units']}\n"
    )


def test_two_axes_are_obs_and_var_and_their_notes_go_along(tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    coords = {"kd": ["MYC", "MAX"], "gene": ["A", "B", "C"], "split": ("kd", ["trained", "held out"])}
    delta = xr.DataArray(values, dims=("kd", "gene"), coords=coords, attrs={"units": "log1p", "draw": 0})
    jacprobe.to_anndata(delta).write_h5ad(tmp_path / "delta.h5ad")
    found = anndata.read_h5ad(tmp_path / "delta.h5ad")
    assert np.array_equal(np.asarray(found.X), values)
    assert (list(found.obs_names), list(found.var_names)) == (["MYC", "MAX"], ["A", "B", "C"])
    assert list(found.obs["split"]) == ["trained", "held out"]
    assert dict(found.uns["attrs"]) == {"units": "log1p", "draw": "0"}


def test_a_third_axis_stands_in_obsm(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    coords = {"kd": ["MYC", "MAX"], "gene": ["A", "B", "C"]}
    jacobian = xr.DataArray(values, dims=("kd", "gene", "latent"), coords=coords, name="jacobian")
    jacprobe.to_anndata(jacobian).write_h5ad(tmp_path / "jacobian.h5ad")
    found = anndata.read_h5ad(tmp_path / "jacobian.h5ad")
    assert np.array_equal(np.asarray(found.obsm["jacobian"]), values)
    assert np.allclose(np.asarray(found.X), np.sqrt((values**2).sum(axis=2)))
    assert list(found.uns["axes"]) == ["kd", "gene", "latent"]


def test_other_numbers_of_axes_are_refused():
    with pytest.raises(InputError, match="evidence of 1 axes; wanted two or three"):
        jacprobe.to_anndata(xr.DataArray(np.zeros(3), dims=("kd",)))
