"""Whatever is in a file, its reader reads it or refuses it with an error of jacprobe's own, in little memory."""

from __future__ import annotations

import os
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jacprobe import apart
from tests.security.conftest import LINUX
from tests.security.readers import attempt, readers_of, small_memory

NAMES = [
    "checkpoints/best.ckpt", "pert_onehot_map.pt", "batch_onehot_map.torch", "var_dims.pkl", "config.yaml",
    "split.toml", "study.toml", "expected.toml", "GMT", "ledger", "cut ledger", "cells", "cells by name", "observed",
    "npy", "parquet", "csv", "names", "SAE weights", "SAE options", "entry", "array", "chunk", "estimate",
]  # fmt: skip
TOKENS = (b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 8, b"9" * 30, b"-1", b"null", b"true", b"NaN", b"1e999", b'"', b"[")
place, length = st.floats(0, 1), st.integers(0, 40)
DAMAGE = st.one_of(
    st.tuples(st.just("cut"), place),
    st.tuples(st.just("flip"), place, st.integers(0, 7)),
    st.tuples(st.just("splice"), place, place, length),
    st.tuples(st.just("drop"), place, length),
    st.tuples(st.just("token"), place, st.sampled_from(TOKENS)),
)


def damaged(raw: bytes, damages: list[tuple]) -> bytes:
    made = bytearray(raw)
    for kind, share, *more in damages:
        if not made:
            break
        at = min(int(share * len(made)), len(made) - 1)
        match kind, more:
            case "cut", []:
                del made[at:]
            case "flip", [bit]:
                made[at] ^= 1 << bit
            case "splice", [other, size]:
                begin = int(other * len(made))
                made[at:at] = made[begin : begin + size]
            case "drop", [size]:
                del made[at : at + size]
            case "token", [token]:
                made[at : at + len(token)] = token
    return bytes(made)


def test_every_reader_is_tried(valid):
    assert [reader.name for reader in readers_of(valid)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_valid_file_is_read(valid, name):
    reader = next(one for one in readers_of(valid) if one.name == name)
    assert attempt(reader, valid, (valid / reader.file).read_bytes()) == "read"


@pytest.mark.skipif(not LINUX, reason="limits memory as Linux does")
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_read_or_refused(valid, tmp_path_factory, monkeypatch, name):
    reader = next(one for one in readers_of(valid) if one.name == name)
    raw = (valid / reader.file).read_bytes()
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.chdir(scratch)
    monkeypatch.setattr(apart, "FEWEST_SECONDS", 5.0)  # HDF5 hangs on some, which costs so long and is refused
    seen: set[str] = set()

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        database=None,
    )
    @given(st.lists(DAMAGE, min_size=1, max_size=6))
    def check(damages: list[tuple]) -> None:
        seen.add(attempt(reader, valid, damaged(raw, damages)))

    with small_memory(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about what is odd in a file; a user sees them once
        check()
    assert "refused" in seen
    assert os.listdir(scratch) == []  # noqa: PTH208 - no code of a file left anything where it would have been run
    assert (valid / reader.file).read_bytes() == raw
