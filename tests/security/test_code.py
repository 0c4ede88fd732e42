"""Files that would run code where they are read carelessly: NumPy objects, Arrow extensions, kept estimates."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jacprobe import kept_estimates
from jacprobe.cells import read_cells
from jacprobe.errors import JacprobeError, StudyError
from jacprobe.stored import readers
from tests.test_cells import MODEL

if TYPE_CHECKING:
    from pathlib import Path


class Payload:
    """Makes a folder named `ran` where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists()


def test_the_payload_would_run(tmp_path: Path):
    pickle.loads(pickle.dumps(Payload()))
    assert (tmp_path / "ran").is_dir()
    (tmp_path / "ran").rmdir()


def test_an_array_of_objects(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([[Payload()]], dtype=object), allow_pickle=True)
    with pytest.raises(StudyError, match="not readable as a NumPy array"):
        readers.read_array(tmp_path / "a.npy", (None, 1))


def test_a_pickle_in_place_of_an_array(tmp_path: Path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(StudyError, match="not readable as a NumPy array"):
        readers.read_array(tmp_path / "a.npy", (None, 1))


@pytest.mark.parametrize("name", ["estimate", "samples_0"])
def test_objects_in_a_kept_estimate(tmp_path: Path, name: str):
    arrays = {"estimate": np.frombuffer(b"{}", np.uint8)} | {name: np.array([Payload()], dtype=object)}
    np.savez(tmp_path / "one.npz", allow_pickle=True, **arrays)
    assert kept_estimates.read(tmp_path / "one.npz") is None


def test_a_pickle_in_place_of_a_kept_estimate(tmp_path: Path):
    (tmp_path / "one.npz").write_bytes(pickle.dumps(Payload()))
    assert kept_estimates.read(tmp_path / "one.npz") is None


def test_a_pickled_type_in_a_table(tmp_path: Path):
    # Arrow before 14.0.1 unpickled this where it read a file's schema (CVE-2023-47248).
    field = pa.field("G", pa.float32(), metadata={
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Payload()),
    })  # fmt: skip
    pq.write_table(pa.table([pa.array([1.0], pa.float32())], schema=pa.schema([field])), tmp_path / "a.parquet")
    try:
        readers.read_frame(tmp_path / "a.parquet")
    except JacprobeError as error:
        assert "not readable as Parquet" in str(error)  # noqa: PT017 - refused or read as numbers: not run


def test_a_pickled_column_of_cells(own: Path):
    with h5py.File(own / "cells.h5ad", "r+") as file:
        del file["obs/gene/categories"]
        file["obs/gene/categories"] = np.array([pickle.dumps(Payload())], dtype=np.void)
    with pytest.raises(JacprobeError):
        read_cells(own / "cells.h5ad", MODEL)


def test_a_name_of_a_class_in_a_table_of_cells(own: Path):
    with h5py.File(own / "cells.h5ad", "r+") as file:
        file["obs/gene"].attrs["encoding-type"] = "pickle"
    with pytest.raises(JacprobeError, match="not readable as h5ad"):
        read_cells(own / "cells.h5ad", MODEL)
