"""The map from findings to claims names every claim, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from jacprobe.suite import load_rows

CLAIMS = Path(__file__).parents[2] / "claims"


def test_the_map_names_every_claim_and_nothing_else():
    text = (CLAIMS / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").rsplit(" | ", 2) for line in text.splitlines() if line.startswith("| ")]
    # Finding, claim, rule; ids may have any group first.
    named = {name for _, claim, _ in rows for name in re.findall(r"\b[a-z][a-z0-9]*(?:-[a-z0-9]+)+", claim)}
    assert named == set(load_rows(CLAIMS))
