"""A store on a disk that is full, that can only be read, or whose clock went backwards; a model that gives NaN."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from jacprobe.errors import EvidenceMissingError, NotFiniteError, StoreError
from jacprobe.results import HISTORY, LEDGER, Results
from jacprobe.store.fill import evidence
from jacprobe.store.store import Store
from jacprobe.store.upkeep import gc, verify
from jacprobe.store.writable import require_writable
from jacprobe.verdicts.ledger import write_ledger
from tests.report.ledgers import few

if TYPE_CHECKING:
    from pathlib import Path

KEY, GENES = {"probe": "Delta"}, [f"G{i}" for i in range(5000)]
LABELS = {"kd": [f"KD{i}" for i in range(40)], "gene": GENES}


def values(label: str) -> np.ndarray:
    return np.full(len(GENES), int(label[2:]), np.float32)


def test_a_full_disk_keeps_what_is_whole_and_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path):
    store = Store.at(small_disk / "store")
    with pytest.raises(StoreError, match=r"'KD\d+' cannot be written \(\[Errno 28\].*Make room or give --store"):
        evidence(store, KEY, LABELS, values)
    (entry,) = store.find(KEY)
    there = [kd for kd in LABELS["kd"] if entry.is_there(kd)]
    assert 5 < len(there) < 40
    assert verify(store) == []
    assert not list(small_disk.rglob("*.partial"))
    larger = Store.at(tmp_path / "larger", [store.root])
    calls: list[str] = []
    found = evidence(larger, KEY, LABELS, lambda kd: calls.append(kd) or values(kd))
    assert calls == LABELS["kd"][len(there) :]
    np.testing.assert_array_equal(found.values[:, 0], np.arange(40))


def test_a_full_disk_makes_no_entry_at_all_rather_than_half_of_one(small_disk: Path):
    (small_disk / "film").write_bytes(b"x" * (280 * 1024))
    with pytest.raises(StoreError, match=r"Errno 28|no entry can be made|cannot be written"):
        evidence(Store.at(small_disk / "store"), KEY, LABELS, values)
    (small_disk / "film").unlink()
    assert evidence(Store.at(small_disk / "store"), KEY, LABELS, values, only=["KD3"]).values[0, 0] == 3


def test_a_store_that_can_only_be_read_serves_what_it_has_and_names_what_it_lacks(tmp_path: Path, read_only):
    store = Store.at(tmp_path / "store")
    evidence(store, KEY, LABELS, values, only=["KD1", "KD2"])
    read_only(store.root)
    require_writable(store)
    found = evidence(store, KEY, LABELS, values, only=["KD2", "KD1"])
    assert found.values[:, 0].tolist() == [2, 1]
    assert verify(store) == []
    with pytest.raises(StoreError, match=r"the chunk of 'KD3', which it lacks.*Give --store DIR"):
        evidence(store, KEY, LABELS, values, only=["KD1", "KD3"])
    with pytest.raises(StoreError, match="the store cannot be written"):
        evidence(store, KEY | {"draw": 1}, LABELS, values)
    with pytest.raises(StoreError, match="the store cannot be written"):
        require_writable(Store.at(store.root / "else"))
    own = Store.at(tmp_path / "own", [store.root])
    assert evidence(own, KEY, LABELS, values, only=["KD1", "KD3"]).values[:, 0].tolist() == [1, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_names_its_knockdown_and_counts_as_missing(tmp_path: Path, value: float):
    store = Store.at(tmp_path / "store")

    def broken(kd: str) -> np.ndarray:
        return np.full(len(GENES), value, np.float32) if kd == "KD3" else values(kd)

    with pytest.raises(NotFiniteError, match="not finite for 'KD3'") as caught:
        evidence(store, KEY, LABELS, broken)
    assert isinstance(caught.value, EvidenceMissingError)
    assert evidence(store, KEY, LABELS, broken, only=["KD0", "KD4"]).values[:, 0].tolist() == [0, 4]


def test_a_clock_that_goes_backwards_overwrites_no_earlier_run(tmp_path: Path):
    first, *_ = few()
    for seconds in (2_000_000_000, 1_000_000_000, 1_000_000_000, 1_500_000_000):
        results = Results(tmp_path)
        results.expect([first["id"]])
        results.add(first)
        results.finish([first["id"]], lambda claim_id, reason: pytest.fail(f"{claim_id}: {reason}"))
        os.utime(tmp_path / LEDGER, (seconds, seconds))
    stamps = sorted(path.name for path in (tmp_path / HISTORY).iterdir())
    assert stamps == ["2001-09-09T01-46-40Z", "2001-09-09T01-46-40Z-2", "2033-05-18T03-33-20Z"]
    assert all((tmp_path / HISTORY / stamp / LEDGER).is_file() for stamp in stamps)


def test_clearing_up_spares_what_seems_to_come_from_the_future(tmp_path: Path):
    store = Store.at(tmp_path / "store")
    evidence(store, KEY, LABELS, values, only=["KD1"])
    folder = store.root / f"{'a' * 64}.b.partial"
    folder.mkdir()
    for path in (folder, store.find(KEY)[0].chunk_path("KD1")):
        os.utime(path, (time.time() + 10**7, time.time() + 10**7))
    assert gc(store) == []
    assert folder.is_dir()
    assert evidence(store, KEY, LABELS, values, only=["KD1"]).values[0, 0] == 1


def test_a_half_written_ledger_leaves_the_earlier_one(tmp_path: Path, small_disk: Path):
    write_ledger(small_disk / LEDGER, few()[:1])
    before = (small_disk / LEDGER).read_bytes()
    (small_disk / "film").write_bytes(b"x" * (270 * 1024))
    from jacprobe.errors import JacprobeError

    with pytest.raises(JacprobeError, match=r"not writable: \[Errno 28\]"):
        write_ledger(small_disk / LEDGER, few() * 20)
    assert (small_disk / LEDGER).read_bytes() == before
