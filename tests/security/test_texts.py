"""Texts that cost more than they weigh: TOML, YAML, JSON and patterns made to fill memory or never to end."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacprobe.errors import InputError, JacprobeError, RunFolderError, StudyError
from jacprobe.gene_sets import gene_sets, read_gmt
from jacprobe.models.run_folder import read_run_folder
from jacprobe.observed import read_observed
from jacprobe.opening import open_study
from jacprobe.patterns import LONGEST, compiled, fitting
from jacprobe.probes.sae import load_sae
from jacprobe.store.entry import Entry
from jacprobe.stored import readers
from jacprobe.texts import LARGEST
from jacprobe.verdicts.expectations import read_expectations
from jacprobe.verdicts.ledger import read_ledger
from tests.report.ledgers import BLANK
from tests.security.readers import RUN, STUDY, STUDY_TOML, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 5.0


@pytest.fixture(autouse=True)
def in_time():
    begun = time.perf_counter()
    yield
    assert time.perf_counter() - begun < 2 * SECONDS


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i}\n  <<: [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.usefixtures("one_gigabyte")
@pytest.mark.parametrize("where", ["model:\n  name: *a29\n", "data:\n  kwargs:\n    toml_config_path: *a29\n", ""])
def test_laughing_aliases_cost_nothing(own: Path, where: str):
    (own / RUN / "config.yaml").write_text(LAUGHS + where)
    if "name" in where:
        with pytest.raises(RunFolderError, match="a list as model class"):
            read_run_folder(own / RUN)
    else:
        assert read_run_folder(own / RUN).split.source == "split.toml"


@pytest.mark.usefixtures("one_gigabyte")
def test_merged_aliases_cost_nothing(own: Path):
    (own / RUN / "config.yaml").write_text(MERGED)
    assert read_run_folder(own / RUN).genes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: &m\n  name: *m\n", "contains itself"),
        ("[" * 100_000, "more than 10,000 brackets"),
        ("{a: " * 5_000, "nested too deep"),
        ("- " * 5_000, "nested too deep|no valid YAML"),
        ("? [a]\n: b\n", "a key that is no text"),
        ("model: !!python/object/apply:os.mkdir [victim]", "an object of the kind"),
        ("model: !!binary x", "an object of the kind"),
        ("a: " + "x" * 300_000, "300,003 bytes, more than 262,144"),
    ],
    ids=["loop", "brackets", "braces", "dashes", "key", "object", "binary", "large"],
)
def test_a_configuration_that_is_none(own: Path, monkeypatch, text: str, message: str):
    monkeypatch.chdir(own)
    (own / RUN / "config.yaml").write_text(text)
    with pytest.raises(RunFolderError, match=rf"config\.yaml: no valid YAML \(.*{message}"):
        read_run_folder(own / RUN)
    assert not (own / "victim").exists()


@pytest.mark.parametrize(
    "number", ["9" * 100_000, "0x" + "9" * 100_000, "1" + ":59" * 50_000, "2001-99-99", "!!float x"]
)
def test_no_number_is_made_of_a_configuration(own: Path, number: str):
    (own / RUN / "config.yaml").write_text(f"training: {number}\n")
    assert read_run_folder(own / RUN).genes


BOMBS = {
    "nested": "a = " + "[" * 100_000,
    "dotted": "a" + ".a" * 100_000 + " = 1",
    "header": "[a" + ".a" * 100_000 + "]",
    "quoted": '"a"' + ' . "a"' * 50_000 + " = 1",
    "digits": "a = " + "9" * 100_000,
    "large": f'a = "{"x" * LARGEST}"',
}


@pytest.mark.usefixtures("one_gigabyte")
@pytest.mark.parametrize("bomb", BOMBS)
def test_toml_that_costs_more_than_it_weighs(own: Path, bomb: str):
    (own / RUN / "split.toml").write_text(BOMBS[bomb])
    with pytest.raises(RunFolderError, match=r"split\.toml: no valid TOML"):
        read_run_folder(own / RUN)
    (own / "expected.toml").write_text(BOMBS[bomb])
    with pytest.raises(StudyError, match="not readable as TOML"):
        read_expectations(own / "expected.toml", ())
    (own / STUDY / "study.toml").write_text(BOMBS[bomb])
    with pytest.raises(StudyError, match="not readable as TOML"):
        open_study(own / STUDY)


@pytest.mark.parametrize("value", ["[" * 100_000, '{"a":' * 100_000, "9" * 100_000, "NaN", "Infinity", "-Infinity"])
def test_json_that_is_none(own: Path, value: str):
    (own / "sae" / "cfg.json").write_text(f'{{"architecture": {value}')
    with pytest.raises(InputError, match=r"cfg\.json: not readable"):
        load_sae(own / "sae")
    line = json.dumps({**BLANK, "effect": "HERE"}).replace('"HERE"', value)
    (own / "verdicts.jsonl").write_text(line + "\n")
    with pytest.raises(StudyError, match="line 1 is not of a ledger"):
        read_ledger(own / "verdicts.jsonl")
    meta = entry_of(own) / "zarr.json"
    meta.write_text(f'{{"attributes": {value}')
    with pytest.raises(JacprobeError, match="metadata that cannot be read"):
        Entry(meta.parent)


@pytest.mark.parametrize(
    "change",
    [
        {"effect": "0.5"}, {"effect": True}, {"ci": [0, "1"]}, {"ci": [0]}, {"n": []}, {"verdict": "YES"},
        {"models": "fewshot"}, {"models": [1]}, {"flags": None}, {"published": [1]}, {"id": ["nb01-a"]},
        {"diagnostics": [1]}, {"provenance": "x"}, {"as_published": [1]}, {"seconds": "1"}, {"group": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_ledger_line_of_other_types(tmp_path: Path, change: dict):
    (tmp_path / "verdicts.jsonl").write_text(json.dumps({**BLANK, **change}) + "\n")
    with pytest.raises(StudyError, match=f"line 1 is not of a ledger: {next(iter(change))} = "):
        read_ledger(tmp_path / "verdicts.jsonl")


EXPONENTIAL = [
    "(a+)+$", "(a|a)*$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]$", "(.*)*x", "(a?){60}a{60}", "a?" * 40 + "a" * 40,
    ".*.*.*.*x", "(?=(a+)+)b", "(a*)*\\1b", "((a{1000}){1000}){1000}", "(?:){100000}", "a{99999999999999}",
    "(" * 5000 + ")" * 5000, "(?P<a>a*)*(?(a)b|c)", "(?>(a+)+)b",
]  # fmt: skip


@pytest.mark.parametrize("pattern", EXPONENTIAL, ids=lambda pattern: pattern[:30])
def test_a_pattern_that_could_take_exponential_time_is_refused_untried(own: Path, pattern: str):
    with pytest.raises(StudyError, match=r"\[gene_sets\.mine\] pattern"):
        gene_sets({"mine": {"kind": "kd", "patterns": [pattern]}})
    toml = STUDY_TOML.replace('patterns = ["^RPL"]', f"patterns = [{json.dumps(pattern)}]")
    (own / STUDY / "study.toml").write_text(toml)
    with pytest.raises(StudyError, match=r"\[gene_sets\.mine\.clean\] pattern"):
        open_study(own / STUDY)


PIECES = st.sampled_from(
    ["a", "[ab]", ".", "a+", "a*", ".*", "a?", "(a|ab)", "(a|b)*", "(a+)+", "^", "$", "a{2,5}", "(a*b)?"]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, min_size=1, max_size=8).map("".join), st.sampled_from(["a", "ab", "aab"]))
def test_what_is_admitted_ends_soon_on_the_longest_name(pattern: str, unit: str):
    try:
        ready = compiled(pattern + "x")
    except ValueError:
        return
    begun = time.perf_counter()
    ready.search((unit * LONGEST)[:LONGEST])
    assert time.perf_counter() - begun < SECONDS


def test_the_suites_own_patterns_are_admitted_and_mean_what_they_meant():
    for name, one in gene_sets({}).items():
        for pattern in (*one.get("patterns", ()), *one.get("clean", {}).get("patterns", ())):
            assert compiled(pattern), name
    assert fitting(["^RP[SL]\\d"], ["RPL3", "RPSA", "MRPL3"]) == {"RPL3"}


def test_a_name_longer_than_patterns_are_bounded_for_is_refused():
    with pytest.raises(InputError, match="a name of 201 characters"):
        fitting(["a"], ["a" * 201])


PIPES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "var_dims": (f"{RUN}/var_dims.pkl", lambda own: read_run_folder(own / RUN)),
    "config": (f"{RUN}/config.yaml", lambda own: read_run_folder(own / RUN)),
    "split": (f"{RUN}/split.toml", lambda own: read_run_folder(own / RUN)),
    "ledger": ("verdicts.jsonl", lambda own: read_ledger(own / "verdicts.jsonl")),
    "sae": ("sae/cfg.json", lambda own: load_sae(own / "sae")),
    "weights": ("sae/sae_weights.safetensors", lambda own: load_sae(own / "sae")),
    "gmt": ("sets.gmt", lambda own: read_gmt(own / "sets.gmt")),
    "npy": ("array.npy", lambda own: readers.read_array(own / "array.npy", (None, 4))),
    "csv": ("table.csv", lambda own: readers.read_vector(own / "table.csv", "pert_name", "cluster")),
    "observed": ("observed.h5ad", lambda own: read_observed(own / "observed.h5ad", "hepg2")),
}


@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(own: Path, name: str):
    file, read = PIPES[name]
    (own / file).unlink()
    os.mkfifo(own / file)
    with pytest.raises(JacprobeError, match="a pipe or a device"):
        read(own)
