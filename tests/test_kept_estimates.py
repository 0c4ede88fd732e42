"""Kept estimates: the same after keeping as before, measured once, and again when anything they stand on is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacprobe.estimate import Estimate, Null
from jacprobe.kept_estimates import BusyError, code_digest, obtain, read, write
from jacprobe.opening import open_study
from jacprobe.store.upkeep import ESTIMATES, gc
from jacprobe.suite import load_rows
from jacprobe.verdicts.ledger import strict

CLAIM = load_rows(Path(__file__).parents[1] / "claims")["nb02-splicing-coherent"]
NULL = Null("random sets", 0.01, 0.0, 1.0, 99, 0.01, samples=np.linspace(-2, 2, 99))
WHOLE = Estimate(
    0.1 + 0.2, 12, (0.1, 0.5), (0.2, 0.4), 0.01, "greater", (NULL, replace(NULL, samples=None)), 0.3, 5, 10,
    "one outlier", ("GENE1",), ("a flag",), {"u_test": {"p": 1e-300}}, {"share": [0.1, None], "by": {"a": (1, 2)}},
    {"a": Estimate(1.0, 3), "b": Estimate(-1.0, 3, nulls=(NULL,))},
)  # fmt: skip

finite = st.floats(allow_nan=False, allow_infinity=False)
intervals = st.none() | st.tuples(finite, finite).map(lambda pair: (min(pair), max(pair)))


def same(a: Estimate, b: Estimate) -> bool:
    """Whether two estimates give the same line of a ledger and the same histogram of every null."""
    samples = [(x.samples, y.samples) for x, y in zip(a.nulls, b.nulls, strict=True)]
    drawn = all(x is y if x is None or y is None else np.array_equal(x, y) for x, y in samples)
    parts = a.parts.keys() == b.parts.keys() and all(same(a.parts[name], b.parts[name]) for name in a.parts)
    plain = {"nulls": (), "parts": {}}
    return (
        drawn
        and parts
        and a.nulls == b.nulls
        and strict(vars(replace(a, **plain))) == strict(vars(replace(b, **plain)))
    )


@given(
    effect=finite,
    n=st.integers(0, 10**6),
    ci=intervals,
    ci90=intervals,
    p=st.none() | st.floats(1e-300, 1),
    words=st.lists(st.text()),
    drawn=st.lists(finite, max_size=5),
)
def test_keeping_changes_no_bit(tmp_path_factory, effect, n, ci, ci90, p, words, drawn):
    null = replace(NULL, samples=np.array(drawn))
    given_ = Estimate(effect, n, ci, ci90, p, nulls=(null,), flags=tuple(words), diagnostics={"w": words})
    path = tmp_path_factory.mktemp("kept") / "one.npz"
    write(path, given_)
    found = read(path)
    assert found is not None
    assert same(found, given_)


def test_parts_and_draws_are_kept(tmp_path):
    write(tmp_path / "one.npz", WHOLE)
    found = read(tmp_path / "one.npz")
    assert found is not None
    assert same(found, WHOLE)
    assert found.parts["b"].nulls[0].samples is not None


def test_a_damaged_one_is_as_good_as_none(tmp_path):
    path = tmp_path / "one.npz"
    write(path, WHOLE)
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[:-30], whole.replace(b'"effect"', b'"effekt"')):
        path.write_bytes(broken)
        assert read(path) is None
    np.savez(path, estimate=np.array([{"effect": 1}], dtype=object))
    assert read(path) is None


class Measuring:
    """A measure that counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Estimate:
        self.times += 1
        return WHOLE


@pytest.fixture
def study(tmp_path):
    return open_study("demo", store=tmp_path / "store")


def test_the_same_is_measured_once(study):
    measure = Measuring()
    first = obtain(CLAIM, study, "code", measure)
    assert same(obtain(CLAIM, study.reopened(), "code", measure), first)
    assert measure.times == 1


def test_what_it_stands_on_is_part_of_its_name(study):
    measure = Measuring()
    roles = {**study.models, "fewshot/hepg2": study.models["seed-replicate"]}
    others = [
        (CLAIM, study, "code"),
        (CLAIM, study, "other code"),
        (replace(CLAIM, options={"permutations": 99}, measure=CLAIM.measure_name), study, "code"),
        *((CLAIM, study.reopened(**change), "code") for change in ({"seed": 1}, {"quick": 5}, {"n_cells": 16})),
        (CLAIM, study.reopened(batch="own"), "code"),
        (CLAIM, study.reopened(models=roles), "code"),
        (CLAIM, study.reopened(gene_sets={}), "code"),
    ]
    for claim, on, code in others:
        obtain(claim, on, code, measure)
    assert measure.times == len(others)


def test_without_a_store_or_a_digest_nothing_is_kept(study):
    measure = Measuring()
    for on, code in ((study, ""), (study.reopened(store=None), "code"), (study.reopened(reverse=True), "code")):
        obtain(CLAIM, on, code, measure)
        obtain(CLAIM, on, code, measure)
    assert measure.times == 6
    assert not (study.store.root / ESTIMATES).exists()


def test_a_measure_from_elsewhere_is_not_kept(study):
    measure = Measuring()
    elsewhere = replace(CLAIM, measure="somebodys.package.measure", options={})
    obtain(elsewhere, study, "code", measure)
    obtain(elsewhere, study, "code", measure)
    assert measure.times == 2


def test_another_process_that_measures_it_is_waited_for_or_passed_over(study):
    def meanwhile() -> Estimate:
        with pytest.raises(BusyError):
            obtain(CLAIM, study, "code", Measuring(), wait=False)
        return WHOLE

    assert same(obtain(CLAIM, study, "code", meanwhile), WHOLE)


def test_a_shared_store_serves_its_estimates(study, tmp_path):
    measure = Measuring()
    obtain(CLAIM, study, "code", measure)
    obtain(CLAIM, open_study("demo", store=tmp_path / "own", shared=[study.store.root]), "code", measure)
    assert measure.times == 1


def test_a_store_that_cannot_be_written_loses_no_estimate(study):
    study.store.root.mkdir()
    for name in (ESTIMATES, "locks"):
        (study.store.root / name).write_text("a file where a folder should be made")
    assert same(obtain(CLAIM, study, "code", Measuring()), WHOLE)


def test_estimates_of_other_code_are_cleared_away(study):
    for code in ("new", "old"):
        obtain(CLAIM, study, code, Measuring())
    gone = gc(study.store, code="new")
    assert gone == [str(study.store.root / ESTIMATES / "old")]
    measure = Measuring()
    obtain(CLAIM, study, "new", measure)
    assert measure.times == 0


def test_the_digest_is_of_what_the_files_say(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "test_x.py").write_text("x = 1\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "test_x.py").write_text("x = 2\n")
    assert code_digest(tmp_path / "a") != code_digest(tmp_path / "b") != code_digest()
    assert code_digest(tmp_path / "a") == code_digest(tmp_path / "a" / ".." / "a")
