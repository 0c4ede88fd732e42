"""Which run stands for which role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jacprobe.errors import InputError
from jacprobe.models.found import FoundRun
from jacprobe.scaffold.roles import ROLES, cast
from jacprobe.suite import load_rows, suite_root


class Named:
    """As much of an identity as roles are told by."""

    def __init__(self, line: str, tags: tuple[str, ...]) -> None:
        self.provenance = {"split_line": f"screen.{line}" if line else ""}
        self.split = {str(number): tag for number, tag in enumerate(tags)}


def run(
    name: str, line: str = "hepg2", tags: tuple[str, ...] = ("trained", "held out"), seed: int | None = None
) -> FoundRun:
    identity: Any = Named(line, tags)
    return FoundRun(Path("runs") / name, "best", identity, seed)


def by_role(*runs: FoundRun, lines: tuple[str, ...] = ()) -> dict[str, str]:
    return {role: one.folder.name for role, one in cast(runs, {}, lines).runs.items()}


def test_the_roles_are_those_that_claims_speak_of():
    spoken = {role for claim in load_rows(suite_root() / "claims").values() for role in claim.roles}
    assert {role.partition("#")[0] for role in spoken} <= set(ROLES)


def test_a_run_named_a_replicate_is_the_second_one():
    assert by_role(run("a-replicate"), run("b")) == {"fewshot/hepg2": "b", "seed-replicate": "a-replicate"}


def test_of_two_jurkat_runs_the_one_of_the_first_models_seed_shares_it():
    roles = by_role(run("h", seed=1), run("a", "jurkat", seed=1), run("b", "jurkat", seed=2))
    assert roles == {"fewshot/hepg2": "h", "fewshot/jurkat": "b", "shared-seed/jurkat": "a"}


def test_a_single_jurkat_run_is_no_shared_seed():
    assert by_role(run("h", seed=1), run("a", "jurkat", seed=1)) == {"fewshot/hepg2": "h", "fewshot/jurkat": "a"}


def test_names_tell_where_splits_say_nothing():
    none = ("unknown",)
    assert by_role(run("zeroshot_HepG2", "", none), run("fewshot-HEPG2", "", none)) == {
        "fewshot/hepg2": "fewshot-HEPG2",
        "zeroshot/hepg2": "zeroshot_HepG2",
    }


def test_further_runs_and_other_lines_are_left():
    done = cast([run("a"), run("b"), run("c"), run("k", "k562")], {})
    assert [one.folder.name for one in done.left] == ["c", "k"]


def test_no_role_at_all_says_how_to_give_one():
    with pytest.raises(InputError, match=r"k \(fewshot, k562\); wanted one of .*--role fewshot/hepg2=runs/k"):
        cast([run("k", "k562")], {})
