"""verdicts.md: the same answer and table as the page, short enough for the comment of a pull request."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from jacprobe.errors import inert
from jacprobe.report.page import PLANTED, deciding, spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.report.overview import Overview
    from jacprobe.report.rows import Row

LONGEST = 65_536  # characters of a comment on GitHub
_SHORTER = (200, 100, 50, 20, 0)  # how many claims are listed where all are too many, until it fits
SHAPES = {"SUPPORTED": "●", "REFUTED": "✕", "INCONCLUSIVE": "◐", "NOT EVALUATED": "◌", "ERROR": "▲"}
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~$&@"})


def verdicts_markdown(view: Overview, *, cut: str | None = None) -> str:
    """Return the verdicts of a ledger as Markdown that fits into a comment; every text of the ledger is escaped.

    Parameters
    ----------
    view
        The ledger's overview.
    cut
        What was lost of the ledger, if something was.
    """
    text = _text(view, view.rows, view.unexpected, cut)
    for most in _SHORTER:
        if len(text) <= LONGEST:
            break
        text = _text(view, view.unexpected[:most], view.unexpected[:most], cut)
    return text


def _text(view: Overview, shown: Sequence[Row], surprises: Sequence[Row], cut: str | None) -> str:
    page = [f"# Do the findings hold? Study {cell(view.study)}", ""]
    page += [f"{len(view.rows):,} claims about {len(view.models)} models: **{spoken(view.counts)}**.", ""]
    if view.planted:
        page += [f"Note that {PLANTED}.", ""]
    if cut:
        page += [f"> **The ledger was cut.** {cell(cut)}.", ""]
    if view.quick:
        page += [f"> **A quick look** at no more than {view.quick} knockdowns a probe: no verdict is on the study.", ""]
    page += [*_surprises(view, surprises), ""]
    if view.conclusions:
        page += ["## What the conclusions come to", "", *map(_conclusion, view.conclusions), ""]
    if view.missing:
        page += ["## Not evaluated", ""]
        page += [f"- {len(rows)}: {cell(reason)}" for reason, rows in view.missing.items()] + [""]
    if len(shown) < len(view.rows):
        page += [f"Listed are {len(shown):,} unexpected ones of {len(view.rows):,} claims; report.html has all.", ""]
    kept = {row.line["id"] for row in shown}
    for group in view.groups:
        members = [row for row in group.rows if row.line["id"] in kept]
        if members:
            title = f"{group.name}: {group.title}" if group.title else group.name
            page += ["<details>", f"<summary>{escape(inert(title))} ({spoken(group.counts)})</summary>", ""]
            page += [*_table(members), "", "</details>", ""]
    return "\n".join(page).rstrip() + "\n"


def cell(text: object, limit: int = 1500) -> str:
    """Return `text` as it stands in Markdown: one line, no markup, no mention, no cell's end."""
    return inert(text, limit).translate(_SPECIAL)


def _surprises(view: Overview, listed: Sequence[Row]) -> list[str]:
    if not view.unexpected:
        return ["No verdict is unexpected."]
    found = [f"**{len(view.unexpected):,} unexpected:**", ""]
    for row in listed:
        stated = cell(row.stated) or "any"
        found.append(f"- {_verdict(row)} `{row.line['id']}`: {cell(row.line['reason'])} (expected {stated})")
    return found


def _conclusion(row: Row) -> str:
    parts = ", ".join(f"`{inert(name)}`" for name, _ in deciding(row.parts, row.line["verdict"]))
    if row.line["verdict"] == "SUPPORTED" or not parts:
        return f"- {_verdict(row)}: {cell(row.line['finding'])}"
    return f"- {_verdict(row)}: {cell(row.line['finding'])} Decided by {parts}."


def _table(members: Sequence[Row]) -> list[str]:
    table = [
        "| verdict | finding | published | re-measured [95 % CI] | criterion | expected | flags |",
        "| --- | --- | ---: | ---: | --- | --- | ---: |",
    ]
    for row in members:
        cells = (
            _verdict(row),
            f"{cell(row.line['finding'])} `{row.line['id']}`",
            cell(row.published[0]) or "–",
            f"{row.measured} {row.interval}".strip(),
            cell(row.criterion),
            "**unexpected**" if row.expected == "unexpected" else cell(row.stated) or "any",
            str(len(row.line["flags"]) or ""),
        )
        table.append(f"| {' | '.join(cells)} |")
    return table


def _verdict(row: Row) -> str:
    return f"{SHAPES[row.line['verdict']]} {row.line['verdict']}"
