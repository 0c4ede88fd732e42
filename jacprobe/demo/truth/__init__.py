"""What is planted in the demo study: the plan (data), before anything is drawn from it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from jacprobe.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_LINE = "hepg2"
CONTROL = "non-targeting"


@dataclass(frozen=True)
class Program:
    """A direction in gene space along which some knockdowns move every line.

    Attributes
    ----------
    name
        Its name in the plan.
    knockdowns
        The knockdowns that follow it.
    outputs
        The family of output genes that it draws on, or None.
    activity
        Per line: log-mean units per unit of loading and of knockdown weight; 0 where the program is off.
    line_specific
        Whether every line has a direction of its own (members agree within a line, not across lines).
    """

    name: str
    knockdowns: tuple[str, ...]
    outputs: str | None
    activity: Mapping[str, float]
    line_specific: bool


@dataclass(frozen=True)
class Axis:
    """A direction that every knockdown moves along: its output family, and mean and sd of the positions on it."""

    outputs: str
    mean: float
    sd: float


@dataclass(frozen=True)
class Plan:
    """Everything that the truth is drawn from.

    Attributes
    ----------
    lines
        Cell lines; the first is the home line, to which the fewshot and zeroshot models of the claims belong.
    families
        Knockdowns by family.
    outputs
        Output genes by family.
    programs
        The planted programs.
    strong
        Knockdowns whose weight is fixed at `strong_weight` instead of drawn from U(.7, 1.2).
    named
        Knockdowns that claims name: they train in every line that trains at all.
    held_out
        Per family the number of members held out of a fewshot line; of other families it is left to chance.
    stress, growth
        The two axes that all knockdowns share.
    raised
        Output families that programs and axes raise; elsewhere the sign is drawn.
    axes_correlation, own_correlation
        Correlation of an axis position, and of a knockdown's own part, between the home line and another.
    axes_share
        By family and line, the share of the axes that its members feel; 1 where absent.
    own_activity, own_share
        Size of a knockdown's own part; by family and line the factor on it, 1 where absent.
    own_line_specific
        Families whose members' own parts are unrelated between lines.
    own_target, own_expressed
        Change of the log mean of the targeted gene itself, in every line; by how much the log mean of targeted genes
        lies above that of others. Nothing else moves targeted genes.
    """

    lines: tuple[str, ...]
    families: Mapping[str, tuple[str, ...]]
    outputs: Mapping[str, tuple[str, ...]]
    programs: tuple[Program, ...]
    strong: tuple[str, ...]
    strong_weight: float
    named: tuple[str, ...]
    held_out: Mapping[str, int]
    stress: Axis
    growth: Axis
    raised: tuple[str, ...]
    axes_correlation: float
    axes_share: Mapping[str, Mapping[str, float]]
    own_activity: float
    own_share: Mapping[str, Mapping[str, float]]
    own_correlation: float
    own_line_specific: tuple[str, ...]
    own_target: float
    own_expressed: float

    @cached_property
    def knockdowns(self) -> tuple[str, ...]:
        """All knockdowns, sorted."""
        return tuple(sorted(kd for members in self.families.values() for kd in members))

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """All output genes, in the order of the plan."""
        return tuple(gene for members in self.outputs.values() for gene in members)

    @cached_property
    def family_of(self) -> Mapping[str, str]:
        """The family of each knockdown."""
        return MappingProxyType({kd: name for name, members in self.families.items() for kd in members})


def plan_bytes(folder: Path | None = None) -> bytes:
    """Return the bytes of the plan, for its hash."""
    folder = folder or Path(__file__).parent
    return b"".join((folder / name).read_bytes() for name in ("plan.toml", "outputs.toml"))


def read_plan(folder: Path | None = None) -> Plan:
    """Read the plan from `plan.toml` and `outputs.toml` of a folder, by default the ones shipped.

    Raises
    ------
    StudyError
        A gene or knockdown stands twice, or a program follows knockdowns that no family has.
    """
    folder = folder or Path(__file__).parent
    raw = tomllib.loads((folder / "plan.toml").read_text(encoding="utf-8"))
    outputs = {k: tuple(v.split()) for k, v in tomllib.loads((folder / "outputs.toml").read_text("utf-8")).items()}
    families = {name: tuple(family["knockdowns"].split()) for name, family in raw["family"].items()}
    lines = tuple(raw["lines"])
    programs = tuple(_program(name, entry, raw["family"], lines) for name, entry in raw["program"].items())
    plan = Plan(
        lines=lines,
        families=families,
        outputs=outputs,
        programs=programs,
        strong=tuple(raw["strong"]["knockdowns"].split()),
        strong_weight=raw["strong"]["weight"],
        named=tuple(raw["named"]["knockdowns"].split()),
        held_out=raw["held_out"],
        stress=Axis(**raw["axes"]["stress"]),
        growth=Axis(**raw["axes"]["growth"]),
        raised=tuple(raw["raised"]["outputs"].split()),
        axes_correlation=raw["axes"]["correlation"],
        axes_share={family: _by_line(share, lines) for family, share in raw["axes"]["share"].items()},
        own_activity=raw["own"]["activity"],
        own_share={family: _by_line(share, lines) for family, share in raw["own"]["share"].items()},
        own_correlation=raw["own"]["correlation"],
        own_line_specific=tuple(raw["own"]["line_specific"].split()),
        own_target=raw["own"]["target"],
        own_expressed=raw["own"]["expressed"],
    )
    _check(plan, folder)
    return plan


def _program(name: str, entry: Mapping[str, object], families: Mapping[str, dict], lines: tuple[str, ...]) -> Program:
    family = families.get(str(entry.get("of")), {})
    merged = {**family, **entry}
    return Program(
        name=name,
        knockdowns=tuple(merged["knockdowns"].split()),
        outputs=merged.get("outputs"),
        activity=_by_line(merged["activity"], lines),
        line_specific=merged.get("line_specific", False),
    )


def _by_line(value: Mapping[str, float], lines: tuple[str, ...]) -> dict[str, float]:
    return {line: value[HOME_LINE if line == HOME_LINE else "elsewhere"] for line in lines}


def _check(plan: Plan, folder: Path) -> None:
    for kind, names in (("knockdown", plan.knockdowns), ("output gene", plan.genes)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise StudyError(f"{kind} planned twice: {', '.join(twice)}", "each once", where=folder)
    known = set(plan.knockdowns)
    for program in plan.programs:
        unknown = sorted(set(program.knockdowns) - known)
        if unknown:
            raise StudyError(
                f"program {program.name} follows {', '.join(unknown)}", "knockdowns of a family", where=folder
            )
