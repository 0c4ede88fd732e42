"""Ledgers are strict JSON, whole or not at all, and readable again."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacprobe.errors import JacprobeError, StudyError
from jacprobe.estimate import Estimate, Null
from jacprobe.verdicts.claim import Claim, Published
from jacprobe.verdicts.criteria import Above, AllOf
from jacprobe.verdicts.expectations import Expectation
from jacprobe.verdicts.judge import Judgement, Verdict
from jacprobe.verdicts.ledger import FIELDS, entry, is_expected, read_cut_ledger, read_ledger, strict, write_ledger

CLAIM = Claim(
    "nb02-toy", "It holds.", "a mean", {}, Above(0, 0.1), "toy.measure", "cells", family="nb02/toy",
    published=(Published(0.5, "NB02"),),
)  # fmt: skip
ESTIMATE = Estimate(
    1 / 3, 7, (0.1, 0.5), (0.2, 0.4), 0.001, nulls=(Null("random", 0.001, 0.0, 0.1, 99, 0.01, np.arange(99) / 99),),
    flags=("odd",), diagnostics={"nan": math.nan, "array": np.arange(3)},
)  # fmt: skip


def line(**changes):
    judged = Judgement(Verdict.SUPPORTED, "because", ("below SESOI",))
    made = entry(
        CLAIM,
        judged,
        Expectation((Verdict.SUPPORTED,), "planted"),
        study="toy",
        models=["fewshot/hepg2"],
        provenance={},
        estimate=ESTIMATE,
    )
    return made | changes


def test_a_line_has_every_field_unrounded_and_in_order(tmp_path):
    write_ledger(tmp_path / "verdicts.jsonl", [line()])
    (read,) = read_ledger(tmp_path / "verdicts.jsonl")
    assert tuple(read) == FIELDS
    assert read["effect"] == 1 / 3
    assert read["flags"] == ["odd", "below SESOI"]
    assert read["diagnostics"]["nan"] is None
    assert sum(read["diagnostics"]["nulls"][0]["histogram"]["counts"]) == 99
    assert is_expected(read)
    assert not is_expected(read | {"verdict": "REFUTED"})


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just(np.float32(0.1))
    | st.just(np.int64(3)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(json_like)
def test_whatever_is_recorded_becomes_strict_json(value):
    text = json.dumps(strict(value), allow_nan=False)
    assert strict(json.loads(text)) == json.loads(text)


def test_a_ledger_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    write_ledger(path, [line()])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_ledger(path, [line(), line(effect=math.nan)])
    assert path.read_bytes() == before
    with pytest.raises(JacprobeError, match="not writable"):
        write_ledger(tmp_path / "verdicts.jsonl" / "below-a-file", [line()])


@pytest.mark.parametrize("text", ["{", "[]", '{"id": 1}', "\x00"])
def test_a_line_that_is_none_is_named_by_its_number(tmp_path, text):
    path = tmp_path / "verdicts.jsonl"
    path.write_text(json.dumps(line()) + "\n" + text + "\n", encoding="utf-8")
    with pytest.raises(StudyError, match="line 2"):
        read_ledger(path)


def test_a_ledger_cut_anywhere_in_its_last_line_is_read_up_to_it(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    write_ledger(path, [line(), line(id="nb02-second", finding="∂Y/∂pert\u2028is one line")])
    whole = path.read_bytes()
    assert [read["id"] for read in read_ledger(path)] == ["nb02-toy", "nb02-second"]
    assert read_cut_ledger(path)[1] is None
    first = whole.index(b"\n") + 1
    for end in (first + 1, whole.index("∂".encode()) + 1, len(whole) - 2):
        path.write_bytes(whole[:end])
        lines, remark = read_cut_ledger(path)
        assert [read["id"] for read in lines] == ["nb02-toy"]
        assert remark == "verdicts.jsonl was cut in its line 2: 1 lines before it were read"
        with pytest.raises(StudyError, match="line 2"):
            read_ledger(path)


def test_what_is_wrong_elsewhere_than_at_the_end_is_no_cut(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    for text in ('{"id": "nb\n' + json.dumps(line()), json.dumps(line()) + '\n{"id": 1}\n'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(StudyError, match="is not of a ledger"):
            read_cut_ledger(path)


def test_another_schema_is_refused_with_its_line(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    path.write_text(json.dumps(line(provenance={"schema": 7})) + "\n", encoding="utf-8")
    for read in (read_ledger, read_cut_ledger):
        with pytest.raises(StudyError, match=r"line 1 is of the schema 7; wanted the schema 1"):
            read(path)


def test_a_line_without_provenance_has_an_empty_one(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    path.write_text(json.dumps(line(provenance=None)) + "\n", encoding="utf-8")
    assert read_ledger(path)[0]["provenance"] == {}


def test_a_composite_names_its_parts():
    whole = Claim("nb02-whole", "Both hold.", "both", {}, AllOf(("nb02-toy", "nb02-other")))
    judged = Judgement(Verdict.REFUTED, "REFUTED: nb02-other")
    made = entry(whole, judged, Expectation(), study="toy", models=[], provenance={})
    assert made["diagnostics"]["parts"] == ["nb02-toy", "nb02-other"]
    assert "parts" not in line()["diagnostics"]
