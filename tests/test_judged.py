"""Verdicts in Python: judged as by pytest, judged again otherwise, shown in a line and as a card."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from html.parser import HTMLParser

import pytest

import jacprobe
from jacprobe.errors import ClaimError, InputError, JacprobeError, UnknownNameError
from jacprobe.judging import Judging
from jacprobe.report.card import card
from jacprobe.requests import PertEmbedding
from jacprobe.verdicts.criteria import Above, Below, Exactly, Within
from jacprobe.verdicts.judge import Verdict

SPLICING, OWN_GENE, PARTS = "nb02-splicing-coherent", "instrument-own-gene-falls", "nb02-encodes-pathway-identity"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return jacprobe.open_study("demo", store=tmp_path_factory.mktemp("store"))


def test_a_claim_is_judged_by_its_id_as_pytest_judges_it(study):
    judged = study.judge(SPLICING)
    line = Judging(study, study.claims).record(study.claims[SPLICING])
    assert (judged.verdict, judged.expected) == (Verdict.SUPPORTED, True)
    for name in ("effect", "ci", "p", "p_adjusted", "n", "reason", "flags", "models", "criterion_hash"):
        assert judged.line[name] == line[name]
    with pytest.raises(FrozenInstanceError):
        judged.claim = None


def test_another_criterion_judges_the_same_estimate(study, monkeypatch):
    judged = study.judge(SPLICING)
    monkeypatch.setattr(Judging, "estimate", None)  # measuring anything would fail
    strict, other = judged.judged(sesoi=0.7), judged.judged(Within(0.9, 1.0))
    assert strict.claim.criterion == Above(0, sesoi=0.7)
    assert strict.judgement.flags == ("below SESOI",)
    assert (other.verdict, other.claim.family) == (Verdict.REFUTED, None)
    assert other.estimate is strict.estimate is judged.estimate
    with pytest.raises(ClaimError, match="less"):
        judged.judged(Below(0, sesoi=0.1))  # its p is of the other side


def test_another_draw_and_batch_rule_measure_other_evidence_once(study, monkeypatch):
    judged = study.judge(OWN_GENE)
    drawn, own = judged.judged(draw=1), judged.judged(batch="own")
    effects = {one.estimate.effect for one in (judged, drawn, own)}
    assert len(effects) == 3
    assert {one.verdict for one in (judged, drawn, own)} == {Verdict.SUPPORTED}
    assert own.study.batch == "own"
    assert "batch own" in own._repr_html_()
    monkeypatch.setattr(type(study), "model", None)  # no model is loaded for what the store has
    again = jacprobe.open_study("demo", store=study.store.root).judge(OWN_GENE)
    assert again.judged(draw=1).line["effect"] == drawn.line["effect"]
    assert again.judged(batch="own").line["effect"] == own.line["effect"]


def test_a_draw_for_a_criterion_of_ones_own(study):
    drawn = study.judge(OWN_GENE).judged(Below(-0.5), draw=1)
    assert (drawn.verdict, str(drawn.claim.criterion)) == (Verdict.REFUTED, "< -0.5")


def test_what_cannot_be_judged_otherwise_says_why(study):
    judged = study.judge(SPLICING)
    for asked, message in (
        ({}, "nothing to judge by; wanted criterion, sesoi, batch or draw"),
        ({"criterion": Above(1), "sesoi": 0.1}, "a criterion and a sesoi"),
        ({"draw": 1}, "a claim that reads no single draw of control cells"),
        ({"draw": -1}, "draw -1; wanted 0 or more"),
        ({"batch": "mine"}, "batch 'mine'"),
    ):
        with pytest.raises(InputError, match=message):
            judged.judged(**asked)
    with pytest.raises(InputError, match="a criterion for a composite"):
        study.judge(PARTS).judged(Above(0))
    with pytest.raises(InputError, match="a sesoi for > 3"):
        judged.judged(Above(3)).judged(sesoi=0.1)


def test_a_composite_is_judged_by_its_parts_and_shown(study):
    judged = study.judge(PARTS)
    assert (judged.verdict, judged.estimate) == (Verdict.SUPPORTED, None)
    assert repr(judged).startswith(f"{PARTS}: SUPPORTED: all 5 parts are SUPPORTED. Expected SUPPORTED, because")
    assert SPLICING in judged._repr_html_()


def test_a_row_of_ones_own_is_judged_too(study):
    mine = replace(
        study.claims["nb02-encoder-is-a-lookup-table"], id="mine-more-layers", criterion=Exactly(7), family=None
    )
    judged = study.judge(mine)
    assert (judged.verdict, judged.expected) == (Verdict.REFUTED, True)
    assert "mine-more-layers" not in study.claims


def test_options_of_a_row_change_with_its_measure_alone(study):
    row = next(row for row in study.claims.values() if row.options)
    assert replace(row, id="mine-same").measure.options == row.options
    with pytest.raises(ClaimError, match="options beside a function"):
        replace(row, options={"other": 1})
    assert replace(row, options={"other": 1}, measure=row.measure_name).measure.options == {"other": 1}


def test_what_is_missing_is_not_evaluated(study):
    without = study.reopened(models={"fewshot/jurkat": study.models["fewshot/jurkat"]})
    judged = without.judge(SPLICING)
    assert (judged.verdict, judged.estimate) == (Verdict.NOT_EVALUATED, None)
    assert "no model for the role fewshot/hepg2" in judged._repr_html_()
    assert judged.judged(Above(3)).verdict is Verdict.NOT_EVALUATED


def test_evidence_is_of_a_claim_an_id_or_a_request(study):
    by_id, by_row = study.evidence(SPLICING), study.evidence(study.claims[SPLICING])
    assert set(by_id) == set(study.claims[SPLICING].evidence)
    assert all(by_id[name] is by_row[name] for name in by_id)
    vectors = study.evidence(PertEmbedding("fewshot/hepg2"))
    assert vectors.dims == ("kd", "latent")
    with pytest.raises(UnknownNameError, match=r"unknown claim id nb02-splicing \(nearest: nb02-splicing-coherent"):
        study.evidence("nb02-splicing")
    with pytest.raises(JacprobeError, match="a int; wanted a claim or its id"):
        study.judge(7)


def test_reprs_are_short_and_say_what_matters(study):
    judged = study.judge(SPLICING)
    assert repr(study).startswith("<Study demo: fewshot/hepg2 (hepg2), ")
    assert repr(study).endswith("; seed 0, batch first>")
    assert repr(judged.estimate).startswith(f"<Estimate effect {judged.estimate.effect:.3g} [")
    assert repr(judged.claim).startswith(f"<Claim {SPLICING}: Splicing knockdowns lie close together")
    assert repr(judged.judged(Above(9.0))).startswith(f"{SPLICING}: REFUTED effect ")
    assert "Expected" not in repr(judged.judged(Above(9.0)))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.closed: list[str] = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser's signature
        self.opened.append(tag)

    def handle_endtag(self, tag):
        self.closed.append(tag)


def test_every_text_of_a_card_is_escaped(study):
    evil = "<script>alert('x')</script>\"><img src=x>"
    line = study.judge(SPLICING).line
    line |= dict.fromkeys(("id", "verdict", "finding", "statistic", "criterion", "reason", "study"), evil)
    line |= {
        "models": [evil],
        "flags": [evil],
        "expected": [evil],
        "published": [{"value": evil, "source": evil, "id": ""}],
    }
    line["diagnostics"] |= {"unit": evil, "expected_because": evil, "parts": [evil], "nulls": [{"name": evil}]}
    line["provenance"] |= {"seed": evil, "batch": evil}
    tags = _Tags()
    tags.feed(card(line))
    assert not {"script", "img"} & set(tags.opened)
    plain = _Tags()
    plain.feed(study.judge(SPLICING)._repr_html_())
    closing = {"div", "table", "tr", "td", "code", "span", "svg"}
    assert {tag: plain.opened.count(tag) for tag in closing} == {tag: plain.closed.count(tag) for tag in closing}
