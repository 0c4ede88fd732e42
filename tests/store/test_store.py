from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jacprobe.errors import StoreError
from jacprobe.store.entry import Entry
from jacprobe.store.fill import evidence, put
from jacprobe.store.store import Store, default_root, key_hash

SCALARS = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())


def counted(values):
    calls = []

    def compute(label):
        calls.append(label)
        return values(label)

    return compute, calls


def test_evidence_is_computed_once_and_then_read(store, key, labels, values):
    compute, calls = counted(values)
    first = evidence(store, key, labels, compute, attrs={"units": "log1p", "name": "J"})
    again = evidence(store, key, labels, compute)
    assert calls == labels["kd"]
    xr.testing.assert_identical(first.load(), again.load())
    assert (again.dims, again.name, again.attrs["units"]) == (("kd", "gene", "latent"), "J", "log1p")
    assert {axis: again[axis].values.tolist() for axis in again.dims} == labels
    for kd in labels["kd"]:
        np.testing.assert_array_equal(again.sel(kd=kd), values(kd))


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32"])
def test_values_that_are_all_zero_are_kept_like_any_others(store, key, dtype):
    compute, calls = counted(lambda _: np.zeros(3, dtype=dtype))
    labels = {"check": ["a", "b"], "gene": ["x", "y", "z"]}
    for _ in range(2):
        assert not evidence(store, key, labels, compute, dtype=dtype).values.any()
    assert calls == ["a", "b"]


def test_only_what_is_asked_for_is_computed_and_a_chunk_always_means_the_same(store, key, labels, values):
    compute, calls = counted(values)
    some = evidence(store, key, labels, compute, only=["KD4", "KD1"])
    assert some["kd"].values.tolist() == calls == ["KD4", "KD1"]
    np.testing.assert_array_equal(some.sel(kd="KD4"), values("KD4"))
    evidence(store, key, labels, compute)
    assert sorted(calls) == labels["kd"]


def test_every_part_of_the_key_matters_and_its_order_does_not(store, key, labels, values):
    compute, calls = counted(values)
    evidence(store, key, labels, compute, only=["KD1"])
    evidence(store, dict(reversed(key.items())), labels, compute, only=["KD1"])
    assert calls == ["KD1"]
    for name in key:
        evidence(store, key | {name: "other"}, labels, compute, only=["KD1"])
    assert len(calls) == 1 + len(key)


@given(st.dictionaries(st.text(), SCALARS), st.dictionaries(st.text(), SCALARS))
def test_keys_share_a_hash_only_when_they_are_the_same(a, b):
    def plain(key):
        return {name: repr(value) for name, value in key.items()}

    assert (key_hash(a) == key_hash(b)) == (plain(a) == plain(b))
    assert key_hash(a) == key_hash(dict(reversed(a.items())))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=4, unique=True),
    width=st.integers(1, 5),
    seed=st.integers(0, 99),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_what_is_put_is_what_is_read(tmp_path, names, width, seed, dtype):
    array = xr.DataArray(
        np.random.default_rng(seed).normal(size=(len(names), width)).astype(dtype),
        dims=("kd", "gene"),
        coords={"kd": names, "gene": [f"g{i}" for i in range(width)]},
        attrs={"units": "log1p"},
    )
    store, key = (
        Store.at(tmp_path / "store"),
        {"probe": "Delta", "names": json.dumps(names), "n": width, "s": seed, "t": dtype},
    )
    put(store, key, array, source="NB05")
    (entry,) = store.find(key)
    read = entry.open()
    np.testing.assert_array_equal(read.values, array.values)
    assert (read["kd"].values.tolist(), read.dtype, read.attrs["source"]) == (names, array.dtype, "NB05")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, (1,)])
def test_keys_hold_finite_scalars(bad):
    with pytest.raises(StoreError, match="key"):
        key_hash({"draw": bad})


def test_a_shared_store_is_read_and_never_written(tmp_path, key, labels, values):
    compute, calls = counted(values)
    shared = Store.at(tmp_path / "shared")
    evidence(shared, key, labels, compute)
    before = {path: path.stat().st_mtime_ns for path in shared.root.rglob("*")}
    own = Store.at(tmp_path / "own", shared=[shared.root])
    read = evidence(own, key, labels, compute)
    assert calls == labels["kd"]
    np.testing.assert_array_equal(read.sel(kd="KD5"), values("KD5"))
    assert not own.root.exists()
    assert {path: path.stat().st_mtime_ns for path in shared.root.rglob("*")} == before


def test_what_a_shared_store_has_in_part_is_not_computed_again(tmp_path, key, labels, values):
    compute, calls = counted(values)
    shared = Store.at(tmp_path / "shared")
    evidence(shared, key, labels, compute, only=["KD2", "KD0"])
    own = Store.at(tmp_path / "own", shared=[shared.root])
    read = evidence(own, key, labels, compute)
    assert sorted(calls) == labels["kd"]
    for kd in labels["kd"]:
        np.testing.assert_array_equal(read.sel(kd=kd), values(kd))


def test_a_damaged_chunk_of_a_shared_store_is_not_copied(tmp_path, key, labels, values):
    compute, calls = counted(values)
    shared = Store.at(tmp_path / "shared")
    evidence(shared, key, labels, compute)
    (entry,) = shared.find(key)
    chunk = entry.chunk_path("KD3")
    chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
    read = evidence(Store.at(tmp_path / "own", shared=[shared.root]), key, labels, compute)
    assert calls == [*labels["kd"], "KD3"]
    np.testing.assert_array_equal(read.sel(kd="KD3"), values("KD3"))


def test_the_user_store_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "jacprobe" / "store"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root().parts[-2:] == ("jacprobe", "store")


def test_a_store_of_a_newer_version_is_refused(store, key, labels, values):
    evidence(store, key, labels, values)
    (store.root / "jacprobe-store.json").write_text('{"format": 2}')
    with pytest.raises(StoreError, match=r"store of format 2; wanted format 1.*Update jacprobe"):
        Store.at(store.root)


def test_an_entry_of_a_newer_version_is_refused(store, key, labels, values):
    evidence(store, key, labels, values)
    (entry,) = store.find(key)
    meta = json.loads((entry.path / "zarr.json").read_text())
    meta["attributes"]["format"] = 2
    (entry.path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="entry of format 2; wanted format 1"):
        store.find(key)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"attributes": {}}', '{"attributes": {"format": "x"}}'])
def test_damaged_metadata_is_named(store, key, labels, values, damage):
    evidence(store, key, labels, values)
    (entry,) = store.find(key)
    (entry.path / "zarr.json").write_text(damage)
    with pytest.raises(StoreError, match=rf"{entry.path.name[:20]}.*metadata that cannot be read.*Delete the folder"):
        store.find(key)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "labels", "attrs", "kd"]), inner)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(JSON, st.sampled_from([0, 1, "1", None]))
def test_whatever_metadata_holds_is_read_or_refused(tmp_path, attributes, version):
    path = tmp_path / "entry"
    path.mkdir(exist_ok=True)
    if isinstance(attributes, dict):
        attributes |= {"format": version}
    (path / "zarr.json").write_text(json.dumps({"attributes": attributes}))
    try:
        entry = Entry(path)
    except StoreError as error:
        assert "metadata that cannot be read" in error.given  # noqa: PT017 (either is right)
    else:
        assert all(isinstance(names, list) for names in entry.labels.values())


def test_one_key_has_one_list_of_labels(store, key, labels, values):
    evidence(store, key, labels, values)
    with pytest.raises(StoreError, match="other labels along gene"):
        evidence(store, key, labels | {"gene": ["A", "B", "D"]}, values, only=["KD9"])


def test_places_that_cannot_hold_a_store(tmp_path, key, labels, values):
    with pytest.raises(StoreError, match="no shared store here"):
        Store.at(tmp_path / "own", shared=[tmp_path / "nowhere"])
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="a file; wanted a folder"):
        Store.at(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be written"):
        evidence(Store.at(Path("/proc/jacprobe")), key, labels, values)
    (tmp_path / "jacprobe-store.json").write_text("?")
    with pytest.raises(StoreError, match="the mark of a jacprobe store"):
        Store.at(tmp_path)


def test_evidence_without_names_is_refused(store, key):
    with pytest.raises(StoreError, match="no names along gene"):
        put(store, key, xr.DataArray(np.ones((1, 2)), dims=("kd", "gene"), coords={"kd": ["A"]}), source="NB05")
