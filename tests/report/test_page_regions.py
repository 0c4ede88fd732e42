"""The claimed region is read from every spelling that a criterion has."""

from __future__ import annotations

import math

import pytest

from jacprobe.report.regions import region
from jacprobe.verdicts.criteria import (
    Above,
    AllOf,
    Below,
    Difference,
    Equivalent,
    Exactly,
    NotElevated,
    Reproduces,
    Within,
)

INF = math.inf


def line(criterion, **null):
    return {"criterion": str(criterion), "diagnostics": {"nulls": [null] if null else []}}


@pytest.mark.parametrize(
    ("criterion", "wanted"),
    [
        (Above(0, sesoi=0.1), (0, INF)),
        (Above(0.5), (0.5, INF)),
        (Below(-1e-9), (-INF, -1e-9)),
        (Below(0, sesoi=0.05), (-INF, 0)),
        (Within(-0.25, 3), (-0.25, 3)),
        (Equivalent(0.05), (-0.05, 0.05)),
        (NotElevated(0.1), (-INF, 0.1)),
        (Reproduces(-0.5, 0.1), (-0.6, -0.4)),
        (Exactly(1, 1e-6), (1 - 1e-6, 1 + 1e-6)),
        (AllOf(("nb01-toy",)), None),
        (Difference("a", "b", 0.5), None),
    ],
)
def test_each_criterion_has_its_region(criterion, wanted):
    found = region(line(criterion))
    assert found == (pytest.approx(wanted) if wanted else None)


def test_a_bar_on_z_is_mapped_into_the_unit_of_the_effect():
    assert region(line(Above(3, on="z"), mean=0.1, sd=0.2)) == (pytest.approx(0.7), INF)
    assert region(line(Above(3, on="z"))) is None
