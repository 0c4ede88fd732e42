"""Families are Holm-adjusted whole."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from jacprobe.estimate import Estimate, Null
from jacprobe.verdicts.families import adjust
from jacprobe.verdicts.judge import Multiplicity


def member(p: float, least_p: float = 1e-4) -> Estimate:
    return Estimate(0.3, 20, (0.1, 0.5), (0.15, 0.45), p, nulls=(Null("n", p, 0, 1, 9999, least_p),))


def adjusted(family: dict[str, Estimate | None], claim_id: str) -> Multiplicity:
    found = adjust(family, claim_id)
    assert found is not None
    return found


def test_adjusted_p_is_holms():
    ps = {"a": 0.01, "b": 0.04, "c": 0.03}
    wanted = multipletests(list(ps.values()), method="holm")[1]
    family: dict[str, Estimate | None] = {name: member(p) for name, p in ps.items()}
    assert [adjusted(family, name).p for name in ps] == pytest.approx(np.asarray(wanted).tolist())


def test_members_that_could_not_be_evaluated_stay_in_the_count():
    assert adjusted({"a": member(0.02), "b": None, "c": None}, "a").p == pytest.approx(0.06)
    assert adjust({"a": member(0.02), "b": None}, "b") is None


def test_the_least_attainable_p_is_adjusted_too():
    # Four pathway knockdowns among seven have 35 labellings: least p .029, and .057 with a second panel.
    family: dict[str, Estimate | None] = {"secretory": member(1.0, least_p=1 / 35), "ribosome": member(0.5)}
    assert adjusted(family, "secretory").least_p == pytest.approx(2 / 35)
