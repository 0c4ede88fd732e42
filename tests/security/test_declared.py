"""What a file declares is refused before it is allocated: terabytes on few bytes, headers that lie, what swells."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from jacprobe import kept_estimates
from jacprobe.cells import read_cells
from jacprobe.errors import InputError, RunFolderError, StoreError, StudyError
from jacprobe.models.state_identity import identify
from jacprobe.observed import read_observed
from jacprobe.probes.sae import load_sae
from jacprobe.store.entry import Entry
from jacprobe.stored import readers
from tests.security.readers import RUN, entry_of
from tests.test_cells import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TERA = 10**12
pytestmark = pytest.mark.usefixtures("one_gigabyte")
ONE = torch.zeros(1)


def hole(path: str, shape: tuple[int, ...], dtype: Any = "f4") -> Callable[[h5py.File], None]:
    """Put a data set of which nothing is stored in place of the one at `path`."""

    def change(file: h5py.File) -> None:
        attributes = dict(file[path].attrs)
        del file[path]
        made = file.create_dataset(path, shape=shape, dtype=dtype, chunks=tuple(min(size, 64) for size in shape))
        for name, value in attributes.items():
            made.attrs[name] = value

    return change


def shape(*sizes: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file["X"].attrs["shape"] = sizes

    return change


def odd_borders(file: h5py.File) -> None:
    borders: Any = file["X/indptr"]
    borders[...] = [0, 2**30, 2**30, 2**30, 2**30]


def columns(file: h5py.File) -> None:
    hole("X/data", (TERA,))(file)
    file["X"].attrs.update({"encoding-type": "csc_matrix", "shape": (4, 3)})


TEXT = h5py.string_dtype()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("cells.h5ad", hole("obsm/X_hvg", (TERA, 3)), "X_hvg of shape .* wanted 4 cells"),
        ("cells.h5ad", hole("obsm/X_hvg", (4, TERA)), "with 1000000000000 columns; wanted 3"),
        ("cells.h5ad", hole("obs/gene/codes", (TERA,), "i1"), "codes declares 8e.12 bytes, of which 0 are stored"),
        ("cells.h5ad", hole("obs/_index", (TERA,), TEXT), "/obs/_index declares"),
        ("cells.h5ad", hole("var/_index", (TERA,), TEXT), "/var/_index declares"),
        ("named.h5ad", hole("X/indptr", (TERA,), "i8"), "borders of rows; wanted|1000000000000,. borders"),
        ("named.h5ad", odd_borders, "X with rows that are none"),
        ("named.h5ad", shape(4, TERA), "wanted 4 cells by 3 genes"),
        ("named.h5ad", shape(TERA, 3), "wanted 4 cells by 3 genes"),
        ("named.h5ad", columns, "/X/data declares"),
    ],
)
def test_cells_of_terabytes(own: Path, name: str, change: Callable[[h5py.File], None], message: str):
    with h5py.File(own / name, "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message):
        read_cells(own / name, MODEL)


def test_observed_responses_of_terabytes(own: Path):
    with h5py.File(own / "observed.h5ad", "r+") as file:
        hole("X", (3, TERA))(file)
    with pytest.raises(StudyError, match="/X declares"):
        read_observed(own / "observed.h5ad", "hepg2")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (ONE.expand(TERA), r"weights of 4e\+12 bytes in a file of"),
        (ONE.expand(8, TERA // 8), r"weights of 4e\+12 bytes"),
        (torch.empty(TERA, device="meta"), "no plain tensors of numbers: odd"),
        (
            torch.sparse_coo_tensor(
                torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (TERA,), check_invariants=False
            ),
            "no plain",
        ),
    ],
    ids=["view", "matrix", "meta", "sparse"],
)
def test_weights_of_terabytes_on_one_stored_number(own: Path, weight: torch.Tensor, message: str):
    path = own / RUN / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=False)
    content["state_dict"]["odd"] = weight
    torch.save(content, path)
    assert path.stat().st_size < 200_000
    with pytest.raises(RunFolderError, match=message):
        identify(own / RUN)


def test_a_storage_that_the_archive_does_not_hold(own: Path):
    path = own / RUN / "checkpoints/best.ckpt"
    raw = io.BytesIO()
    torch.save({"state_dict": {"w": torch.zeros(1000)}, "hyper_parameters": {}}, raw)
    with zipfile.ZipFile(raw) as whole, zipfile.ZipFile(path, "w") as cut:
        for item in whole.infolist():
            cut.writestr(item, whole.read(item)[: 8 if "/data/" in item.filename else None])
    with pytest.raises(RunFolderError, match=r"best\.ckpt"):
        identify(own / RUN)


@pytest.mark.parametrize("vector", [ONE.expand(TERA), torch.empty(TERA, device="meta")], ids=["view", "meta"])
def test_a_one_hot_vector_of_terabytes(own: Path, vector: torch.Tensor):
    path = own / RUN / "pert_onehot_map.pt"
    content = torch.load(path, weights_only=False)
    torch.save(content | {next(iter(content)): vector}, path)
    with pytest.raises(RunFolderError, match="is not one-hot"):
        identify(own / RUN)


@pytest.mark.parametrize("name", ["head_dim", "hidden_size", "max_position_embeddings"])
def test_a_model_of_sizes_that_none_has(own: Path, name: str):
    path = own / RUN / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=False)
    content["hyper_parameters"]["transformer_backbone_kwargs"][name] = TERA
    torch.save(content, path)
    with pytest.raises(RunFolderError, match=f"hyperparameter {name} = 1e"):
        identify(own / RUN)


def npy(dtype: str, declared: tuple[int, ...], body: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": declared})
    return file.getvalue() + body


@pytest.mark.parametrize("dtype", ["<f4", "|O", "<f8"])
def test_an_array_that_declares_more_than_its_file_has(tmp_path: Path, dtype: str):
    (tmp_path / "a.npy").write_bytes(npy(dtype, (TERA, 4), b"\0" * 64))
    with pytest.raises(StudyError, match=r"a\.npy: not readable as a NumPy array"):
        readers.read_array(tmp_path / "a.npy", (None, 4))


def test_a_table_that_declares_more_rows_than_memory_has(tmp_path: Path):
    # What is missing throughout is stored once: 300 million numbers in a few kilobytes.
    table = pa.table(dict.fromkeys((f"G{i}" for i in range(20)), pa.nulls(15_000_000, pa.float32())))
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 1_000_000
    with pytest.raises(StudyError, match="15,000,000 rows of 20 columns are declared"):
        readers.read_frame(tmp_path / "a.parquet")


def tensors(header: dict[str, Any], body: bytes = b"\0" * 96) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def of(*offsets: int, kind: str = "F32", shape: tuple[int, ...] = (6, 4)) -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    "raw",
    [
        tensors({"W_enc": of(0, 4 * TERA, shape=(TERA,))}),
        tensors({"W_enc": of(0, 96), "W_dec": of(0, 96)}),
        tensors({"W_enc": of(0, 64, shape=(4, 4)), "W_dec": of(32, 96, shape=(4, 4))}),
        tensors({"W_enc": of(96, 192)}),
        tensors({"W_enc": of(0, 96, kind="F64")}),
        tensors({"W_enc": of(0, 96, kind="I8")}),
        tensors({"W_enc": of(0, 96, shape=(-6, -4))}),
        tensors({"W_enc": of(0, 96, shape=(2**32, 2**32))}),
        struct.pack("<Q", TERA) + b"{}",
    ],
    ids=["beyond", "twice", "overlapping", "after the end", "wider", "narrower", "negative", "overflowing", "header"],
)
def test_weights_whose_header_lies(own: Path, raw: bytes):
    (own / "sae" / "sae_weights.safetensors").write_bytes(raw)
    with pytest.raises(InputError, match="not readable as safetensors"):
        load_sae(own / "sae")


def change_array(folder: Path, **changes: Any) -> Entry:
    path = entry_of(folder) / "values" / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return Entry(entry_of(folder))


GRID = {"name": "regular", "configuration": {"chunk_shape": [TERA, TERA]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [TERA, TERA]}, "an array with shape"),
        ({"shape": [3, TERA], "chunk_grid": GRID}, r"shape \(3, 1000000000000\)"),
        ({"chunk_grid": GRID}, "chunks"),
        ({"data_type": "float64"}, "32 bytes|20|damaged"),
        ({"codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}]}, "gzip|no array"),
        ({"codecs": [{"name": "numcodecs.pickle"}]}, "no array"),
        ({"data_type": "string"}, "numbers|no array"),
        ({"zarr_format": 2}, "no array"),
    ],
)
def test_array_metadata_that_lie(own: Path, changes: dict[str, Any], message: str):
    with pytest.raises(StoreError, match=message):
        change_array(own, **changes).read("B")


def test_a_chunk_larger_than_declared_is_not_read(own: Path):
    entry = Entry(entry_of(own))
    with entry.chunk_path("B").open("r+b") as file:
        file.truncate(TERA)  # a hole on disk
    with pytest.raises(StoreError, match=r"a damaged chunk for 'B' \(1,000,000,000,000 bytes\)"):
        entry.read("B")


def test_another_array_beside_the_values(own: Path):
    # xarray would read a coordinate of that name whole.
    import zarr

    zarr.create_array(entry_of(own) / "kd", shape=(TERA,), chunks=(1,), dtype="i1", dimension_names=["kd"])
    with pytest.raises(StoreError, match="kd beside its values"):
        Entry(entry_of(own)).open()


def archive(path: Path, members: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packed) as file:
        for name, raw in members.items():
            file.writestr(f"{name}.npy", raw)


@pytest.mark.parametrize(
    ("members", "packed"),
    [
        ({"estimate": npy("|u1", (TERA,), b"{}")}, zipfile.ZIP_STORED),
        ({"estimate": npy("|u1", (50_000_000,), b"\0" * 50_000_000)}, zipfile.ZIP_DEFLATED),
        ({"estimate": npy("|O", (1,), pickle.dumps([1]))}, zipfile.ZIP_STORED),
    ],
    ids=["header", "bomb", "object"],
)
def test_a_kept_estimate_that_swells_is_as_good_as_none(tmp_path: Path, members: dict[str, bytes], packed: int):
    archive(tmp_path / "one.npz", members, packed)
    assert kept_estimates.read(tmp_path / "one.npz") is None


def test_a_csv_that_pandas_cannot_hold(tmp_path: Path):
    (tmp_path / "a.csv").write_text("pert_name,cluster\n" + '"' + "x" * 1000)
    with pytest.raises(StudyError, match="not readable as CSV"):
        readers.read_vector(tmp_path / "a.csv", "pert_name", "cluster")
