"""The rules' error rates: a part of the worlds in seconds on every run, all of them by --run-slow."""

import pytest
from scipy import stats

from bench.calibration import run
from bench.cases import cases

QUICK = {
    "A_k=8-iid-60",
    "A_k=15-hubs,_set_of_hubs-60",
    "C-hubs-60",
    "C-weak_magnitude-60",
    "D-clusters-60",
    "E_k=4-hubs-60",
    "G-clusters-60",
    "J_purity-iid-60",
    "L-iid-60",
    "P-iid-60",
}
# The verdict is to be false in at most 5 % of null worlds; 1 in 1,000 runs of a good rule may go beyond these bounds.
CHANCE = 0.001


def check(rates):
    bound = stats.binom.ppf(1 - CHANCE, rates.runs, 0.05) / rates.runs
    if rates.case.kind == "null":
        assert rates.supported <= bound, rates
    if rates.case.kind == "power":
        least = 0.95 if rates.case.rule == "C" else 0.8
        assert rates.supported >= stats.binom.ppf(CHANCE, rates.runs, least) / rates.runs, rates
    if rates.coverage is not None:
        assert rates.coverage >= stats.binom.ppf(CHANCE, rates.runs, 0.93) / rates.runs, rates


@pytest.mark.parametrize("case", [case for case in cases() if case.id in QUICK], ids=lambda case: case.id)
def test_rule_holds_its_error_rates(case):
    check(run(case, 60))


def test_every_quick_world_exists():
    assert not QUICK - {case.id for case in cases()}


def test_cases_have_names_of_their_own():
    ids = [case.id for case in cases()]
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_rule_holds_its_error_rates_in_many_runs(case):
    check(run(case, max(200, int(1000 * case.share)), seed=1))


def test_naive_tests_fail_where_the_rule_holds():
    by_id = {case.id: case for case in cases()}
    rates = run(by_id["C-weak_magnitude-60"], 40)
    assert rates.components["naive Pearson"] >= 0.9
    assert rates.components["null 1"] >= 0.9
    assert rates.supported <= 0.2
