from __future__ import annotations

import os
import time

import pytest

from jacprobe.errors import NewerStoreError
from jacprobe.store.fill import evidence
from jacprobe.store.store import Store
from jacprobe.store.upkeep import Fault, gc, list_entries, size, verify


@pytest.fixture
def filled(store, key, labels, values):
    evidence(store, key, labels, values, only=["KD1", "KD2"])
    evidence(store, key | {"version": 2}, labels, values)
    return store


def flip(entry, label):
    chunk = entry.chunk_path(label)
    chunk.write_bytes(chunk.read_bytes()[:-1] + bytes([chunk.read_bytes()[-1] ^ 1]))
    return chunk


def test_a_listing_says_what_is_there(filled, key):
    listed = {listing.key["version"]: listing for listing in list_entries(filled)}
    assert {version: (listing.chunks, listing.total) for version, listing in listed.items()} == {1: (2, 6), 2: (6, 6)}
    assert listed[1].key == key
    assert listed[1].shape == {"kd": 6, "gene": 3, "latent": 2}
    assert listed[1].nbytes == 2 * (6 * 4 + 4)
    assert not listed[1].shared


def test_a_shared_store_is_listed_as_such(filled, tmp_path):
    own = Store.at(tmp_path / "own", shared=[filled.root])
    assert [listing.shared for listing in list_entries(own)] == [True, True]
    assert list_entries(Store.at(tmp_path / "own")) == []


def test_the_size_is_that_of_the_files(filled, tmp_path):
    own = Store.at(tmp_path / "own", shared=[filled.root])
    files = sum(path.stat().st_size for path in filled.root.rglob("*") if path.is_file())
    assert size(own) == {str(own.root): 0, str(filled.root): files}


def test_verify_names_what_is_damaged_and_mends_it(filled, key, labels, values):
    assert verify(filled) == []
    (entry,) = filled.find(key)
    chunk = flip(entry, "KD2")
    (fault,) = verify(filled)
    assert (fault.where, fault.label) == (str(chunk), "KD2")
    assert "damaged chunk" in fault.problem
    assert verify(filled, mend=True) == [fault]
    assert verify(filled) == []
    assert not chunk.exists()
    assert entry.has("KD1")


def test_verify_mends_broken_metadata_by_removing_the_entry(filled, key):
    (entry,) = filled.find(key)
    (entry.path / "zarr.json").write_text("{")
    assert [(fault.where, fault.label) for fault in verify(filled)] == [(str(entry.path), None)]
    verify(filled, mend=True)
    assert not entry.path.exists()


def test_an_entry_without_metadata_is_named_and_what_is_no_entry_is_left_alone(filled, key):
    (entry,) = filled.find(key)
    (entry.path / "zarr.json").unlink()
    other = filled.root / "notes"
    other.mkdir()
    (other / "zarr.json").write_text("{")
    assert [(fault.where, fault.label) for fault in verify(filled, mend=True)] == [(str(entry.path), None)]
    assert not entry.path.exists()
    assert other.exists()


def test_an_entry_of_a_newer_version_is_not_taken_for_damaged_and_never_deleted(filled, key):
    (entry,) = filled.find(key)
    meta = entry.path / "zarr.json"
    meta.write_text(meta.read_text().replace('"format": 1', '"format": 2'))
    for look in (lambda: verify(filled, mend=True), lambda: gc(filled, {"Routing": 9}), lambda: list_entries(filled)):
        with pytest.raises(NewerStoreError, match=r"entry of format 2.*Update jacprobe"):
            look()
    assert meta.exists()


def test_verify_changes_nothing_in_a_shared_store(filled, key, tmp_path):
    (entry,) = filled.find(key)
    chunk = flip(entry, "KD2")
    own = Store.at(tmp_path / "own", shared=[filled.root])
    assert [fault.label for fault in verify(own, mend=True)] == ["KD2"]
    assert chunk.exists()
    assert isinstance(verify(own)[0], Fault)


def test_gc_removes_superseded_entries_only_of_probes_it_knows(filled, key):
    (old,) = filled.find(key)
    assert gc(filled) == []
    assert gc(filled, {"Delta": 9}) == []
    assert gc(filled, {"Routing": 2}, dry_run=True) == [str(old.path)]
    assert old.path.exists()
    assert gc(filled, {"Routing": 2}) == [str(old.path)]
    assert [listing.key["version"] for listing in list_entries(filled)] == [2]


def test_gc_sweeps_what_killed_writers_left_but_not_what_is_being_written(filled, key):
    (entry,) = filled.find(key)
    stale = entry.chunk_path("KD1").with_name("0.123.partial")
    stale.touch()
    abandoned, fresh = filled.root / f"{'0' * 64}.a.partial", filled.root / f"{'1' * 64}.b.partial"
    for path in (abandoned, fresh):
        path.mkdir()
    os.utime(abandoned, (time.time() - 7200, time.time() - 7200))
    assert set(gc(filled)) == {str(stale), str(abandoned)}
    assert not stale.exists()
    assert not abandoned.exists()
    assert fresh.exists()
    assert entry.has("KD1")


def test_an_empty_store_needs_no_upkeep(store):
    assert (list_entries(store), size(store), verify(store), gc(store)) == ([], {str(store.root): 0}, [], [])
