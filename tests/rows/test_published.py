"""Every figure that the findings state is attached to a claim, as it was printed."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from jacprobe.suite import load_rows

ROOT = Path(__file__).parents[2]
ROWS = load_rows(ROOT / "claims")
ATTACHED = {figure.id: figure for claim in ROWS.values() for figure in claim.published}
REFERENCE = os.environ.get("JACPROBE_REFERENCE")
IN_THE_FINDINGS = 125

needs_tables = pytest.mark.skipif(not REFERENCE, reason="the published tables are not here: set JACPROBE_REFERENCE")


def kept() -> dict[str, dict[str, str]]:
    with (ROOT / "claims" / "figures.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def printed(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    with (Path(str(REFERENCE)) / "published.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_every_kept_figure_is_attached_to_a_claim():
    assert set(kept()) == set(ATTACHED)


def test_claims_state_figures_as_they_are_kept():
    different = {
        name: (figure.value, kept()[name]["value"])
        for name, figure in ATTACHED.items()
        if figure.value != printed(kept()[name]["value"])
    }
    assert not different


@needs_tables
def test_every_figure_of_the_findings_is_attached_and_equals_the_table(table):
    stated = {name: row for name, row in table.items() if "seed" in row["source"]}
    assert len(stated) == IN_THE_FINDINGS
    assert set(stated) <= set(ATTACHED)


@needs_tables
def test_every_attached_figure_equals_the_table(table):
    different = {
        name: (figure.value, table[name]["value"])
        for name, figure in ATTACHED.items()
        if figure.value != printed(table[name]["value"])
    }
    assert not different
