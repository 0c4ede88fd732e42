"""No verdict depends on how numbers are computed: on threads, kernels, sizes of passes or precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.numeric_settings import SETTINGS
from bench.numerics import PLAIN, farthest, judge, shifts

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = [name for name in SETTINGS if name != PLAIN]
FEW = ["-k", "nb04-knockout-agreement or nb05-routing-coherence-below"]
# Relative to the largest value: what rounding leaves after sums and correlations, and what one of 32 cells that crosses
# a kink of the ReLU does to a mean slope.
ROUNDING, KINK = 1e-3, 1 / 32


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that keeps what was judged for the tests that follow."""
    return tmp_path_factory.mktemp("numerics")


@pytest.mark.slow
@pytest.mark.parametrize("setting", OTHERS)
def test_verdicts_of_the_demo_are_those_of_plain_float32_on_one_thread(runs: Path, setting: str):
    if refused := SETTINGS[setting].refused():
        pytest.skip(refused)
    plain, other = judge(PLAIN, runs, []), judge(setting, runs, [])
    assert [row for row in shifts(plain, other) if row[2] != row[3]] == []


@pytest.mark.slow
def test_float64_reaches_the_store_and_differs_by_rounding_and_kinks_alone(runs: Path):
    plain, wide = judge(PLAIN, runs / "few", FEW), judge("float64", runs / "few", FEW)
    found = farthest(plain, wide)
    assert all(found[probe][0] > 0 for probe in ("delta", "jacobian", "knockout"))
    for probe, (differ, _) in found.items():
        assert differ < (KINK if probe == "jacobian" else ROUNDING), probe
