"""The store on a real S3-compatible server, which checks credentials."""

from __future__ import annotations

import numpy as np
import pytest

from jacprobe.errors import InputError, StoreError
from jacprobe.store.fill import evidence, fill
from jacprobe.store.objects import ObjectStore
from jacprobe.store.store import Store

# s3fs leaves sessions open when an instance is forgotten; the next one is asked for with other credentials here.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
KEY = {"probe": "Routing", "version": 1, "weights": "abc", "draw": 0}
LABELS = {"kd": [f"KD{i}" for i in range(6)], "gene": ["A", "B", "C"], "latent": [0, 1]}


def values(label):
    return np.arange(6, dtype=np.float32).reshape(3, 2) * int(label[2:])  # zeros for KD0


def test_chunks_are_those_of_a_folder_byte_for_byte_and_written_once(s3, tmp_path):
    entry = ObjectStore.at(s3.address).entry(KEY, LABELS, "float32", {"units": "log1p"})
    assert fill(entry, values) == 6
    again = ObjectStore.at(s3.address).entry(KEY, LABELS, "float32", {})
    assert fill(again, values) == 0
    local = Store.at(tmp_path).entry(KEY, LABELS, "float32", {"units": "log1p"})
    fill(local, values)
    assert [again.chunk_bytes(kd) for kd in LABELS["kd"]] == [local.chunk_bytes(kd) for kd in LABELS["kd"]]
    np.testing.assert_array_equal(again.read("KD5"), values("KD5"))
    opened = again.open()
    np.testing.assert_array_equal(opened.sel(kd="KD4"), values("KD4"))
    assert opened.attrs["units"] == "log1p"


def test_writers_of_their_own_labels_fill_one_entry(s3):
    first, second = (ObjectStore.at(s3.address).entry(KEY, LABELS, "float32", {}) for _ in range(2))
    fill(first, values, LABELS["kd"][::2])
    fill(second, values, LABELS["kd"][1::2])
    (found,) = ObjectStore.at(s3.address).find(KEY)
    assert all(found.has(kd) for kd in LABELS["kd"])


def test_a_chunk_cut_short_is_computed_again(s3):
    store = ObjectStore.at(s3.address)
    entry = store.entry(KEY, LABELS, "float32", {})
    fill(entry, values)
    store._put(f"{entry.where.rpartition('/')[2]}/{entry.chunk_key('KD3')}", entry.chunk_bytes("KD3")[:-1])
    (cut,) = store.find(KEY)
    assert (cut.has("KD3"), cut.has("KD2")) == (False, True)
    assert fill(cut, values) == 1
    np.testing.assert_array_equal(cut.read("KD3"), values("KD3"))


def test_claims_copy_what_an_object_store_holds_and_compute_the_rest(s3, tmp_path):
    fill(ObjectStore.at(s3.address).entry(KEY, LABELS, "float32", {}), values, ["KD1", "KD4"])
    calls = []
    own = Store.at(tmp_path / "own", shared=[s3.address])
    found = evidence(own, KEY, LABELS, lambda label: calls.append(label) or values(label))
    assert sorted(calls) == ["KD0", "KD2", "KD3", "KD5"]
    for kd in LABELS["kd"]:
        np.testing.assert_array_equal(found.sel(kd=kd), values(kd))


def test_an_object_store_cannot_be_the_own_store_of_a_run(s3):
    with pytest.raises(StoreError, match=rf"wanted a folder, for its locks. Give --shared-store {s3.address}"):
        Store.at(s3.address)


def test_wrong_credentials_are_told_as_such(s3, monkeypatch):
    entry = ObjectStore.at(s3.address).entry(KEY, LABELS, "float32", {})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for attempt in (
        lambda: ObjectStore.at(s3.address).find(KEY),
        lambda: ObjectStore.at(s3.address).entry(KEY | {"draw": 1}, LABELS, "float32", {}),
    ):
        forget_instances()
        with pytest.raises(StoreError, match=r"refuses these credentials.*AWS_SECRET_ACCESS_KEY"):
            attempt()
    monkeypatch.undo()
    assert not entry.is_there("KD0")


def test_no_credentials_no_endpoint_no_bucket_and_no_driver_are_told_as_such(s3, monkeypatch):
    with pytest.raises(StoreError, match=r"nothing here.*a bucket or container that exists"):
        ObjectStore.at("s3://elsewhere/evidence").entry(KEY, LABELS, "float32", {})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_instances()
    with pytest.raises(StoreError, match=r"cannot be reached.*AWS_ENDPOINT_URL"):
        ObjectStore.at(s3.address).find(KEY)
    with pytest.raises(InputError, match="nosuch://x"):
        ObjectStore.at("nosuch://x")


def forget_instances():
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
