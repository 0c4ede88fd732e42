"""Looking after an object store, on a real S3-compatible server: the same commands as for a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from jacprobe import cli
from jacprobe.errors import UnreachableStoreError
from jacprobe.sources import Sources
from jacprobe.store.fill import evidence, fill
from jacprobe.store.objects import ObjectStore
from jacprobe.store.store import Store
from jacprobe.store.upkeep import gc, list_entries, size, verify
from jacprobe.verification import faults
from tests.report.ledgers import few

# s3fs leaves sessions open when an instance is forgotten.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
KEY = {"probe": "delta", "version": 1, "weights": "abc", "draw": 0}
LABELS = {"kd": [f"KD{i}" for i in range(6)], "gene": ["A", "B", "C"]}
CHUNK = 3 * 4 + 4


def values(label):
    return np.arange(3, dtype=np.float32) * int(label[2:])


@pytest.fixture
def store(s3):
    """Two entries, two of six chunks and all of them, beside something that is none of ours."""
    made = ObjectStore.at(s3.address)
    fill(made.entry(KEY, LABELS, "float32", {}), values, ["KD1", "KD2"])
    fill(made.entry(KEY | {"version": 0}, LABELS, "float32", {}), values)
    made._put("notes/zarr.json", b"{")
    return made


def flip(store, key, label, byte=0):
    """Damage a chunk without changing its size, and return where it lies."""
    (entry,) = store.find(key)
    content = bytearray(entry.chunk_bytes(label))
    content[byte] ^= 1
    store._put(f"{entry.where.rpartition('/')[2]}/{entry.chunk_key(label)}", bytes(content))
    return f"{entry.where}/{entry.chunk_key(label)}"


def run(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


def test_what_is_there_is_listed_with_its_size(store):
    listed = {listing.key["version"]: listing for listing in list_entries(store)}
    assert {version: (listing.chunks, listing.nbytes) for version, listing in listed.items()} == {
        1: (2, 2 * CHUNK),
        0: (6, 6 * CHUNK),
    }
    assert not listed[1].shared
    ((where, nbytes),) = size(store).items()
    assert where == store.address
    assert nbytes > 8 * CHUNK
    shown = run("store", "list", "--store", store.address)
    assert (shown.exit_code, shown.output.count("delta  6 kd x 3 gene  ")) == (0, 2)
    assert "2/6 chunks\n" in shown.output
    assert json.loads(run("store", "size", "--store", store.address, "--json").output) == {where: nbytes}


def test_a_damaged_chunk_is_named_by_reading_it_and_mended_on_demand(store):
    sound = run("store", "verify", "--store", store.address)
    assert (sound.exit_code, sound.output) == (0, "0 damaged\n")
    where = flip(store, KEY, "KD2")
    told = run("store", "verify", "--store", store.address)
    assert (told.exit_code, told.output.splitlines()[-1]) == (1, "1 damaged")
    assert told.output.startswith(f"{where}: KD2: a damaged chunk")
    assert [(fault.where, fault.label) for fault in verify(store, mend=True)] == [(where, "KD2")]
    assert verify(store) == []
    (entry,) = store.find(KEY)
    assert (entry.is_there("KD1"), entry.is_there("KD2")) == (True, False)


def test_unreadable_metadata_are_named_and_the_entry_goes_on_demand(store):
    (entry,) = store.find(KEY)
    store._put(f"{entry.where.rpartition('/')[2]}/zarr.json", b"{")
    assert [(fault.where, fault.label) for fault in verify(store)] == [(entry.where, None)]
    verify(store, mend=True)
    assert store.find(KEY) == []
    assert sorted({name.partition("/")[0] for name in store.sizes("")}) == sorted([*store.names(), "notes"])


def test_superseded_entries_are_cleared_and_nothing_else(store):
    (old,) = store.find(KEY | {"version": 0})
    before = size(store)
    dry = run("store", "gc", "--store", store.address, "--dry-run")
    assert (dry.exit_code, dry.output) == (0, f"would delete {old.where}\n")
    assert size(store) == before
    assert gc(store, {"jacobian": 9}) == []
    assert gc(store, {"delta": 1}) == [old.where]
    assert [listing.key["version"] for listing in list_entries(store)] == [1]
    assert "notes/zarr.json" in store.sizes("")


def test_a_shared_object_store_is_listed_and_checked_and_never_changed(store, tmp_path):
    own = Store.at(tmp_path / "own", shared=[store.address])
    evidence(own, KEY, LABELS, values, only=["KD1"])
    where = flip(store, KEY, "KD2")
    assert sorted(listing.shared for listing in list_entries(own)) == [False, True, True]
    assert list(size(own)) == [str(tmp_path / "own"), store.address]
    assert [fault.where for fault in verify(own, mend=True)] == [where]
    assert gc(own, {"delta": 1}) == []
    assert [fault.where for fault in verify(store)] == [where]


def test_a_ledger_is_held_against_an_object_store(store):
    sources = Sources()
    with sources.noting() as found:
        assert sources.note(store.find(KEY)[0], ["KD1", "KD2"])
    line = {"id": "nb01-a", "provenance": {"entries": found}}
    ((name, _),) = found.items()
    assert faults([line], store) == []
    flip(store, KEY, "KD2")
    assert faults([line], store) == [f"{name}, evidence of nb01-a: damaged: 1 of 2 chunks"]
    flip(store, KEY, "KD2", byte=-1)
    assert faults([line], store) == [f"{name}, evidence of nb01-a: another one: its checksum differs"]
    store.find(KEY)[0].drop("KD2")
    assert faults([line], store) == [f"{name}, evidence of nb01-a: missing: 1 of 2 chunks"]
    store.remove(store.find(KEY)[0].where.rpartition("/")[2])
    assert faults([line], store) == [f"{name}, evidence of nb01-a: missing: no such entry in the store"]


def test_a_ledgers_command_reads_an_object_store_too(store, tmp_path):
    ledger = tmp_path / "verdicts.jsonl"
    line = few()[0] | {"id": "nb01-a", "provenance": {"entries": {"0" * 16: "0-1:abc"}}}
    ledger.write_text(json.dumps(line) + "\n")
    for place in (["--store", store.address], ["--store", tmp_path / "own", "--shared-store", store.address]):
        told = run("verify", ledger, *place)
        assert told.exit_code == 1
        assert "evidence of nb01-a: missing: no such entry in the store" in told.output


def test_what_cannot_be_fetched_is_not_taken_for_damaged_and_never_deleted(store, monkeypatch):
    def gone(*_, **__):
        raise ConnectionError("the network is down")

    (entry,) = store.find(KEY)
    with monkeypatch.context() as cut:
        cut.setattr(type(store._fs), "_cat_file", gone)
        with pytest.raises(UnreachableStoreError, match="cannot be reached"):
            entry.damage("KD1")
        with pytest.raises(UnreachableStoreError, match="cannot be reached"):
            verify(store, mend=True)
    assert verify(store) == []
    assert [listing.chunks for listing in list_entries(store) if listing.key["version"] == 1] == [2]


@pytest.mark.parametrize("command", ["list", "size", "verify", "gc"])
def test_no_bucket_wrong_credentials_and_a_new_prefix(s3, monkeypatch, command):
    import s3fs

    new = run("store", command, "--store", f"{s3.address}/new")
    assert (new.exit_code, isinstance(new.exception, SystemExit | None)) == (0, True)
    absent = run("store", command, "--store", "s3://elsewhere/evidence")
    assert "nothing here" in str(absent.exception)
    assert "a bucket or container that exists" in str(absent.exception)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3fs.S3FileSystem.clear_instance_cache()
    refused = run("store", command, "--store", s3.address)
    assert isinstance(refused.exception, UnreachableStoreError)
    assert "refuses these credentials" in str(refused.exception)


def test_a_shared_store_under_an_object_store_is_refused(s3, tmp_path):
    refused = run("store", "list", "--store", s3.address, "--shared-store", tmp_path)
    assert "--shared-store beside --store s3://bucket/evidence; wanted one of them" in str(refused.exception)
