"""Roles: the names under which claims and studies speak of models, of their further trainings and their control copies.

"fewshot/hepg2" is a model, "fewshot/hepg2@43" another training of it, "fewshot/hepg2#untrained-3" a control copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Control = Literal["untrained", "random-body", "random-encoder", "permuted-onehot", "linear-surrogate", "mean-shift"]


@dataclass(frozen=True)
class ModelEntry:
    """What stands behind a role: its run folder, the cell line whose control cells it is given, its sparse autoencoder.

    `adapter` names what reads the run folder, one of those installed (`jacprobe.models.adapters`).
    """

    run: Path
    cell_line: str
    checkpoint: str = "best"
    sae: Path | None = None
    adapter: str = "state"


def control_role(role: str, control: Control, copy: int) -> str:
    """Return the role of a control copy of the model of `role`: "fewshot/hepg2#untrained-3"."""
    return f"{role}#{control}-{copy}"


def parse_control_role(role: str) -> tuple[str, Control, int] | None:
    """Return model, control and copy of a control copy's role; None for any other role."""
    base, mark, rest = role.partition("#")
    control, _, copy = rest.rpartition("-")
    for known in get_args(Control):
        if mark and control == known and copy.isdecimal():
            return base, known, int(copy)
    return None


def base_role(role: str) -> str:
    """Return the role of the model that a control copy is of; any other role is its own."""
    return role.partition("#")[0]


def trainings(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the names of further trainings among the roles, in order: "43" of "fewshot/hepg2@43"."""
    return tuple(sorted({role.partition("@")[2] for role in roles if "@" in role}))


def of_training(roles: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what the roles have in the training `name`, or where they lack it in the first."""
    return {role: roles.get(f"{role}@{name}", first) for role, first in roles.items() if "@" not in role}
