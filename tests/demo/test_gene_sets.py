from __future__ import annotations

import csv
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

SETS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "fixtures" / "gene_sets" / "published.toml").read_text(encoding="utf-8")
)
DEFINITIONS = [
    (name, variant, definition)
    for name, entry in SETS.items()
    if entry["kind"] != "panel"
    for variant, definition in (("published", entry), ("clean", entry.get("clean", entry)))
]


def members(definition: dict[str, Any], symbols: list[str]) -> list[str]:
    listed = set(definition["genes"])
    return [s for s in symbols if s in listed or any(re.search(p, s) for p in definition["patterns"])]


@pytest.mark.parametrize(("name", "variant", "definition"), DEFINITIONS, ids=lambda value: str(value)[:40])
def test_definitions_are_usable_and_list_nothing_twice(name: str, variant: str, definition: dict[str, Any]):
    assert definition["patterns"] or definition["genes"]
    assert len(set(definition["genes"])) == len(definition["genes"])
    matched = [gene for gene in definition["genes"] if any(re.search(p, gene) for p in definition["patterns"])]
    assert matched == []


@pytest.mark.parametrize("name", [name for name, entry in SETS.items() if entry["kind"] == "panel"])
def test_panels_name_regulators_targets_and_two_disjoint_groups_of_knockdowns(name: str):
    panel = SETS[name]
    assert len(panel["regulators"]) * len(panel["targets"]) == 20
    assert set(panel["pathway_kds"]).isdisjoint(panel["control_kds"])
    assert "MFGE8" not in panel.get("clean", {}).get("targets", ())


@pytest.mark.parametrize(
    ("name", "published", "clean"),
    [
        ("cytoplasmic_ribosome", 71, 73),
        ("mitoribosome", 66, 68),
        ("oxphos", 20, 37),
        ("er_secretory", 17, 17),
        ("proteasome", 24, 18),
        ("proteasome_nb02", 24, 18),
        ("splicing_prpf", 13, 40),
        ("splicing_sf3b_snrp", 13, 40),
        ("er_golgi", 19, 19),
        ("trappc_golgi", 8, 29),
        ("tf_nb02", 3, 2),
        ("rna_processing", 4, 51),
        ("mito_rna", 3, 19),
        ("hepatocyte", 2, 7),
    ],
)
def test_sets_have_the_counted_members_among_the_published_perturbations(name: str, published: int, clean: int):
    """Counts among the 2,024 perturbations of the published models."""
    folder = os.environ.get("JACPROBE_REFERENCE")
    if not folder:
        pytest.skip("JACPROBE_REFERENCE names no folder of reference tables")
    table = Path(folder) / "original" / "nb03_distribution_hspa5_arfgef2.csv"
    with table.open(encoding="utf-8", newline="") as file:
        perturbations = [row["kd"] for row in csv.DictReader(file)]
    assert len(set(perturbations)) == 2024
    assert len(members(SETS[name], perturbations)) == published
    assert len(members(SETS[name].get("clean", SETS[name]), perturbations)) == clean
