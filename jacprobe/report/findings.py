"""What the findings became: each beside its published figures, its re-measurement and the planted study's verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import StudyError, inert
from jacprobe.terminal import probability, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jacprobe.verdicts.ledger import Entry

NOT_EVALUATED = "NOT EVALUATED"
_FIGURES = 3  # published figures shown of a claim; the ledger has all of them
HEAD = """# What the findings became

Made by `jacprobe findings`, from ledgers: do not edit. {sources}

*Published* are figures and the verdict that the publication's words amount to; *recomputed* is its own statistic on the
same evidence; *re-measured* is this suite's effect with its 95 % interval. *Demo* is the verdict on the planted study,
whose truth is known: a verdict there says that the measure finds what is there, and nothing of the published models.
"""


def findings_page(published: Sequence[Entry], demo: Sequence[Entry] = ()) -> str:
    """Return a Markdown page with a row for each claim of the first ledger.

    Parameters
    ----------
    published
        Ledger lines on the published models, or on evidence of them.
    demo
        Ledger lines of the planted study, shown beside.

    Raises
    ------
    StudyError
        If there is no line, or one is of a quick look.
    """
    if not published:
        raise StudyError("an empty ledger", "one of the published models", where="findings")
    if any(line["provenance"].get("quick") for line in (*published, *demo)):
        raise StudyError("a ledger of a quick look", "ledgers of full runs", "Run without --quick.", "findings")
    planted = {line["id"]: line for line in demo}
    judged = [line for line in published if line["verdict"] != NOT_EVALUATED]
    waiting = [line for line in published if line["verdict"] == NOT_EVALUATED]
    page = [HEAD.format(sources=_sources(published, judged, demo))]
    for group, lines in _groups(judged):
        page += [f"## {group.upper()}", "", *_table(lines, planted), ""]
    if waiting:
        page += ["## Not evaluated on this evidence", "", *_waiting(waiting, planted), ""]
    return "\n".join(page).rstrip() + "\n"


def _sources(published: Sequence[Entry], judged: Sequence[Entry], demo: Sequence[Entry]) -> str:
    files = sorted({name for line in published for name in line["provenance"].get("evidence", {})})
    of = f", from {', '.join(files)}" if files else ""
    beside = f" Beside it the study {demo[0]['study']}, {len(demo)} claims." if demo else ""
    return f"Study {published[0]['study']}: {len(judged)} of {len(published)} claims judged{of}.{beside}"


def _groups(lines: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    for group in sorted({line["group"] for line in lines}):
        yield group, [line for line in lines if line["group"] == group]


def _table(lines: Sequence[Entry], planted: Mapping[str, Entry]) -> list[str]:
    rows = [
        "| finding | published | recomputed | re-measured | verdict | why | demo |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines:
        flags = "; ".join(line["flags"])
        why = f"{line['reason']}. {flags}" if flags else line["reason"]
        cells = (
            f"{line['finding']} `{line['id']}`",
            _published(line),
            _numbers(line["as_published"]),
            f"{quantity(line)}, claimed {line['criterion']}",
            f"**{line['verdict']}**",
            why,
            planted[line["id"]]["verdict"] if line["id"] in planted else "-",
        )
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return rows


def _waiting(lines: Sequence[Entry], planted: Mapping[str, Entry]) -> list[str]:
    rows = ["| finding | published | missing | demo: effect [95 % CI], p | demo |", "| --- | --- | --- | --- | --- |"]
    for line in lines:
        beside = planted.get(line["id"])
        measured = "-" if beside is None else f"{quantity(beside)}, {probability(beside['p_adjusted'])}"
        cells = (
            f"{line['finding']} `{line['id']}`",
            _published(line),
            line["reason"],
            measured,
            beside["verdict"] if beside is not None else "-",
        )
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return rows


def _published(line: Entry) -> str:
    """Return the first published figures and the verdict that was published, where the study states one."""
    figures = [f"{figure['value']} ({figure['source']})" for figure in line["published"][:_FIGURES]]
    more = len(line["published"]) - len(figures)
    stated = [word for word in line["expected"] if word != NOT_EVALUATED]
    verdict = stated[0] if len(stated) == 1 else "not stated"
    return "; ".join([verdict, *figures, *([f"{more} more"] if more > 0 else [])])


def _numbers(found: Mapping[str, Any]) -> str:
    """Return what the original's own statistic gave, nested mappings flattened."""
    shown = []
    for name, value in found.items():
        if isinstance(value, dict):
            shown.append(_numbers(value))
        elif isinstance(value, float):
            shown.append(f"{name} {value:.3g}")
        elif isinstance(value, str | int):
            shown.append(f"{name} {value}")
    return ", ".join(part for part in shown if part) or "-"


def _cell(text: object) -> str:
    return inert(text, 1500).replace("|", "\\|")
