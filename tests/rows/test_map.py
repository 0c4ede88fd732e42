"""The map from findings to claims names every claim, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from jacprobe.suite import load_rows

CLAIMS = Path(__file__).parents[2] / "claims"


def test_the_map_names_every_claim_and_nothing_else():
    text = (CLAIMS / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:nb\d\d|conclusion|instrument)-[a-z0-9-]+", text))
    assert named == set(load_rows(CLAIMS))
