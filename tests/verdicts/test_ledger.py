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
from jacprobe.verdicts.criteria import Above
from jacprobe.verdicts.expectations import Expectation
from jacprobe.verdicts.judge import Judgement, Verdict
from jacprobe.verdicts.ledger import FIELDS, entry, is_expected, read_ledger, strict, write_ledger

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
