"""Claim rows are checked at birth and hash what was fixed beforehand."""

from __future__ import annotations

import pytest

from jacprobe.errors import ClaimError
from jacprobe.estimate import Estimate
from jacprobe.requests import Cosine, EveryRole, GeneSet, PertEmbedding
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import Above, AllOf, Below, Equivalent, Exactly, Reproduces, Within


def row(**changes) -> Claim:
    fields = {
        "id": "nb02-toy",
        "finding": "It holds.",
        "statistic": "a mean",
        "evidence": {"similarity": Cosine(PertEmbedding("fewshot/hepg2")), "members": GeneSet("oxphos")},
        "criterion": Above(0, sesoi=0.1),
        "measure": "jacprobe.stats.set_coherence",
        "family": "nb02/toy",
    }
    return Claim(**(fields | changes))


def test_a_row_tells_its_group_kind_and_models():
    claim = row()
    assert (claim.group, claim.kind, claim.roles) == ("nb02", "positive", ("fewshot/hepg2",))
    assert claim.measure_name == "jacprobe.stats.set_coherence"


def test_a_measure_given_by_name_is_called_with_its_options():
    claim = row(
        measure="jacprobe.stats.exact", options={"tol": 0.5}, evidence={}, criterion=Exactly(0, 0.5), family=None
    )
    assert claim.measure(value=0.25, rng=None).effect == 0.25
    assert isinstance(claim.measure(value=0.25, rng=None), Estimate)


@pytest.mark.parametrize(
    "changes",
    [
        {"criterion": Above(0, sesoi=0.2)},
        {"family": "nb02/other"},
        {"options": {"alternative": "two-sided"}},
        {"evidence": {"similarity": Cosine(PertEmbedding("zeroshot/hepg2")), "members": GeneSet("oxphos")}},
        {"measure": "jacprobe.stats.exact"},
    ],
)
def test_the_criterions_hash_sees_every_change_of_what_is_judged(changes):
    assert row(**changes).criterion_hash != row().criterion_hash


def test_the_criterions_hash_does_not_see_wording():
    assert row(finding="In other words.", flags=("remark",)).criterion_hash == row().criterion_hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "NB02 toy"}, "kebab-case"),
        ({"measure": None}, "no measure"),
        ({"criterion": AllOf(("nb02-a",))}, "measure"),
        ({"criterion": Exactly(0)}, "family"),
        ({"evidence": {"similarity": "fewshot/hepg2"}}, "request"),
        ({"measure": print, "options": {"sep": ""}}, "options beside a function"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(changes, message):
    with pytest.raises(ClaimError, match=message):
        row(**changes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Above(0, sesoi=0),
        lambda: Above(float("nan")),
        lambda: Below(3, sesoi=0.1),
        lambda: Equivalent(-1),
        lambda: Within(2, 1),
        lambda: Reproduces(0.1, tolerance=0),
        lambda: AllOf(()),
        lambda: AllOf(("a", "a")),
    ],
)
def test_criteria_that_mean_nothing_are_refused(make):
    with pytest.raises(ClaimError, match="wanted"):
        make()


def test_requests_nest_and_can_be_asked_of_another_model():
    request = Cosine(PertEmbedding("fewshot/hepg2"))
    assert request.at("zeroshot/hepg2") == Cosine(PertEmbedding("zeroshot/hepg2"))
    assert EveryRole(request, ("a", "b")).roles == ("a", "b")
    assert len({request, Cosine(PertEmbedding("fewshot/hepg2"))}) == 1
