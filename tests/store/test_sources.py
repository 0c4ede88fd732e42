"""What was read is noted with its checksums, and evidence that is gone or another one is named."""

from __future__ import annotations

import shutil

import pytest

from jacprobe.sources import Sources, places_of
from jacprobe.store.fill import fill
from jacprobe.verification import faults


@pytest.fixture
def entry(store, key, labels, values):
    made = store.entry(key, labels, "float32", {})
    fill(made, values, ["KD0", "KD1", "KD2", "KD4"])
    return made


@pytest.fixture
def line(entry):
    sources = Sources()
    with sources.noting() as found:
        assert sources.note(entry, ["KD4", "KD0", "KD1"])
    ((name, stated),) = found.items()
    assert entry.path.name.startswith(name)
    assert stated.startswith("0-1,4:")
    assert places_of("0-1,4") == [0, 1, 4]
    return {"id": "nb01-a", "provenance": {"entries": found}}


def test_evidence_that_is_there_has_no_fault_and_more_of_it_does_no_harm(store, entry, line, values):
    assert faults([line], store) == []
    fill(entry, values, ["KD3", "KD5"])
    assert faults([line], store) == []


def test_evidence_that_is_missing_damaged_or_another_one_is_named_with_its_claim(store, entry, line, values):
    entry.write("KD1", values("KD1") + 1)
    assert faults([line], store) == [f"{entry.path.name[:16]}, evidence of nb01-a: another one: its checksum differs"]
    entry.write("KD1", values("KD1"))
    chunk = entry.chunk_path("KD4")
    content = chunk.read_bytes()
    # The checksum behind the chunk stands, its values do not.
    chunk.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert "damaged: 1 of 3 chunks" in faults([line], store)[0]
    chunk.unlink()
    assert "missing: 1 of 3 chunks" in faults([line], store)[0]
    shutil.rmtree(entry.path)
    assert "missing: no such entry in the store" in faults([line], store)[0]


def test_files_of_others_are_held_against_their_hashes(store, tmp_path):
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    (tmp_path / "hello.npy").write_bytes(b"hello")
    line = {"id": "nb01-a", "provenance": {"evidence": {"hello.npy": digest}}}
    assert faults([line], store, tmp_path) == []
    assert "1 files of evidence computed by others are not checked" in faults([line], store)[0]
    (tmp_path / "hello.npy").write_bytes(b"other")
    assert "its checksum differs" in faults([line], store, tmp_path)[0]
    assert "missing" in faults([line], store, tmp_path / "elsewhere")[0]


def test_what_is_read_inside_is_noted_outside_and_again_from_memory_but_no_ingredients(entry):
    sources = Sources()
    with sources.noting() as outer:
        with sources.noting("request"):
            sources.note(entry, ["KD0"])
        with sources.apart():
            sources.note(entry, ["KD1"])
    with sources.noting() as again:
        sources.again("request")
    assert outer == again
    assert next(iter(outer.values())).startswith("0:")
    assert not sources.note(entry, ["KD3"])
