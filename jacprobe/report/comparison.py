"""The comparison of ledgers as a table for the terminal, as Markdown, as JSON and as a page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import inert
from jacprobe.terminal import STYLES, page_of, quantity
from jacprobe.verdicts.chain import head
from jacprobe.verdicts.comparison import Change, Comparison, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.verdicts.ledger import Entry

_ORDER = list(Outcome)
# What has no two verdicts by one criterion is listed apart.
_APART = (Outcome.CRITERION, Outcome.NEW, Outcome.GONE)
_BESIDE = (*_APART, Outcome.SAME)
_LISTED = 20


@dataclass(frozen=True)
class Compared:
    """Several ledgers of one study, each but the first compared with the first.

    Attributes
    ----------
    names
        What the ledgers are called, the first one's first.
    ledgers
        Their lines.
    comparisons
        One for each ledger but the first.
    remarks
        What a reader must know of the ledgers: cuts, other data, other seeds.
    """

    names: tuple[str, ...]
    ledgers: tuple[tuple[Entry, ...], ...]
    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...] = ()

    @property
    def flips(self) -> int:
        """Number of flips in all comparisons."""
        return sum(len(one.flips) for one in self.comparisons)


@dataclass(frozen=True)
class Row:
    """A claim that is not the same everywhere: what each ledger says of it, and what each comparison."""

    id: str
    verdicts: tuple[str, ...]
    effects: tuple[str, ...]
    changes: tuple[Change | None, ...]

    @property
    def rank(self) -> int:
        """Place of its weightiest outcome in `Outcome`."""
        return min(_ORDER.index(change.outcome) for change in self.changes if change is not None)


def rows(compared: Compared) -> list[Row]:
    """Return the claims whose verdicts changed by one and the same criterion in any comparison, flips first."""
    by_id = [{change.id: change for change in one.changes} for one in compared.comparisons]
    lines = [{line["id"]: line for line in ledger} for ledger in compared.ledgers]
    found = []
    for claim_id in dict.fromkeys(claim_id for one in by_id for claim_id in one):
        changes = tuple(one.get(claim_id) for one in by_id)
        if all(change is None or change.outcome in _BESIDE for change in changes):
            continue
        here = [ledger.get(claim_id) for ledger in lines]
        verdicts = tuple("-" if line is None else str(line["verdict"]) for line in here)
        effects = tuple("-" if line is None else quantity(line) for line in here)
        found.append(Row(claim_id, verdicts, effects, changes))
    return sorted(found, key=lambda row: row.rank)


def summary(compared: Compared) -> list[str]:
    """Return a line on each comparison: how many claims of each outcome, and by what changed verdicts were judged."""
    said = []
    for name, one in zip(compared.names[1:], compared.comparisons, strict=True):
        counts = ", ".join(f"{number} {outcome}" for outcome, number in one.counts.items())
        bases = [change.basis for change in one.changes if change.basis is not None]
        by = ", ".join(f"{bases.count(basis)} {basis}" for basis in dict.fromkeys(bases))
        said.append(f"{compared.names[0]} and {name}: {counts}" + (f"; changed verdicts judged: {by}" if by else ""))
    return [inert(line, 1000) for line in said]


def apart(compared: Compared) -> list[tuple[str, list[str]]]:
    """Return what stands apart: in words which claims, and each with what changed in its criterion."""
    found = []
    for name, one in zip(compared.names[1:], compared.comparisons, strict=True):
        titles = {
            Outcome.CRITERION: f"by another criterion in {name}",
            Outcome.NEW: f"only in {name}",
            Outcome.GONE: f"only in {compared.names[0]}, not in {name}",
        }
        for outcome in _APART:
            listed = [inert(f"{change.id}{f': {change.why}' if change.why else ''}") for change in one.of(outcome)]
            if listed:
                found.append((inert(titles[outcome]), listed))
    return found


def _some(listed: Sequence[str]) -> str:
    more = f", and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"{', '.join(listed[:_LISTED])}{more}"


def words(change: Change | None) -> str:
    """Return what a comparison says of a claim: outcome, basis, difference, and why."""
    if change is None:
        return "-"
    basis = f" ({change.basis})" if change.basis is not None else ""
    return inert(f"{change.outcome}{basis}{f': {change.why}' if change.why else ''}", 1000)


def as_table(compared: Compared, width: int | None = None, *, colour: bool) -> str:
    """Return the comparison for a terminal, plain unless `colour`."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold" if colour else "")
    table.add_column("claim", overflow="fold")
    for name in compared.names:
        table.add_column(Text(inert(name, 60)), overflow="fold")
    for name in compared.names[1:]:
        title = "what became of it" if len(compared.names) == 2 else f"in {inert(name, 60)}"
        table.add_column(Text(title), overflow="fold", ratio=2)
    for row in rows(compared):
        verdicts = [
            Text(f"{inert(verdict)}\n{inert(effect)}", style=STYLES.get(verdict, "") if colour else "")
            for verdict, effect in zip(row.verdicts, row.effects, strict=True)
        ]
        said = [Text(words(one), style="bold red" if colour and _is_flip(one) else "") for one in row.changes]
        table.add_row(Text(inert(row.id)), *verdicts, *said)
    shown = page_of(table, colour=colour, width=width) if table.row_count else ""
    above = [*_remarks(compared), *summary(compared)]
    below = [f"{title} ({len(listed)}): {_some(listed)}" for title, listed in apart(compared)]
    return "".join(f"{line}\n" for line in above) + shown + "".join(f"{line}\n" for line in below)


def as_markdown(compared: Compared) -> str:
    """Return the comparison as Markdown; every text of a ledger is escaped."""
    from jacprobe.report.markdown import cell

    out = ["# What flipped", ""]
    out += [f"> {cell(remark)}" for remark in compared.remarks] + [""] * bool(compared.remarks)
    out += [f"- {cell(line)}" for line in summary(compared)] + [""]
    found = rows(compared)
    if found:
        names = [cell(name) for name in compared.names]
        out += [f"| claim | {' | '.join(names)} | {' | '.join(f'in {name}' for name in names[1:])} |"]
        out += ["| --- |" + " --- |" * (2 * len(names) - 1)]
    for row in found:
        verdicts = [f"{cell(v)} {cell(e)}" for v, e in zip(row.verdicts, row.effects, strict=True)]
        said = [f"**{cell(words(one))}**" if _is_flip(one) else cell(words(one)) for one in row.changes]
        out.append(f"| {cell(row.id)} | {' | '.join([*verdicts, *said])} |")
    out += [""] + [
        f"- {cell(title)} ({len(listed)}): {cell(_some(listed), 10_000)}" for title, listed in apart(compared)
    ]
    return "\n".join(out).rstrip() + "\n"


def as_json(compared: Compared) -> str:
    """Return the comparison for machines: every claim, also those that are the same."""
    found = {
        "flips": compared.flips,
        "remarks": list(compared.remarks),
        "ledgers": [
            {"name": name, "claims": len(lines), "head": head(lines)}
            for name, lines in zip(compared.names, compared.ledgers, strict=True)
        ],
        "comparisons": [
            {
                "old": compared.names[0],
                "new": name,
                "counts": one.counts,
                "changes": [_plain(change) for change in one.changes],
            }
            for name, one in zip(compared.names[1:], compared.comparisons, strict=True)
        ],
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_html(compared: Compared) -> str:
    """Return the comparison as one self-contained page; every text of a ledger is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return templates.get_template("comparison.html").render(
        names=[inert(name) for name in compared.names],
        remarks=_remarks(compared),
        summary=summary(compared),
        rows=[
            {
                "id": inert(row.id),
                "sides": list(zip(map(inert, row.verdicts), map(inert, row.effects), strict=True)),
                "said": [(words(one), _is_flip(one)) for one in row.changes],
            }
            for row in rows(compared)
        ],
        apart=apart(compared),
        flips=compared.flips,
    )


def _is_flip(change: Change | None) -> bool:
    return change is not None and change.outcome is Outcome.FLIP


def _remarks(compared: Compared) -> list[str]:
    return [inert(remark, 1000) for remark in compared.remarks]


def _plain(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "outcome": change.outcome,
        "basis": change.basis,
        "old": _side(change.old),
        "new": _side(change.new),
        "difference": change.difference,
        "ci": change.ci,
        "margin": change.margin,
        "why": change.why,
    }


def _side(line: Entry | None) -> dict[str, Any] | None:
    kept: Sequence[str] = ("verdict", "effect", "ci", "n", "criterion_hash")
    return None if line is None else {name: line[name] for name in kept}
