from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jacprobe.errors import RunFolderError, UnsafePickleError
from jacprobe.models.pickles import read_pickle

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
PLAIN = st.recursive(
    LEAVES,
    lambda x: st.lists(x) | st.tuples(x, x) | st.dictionaries(st.text(), x) | st.frozensets(LEAVES),
    max_leaves=20,
)


class MakeFolder:
    """A payload that makes a folder when it is unpickled carelessly."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.file),)


def read_bytes(raw: bytes, folder: Path) -> object:
    file = folder / "some.pkl"
    file.write_bytes(raw)
    return read_pickle(file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pickles")


@given(data=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
@settings(deadline=None)
def test_plain_data_come_back_as_they_were(folder: Path, data: object, protocol: int):
    assert read_bytes(pickle.dumps(data, protocol=protocol), folder) == data


ARRAYS = {
    "strings": np.array(["TP53", "MYC"]),
    "objects": np.array(["TP53", "MYC"], dtype=object),
    "matrix": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "scalar": np.int64(3),
    "name": np.str_("non-targeting"),
    "truth": np.bool_(True),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_in_both_spellings_of_numpy(folder: Path, name: str, protocol: int):
    raw = pickle.dumps(ARRAYS[name], protocol=protocol)
    # NumPy 1 wrote numpy.core, NumPy 2 writes numpy._core; short strings carry their length in protocol 4.
    old = raw.replace(b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray").replace(
        b"numpy._core", b"numpy.core"
    )
    for spelling in (raw, old) if protocol < 4 else (raw,):
        found, wanted = np.asarray(read_bytes(spelling, folder)), np.asarray(pickle.loads(raw))
        assert np.array_equal(found, wanted)
        assert found.dtype == wanted.dtype


TENSORS = {"onehot": torch.eye(3)[1].clone(), "half": torch.ones(2, dtype=torch.bfloat16), "view": torch.arange(6)[2:4]}


@pytest.mark.parametrize("how", ["archive", "legacy", "pickle"])
def test_tensors_come_back_from_every_format(folder: Path, how: str):
    content = OrderedDict({**TENSORS, np.str_("named"): torch.zeros(1)})
    buffer = io.BytesIO()
    if how == "pickle":
        pickle.dump(content, buffer)
    else:
        torch.save(content, buffer, _use_new_zipfile_serialization=how == "archive")
    found = read_bytes(buffer.getvalue(), folder)
    assert isinstance(found, OrderedDict)
    assert all(torch.equal(found[name], tensor) for name, tensor in TENSORS.items())
    assert "named" in found


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_is_refused_and_never_run(tmp_path: Path, protocol: int):
    victim = tmp_path / "victim"
    with pytest.raises(UnsafePickleError, match=r"some\.pkl: the pickle asks for \w+\.mkdir.*torch\.save"):
        read_bytes(pickle.dumps({"names": [MakeFolder(victim)]}, protocol=protocol), tmp_path)
    assert not victim.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_torch_file_is_refused_and_never_run(tmp_path: Path, zipped: bool):
    victim = tmp_path / "victim"
    torch.save({"state_dict": MakeFolder(victim)}, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafePickleError, match=r"x\.ckpt: the pickle asks for "):
        read_pickle(tmp_path / "x.ckpt")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("raw", "culprit"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"ctorch\nload\n(S'x'\ntR.", "torch.load"),
        (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
        (b"ccollections\nOrderedDict\n)R}S'update'\nS'x'\nsb.", "the state of a OrderedDict"),
    ],
)
def test_what_a_pickle_asks_for_is_named(tmp_path: Path, raw: bytes, culprit: str):
    with pytest.raises(UnsafePickleError, match=culprit):
        read_bytes(raw, tmp_path)


def test_a_module_among_the_hyperparameters_is_refused_by_name(tmp_path: Path):
    torch.save({"loss_fn": torch.nn.MSELoss()}, tmp_path / "x.ckpt")
    with pytest.raises(UnsafePickleError, match=r"torch\.nn\.modules\.loss\.MSELoss"):
        read_pickle(tmp_path / "x.ckpt")


def _archive() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.arange(50.0), "name": "x"}, buffer)
    return buffer.getvalue()


WHOLE = {"archive": _archive(), "pickle": pickle.dumps({"weight": torch.arange(50.0), "genes": ["a"] * 20})}


@given(which=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 0.999))
@settings(deadline=None)
def test_a_truncated_file_is_called_damaged(folder: Path, which: str, share: float):
    raw = WHOLE[which]
    with pytest.raises(RunFolderError, match=r"damaged or no pickle|asks for"):
        read_bytes(raw[: int(len(raw) * share)], folder)


@given(which=st.sampled_from(sorted(WHOLE)), data=st.data())
@settings(deadline=None, max_examples=200)
def test_flipped_bytes_give_data_or_jacprobes_own_error(folder: Path, which: str, data: st.DataObject):
    raw = bytearray(WHOLE[which])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RunFolderError):
        read_bytes(bytes(raw), folder)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(RunFolderError, match=r"gone\.pkl: cannot be read"):
        read_pickle(tmp_path / "gone.pkl")


def test_a_memo_index_does_not_allocate(tmp_path: Path):
    # LONG_BINPUT with index 2^32 - 1: the unpickler in C makes room for as many pointers, 64 GiB.
    assert read_bytes(b"]r" + struct.pack("<I", 2**32 - 1) + b".", tmp_path) == []


def test_an_archive_that_inflates_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(RunFolderError, match="10000000 bytes unpacked"):
        read_pickle(tmp_path / "x.pt")


def test_an_array_larger_than_its_bytes_is_refused(tmp_path: Path):
    raw = pickle.dumps(np.zeros(3), protocol=2)
    grown = raw.replace(b"K\x03\x85", b"\x8a\x05\x00\x00\x00\x00\x10\x85")
    assert grown != raw
    with pytest.raises(RunFolderError, match="damaged"):
        read_bytes(grown, tmp_path)


def test_naming_the_array_type_does_not_let_it_be_called(tmp_path: Path):
    with pytest.raises(RunFolderError, match="damaged"):
        read_bytes(b"cnumpy\nndarray\n(I1000000000000\ntR.", tmp_path)


def test_reading_leaves_torchs_own_list_of_safe_types_alone(folder: Path):
    before = list(torch.serialization.get_safe_globals())
    read_bytes(WHOLE["archive"], folder)
    assert set(torch.serialization.get_safe_globals()) == set(before)
