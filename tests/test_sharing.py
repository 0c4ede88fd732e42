"""Claims that share work are grouped for one process, and no more than those."""

from __future__ import annotations

from pathlib import Path

from jacprobe.requests import Delta, Jacobian
from jacprobe.sharing import shared_work
from jacprobe.suite import load_rows
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import Above

ROOT = Path(__file__).parent.parent


def row(claim_id, evidence=None, family=None):
    return Claim(claim_id, "A finding.", "a mean", evidence or {}, Above(0, sesoi=0.1), "toy.present", family=family)


def test_families_and_claims_on_the_same_evidence_go_together():
    rows = [
        row("nb01-a", {"x": Delta("a")}),
        row("nb01-b", {"x": Jacobian("a")}, family="nb01/f"),
        row("nb01-c", {"y": Delta("a")}, family="nb01/f"),  # ties the two above together
        row("nb01-d", {"x": Delta("a"), "y": Jacobian("a")}),
        row("nb01-e"),
        row("nb01-f"),
    ]
    groups = shared_work(rows)
    assert groups["nb01-a"] == groups["nb01-b"] == groups["nb01-c"]
    assert len(set(groups.values())) == 4


def test_every_claim_has_a_group_and_families_are_whole():
    rows = load_rows(ROOT / "claims")
    groups = shared_work(rows.values())
    assert groups.keys() == rows.keys()
    for claim in rows.values():
        family = {groups[other.id] for other in rows.values() if claim.family and other.family == claim.family}
        assert len(family) <= 1
    assert max(list(groups.values()).count(name) for name in set(groups.values())) < len(rows) / 4


GROUPED = """
CLAIMS = [
    row("nb01-a", "present", family="nb01/toy"),
    row("nb01-b", "absent", family="nb01/toy"),
    row("nb01-c", "present", evidence={"x": Delta("zeroshot/hepg2")}),
    row("nb02-both", None, AllOf(("nb01-a", "nb01-b"))),
]
"""


def test_groups_go_to_one_worker_and_change_no_verdict(toy_suite):
    toy_suite.claims(GROUPED)
    run = toy_suite.run("-n", "2", "--dist", "loadgroup", "-v")
    assert run.returncode == 0, run.stdout
    grouped = {name: line["verdict"] for name, line in toy_suite.ledger().items()}
    assert list(grouped) == ["nb01-a", "nb01-b", "nb01-c", "nb02-both"]
    alone = toy_suite.run("--results", "alone")
    assert alone.returncode == 0, alone.stdout
    assert grouped == {name: line["verdict"] for name, line in toy_suite.ledger("alone").items()}
    worker = {
        name: next(line for line in run.stdout.splitlines() if f"[{name}]" in line and line.startswith("[gw")).split(
            "]"
        )[0]
        for name in ("nb01-a", "nb01-b")
    }
    assert worker["nb01-a"] == worker["nb01-b"]
