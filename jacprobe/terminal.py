"""What the terminal shows: the header, a line that reads alone, the closing table of verdicts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from jacprobe.errors import inert
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from rich.table import Table

    from jacprobe.collect import Task
    from jacprobe.store.fill import Progress
    from jacprobe.studies import Study

WIDEST = 240
STYLES = {
    "SUPPORTED": "green",
    "REFUTED": "blue",
    "INCONCLUSIVE": "magenta",
    "NOT EVALUATED": "yellow",
    "ERROR": "bold red",
}


def header_lines(study: Study) -> list[str]:
    """Return the lines that say what is judged: study, device, batch and each model with mask and weights.

    Raises
    ------
    InputError
        Where the device is not there.
    """
    lines = [
        f"study: {inert(study.name)} ({inert(study.title)})",
        f"device: {_device(study)}, batch: {study.batch}, control cells a set: {study.n_cells}, seed: {study.seed}",
    ]
    if study.quick:
        lines.append(f"quick look: at most {study.quick} knockdowns a probe; no verdict here is one on the study")
    if study.stored is not None:
        lines.append(f"evidence computed by others: {inert(study.stored.tables.folder)}")
    for role in study.models:
        identity = study.identity(role)
        lines.append(
            f"model: {inert(role)}, mask {identity.provenance['mask']}, weights {identity.weights_sha256[:12]}"
        )
    return lines


def _device(study: Study) -> str:
    """Return the device that models will run on, "auto" made out."""
    if not study.models:
        return study.device
    from jacprobe.models.devices import require_device

    return str(require_device(study.device))


class Collecting:
    """Shows how far evidence is: one line per entry, done, rate, time left and bytes.

    Where no terminal is, a plain line for each entry that is done, and one every `seconds` meanwhile.
    """

    def __init__(self, seconds: float = 30.0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
        )
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._lines: dict[str, Any] = {}
        self._seconds, self._said = seconds, time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, task: Task, now: Progress) -> None:
        """Show the state of one entry."""
        title = task.title
        if title not in self._lines:
            self._lines[title] = self._bars.add_task(title, total=now.total, rest="")
        pace = f"{now.rate:.1f}/s, {now.seconds_left:.0f} s left" if now.rate else "starting"
        rest = f"{'there' if now.done == now.total else pace}, {now.nbytes / 2**20:.1f} MiB"
        self._bars.update(self._lines[title], completed=now.done, rest=rest)
        if self._bars.disable and (now.done == now.total or time.monotonic() > self._said + self._seconds):
            self._said = time.monotonic()
            text = f"{title}: {now.done}/{now.total} ({now.computed} computed), {rest}"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def verdict_line(line: Mapping[str, Any]) -> str:
    """Return one line that reads alone: verdict, effect, interval, criterion, models, n and what was expected."""
    words = [f"{line['id']}: {line['verdict']}"]
    if line["effect"] is not None:
        words.append(f"effect {quantity(line)}, claimed {line['criterion']}")
        context = [" | ".join(line["models"]), f"n = {line['n']} {line['diagnostics']['unit']}".strip()]
        nulls = [null["name"] for null in line["diagnostics"].get("nulls", ())]
        if nulls:
            context.append(f"null: {' and '.join(nulls)}")
        words.append(f"({', '.join(part for part in context if part)})")
    expected = " or ".join(line["expected"])
    because = line["diagnostics"].get("expected_because")
    text = f"{' '.join(words)}: {line['reason']}. Expected {expected}{f', because {because}' if because else ''}"
    return inert(text, 1000)


def quantity(line: Mapping[str, Any]) -> str:
    """Return effect and interval, rounded for people: 0.31 [0.22, 0.40]."""
    if line["effect"] is None:
        return "-"
    shown = f"{line['effect']:.3g}"
    if line["ci"] is None or line["ci"][0] == line["ci"][1]:
        return shown
    return f"{shown} [{line['ci'][0]:.3g}, {line['ci'][1]:.3g}]"


def probability(p: float | None) -> str:
    """Return a p as people read it."""
    if p is None:
        return "-"
    return f"{p:.4f}" if p >= 0.001 else f"{p:.1e}"


def closing_table(lines: Sequence[Mapping[str, Any]], *, colour: bool) -> str:
    """Return the table of all verdicts, one line each, plain unless `colour`."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold" if colour else "")
    for name in ("claim", "effect [95 % CI]", "criterion", "adj. p", "n", "verdict"):
        table.add_column(name, justify="right" if name in ("adj. p", "n") else "left", no_wrap=True)
    for line in lines:
        mark = "" if is_expected(line) else "  <- unexpected"
        style = STYLES.get(line["verdict"], "") if colour else ""
        table.add_row(
            Text(inert(line["id"])),
            Text(quantity(line)),
            Text(inert(line["criterion"])),
            Text(probability(line["p_adjusted"])),
            Text(str(line["n"]) if line["n"] is not None else "-"),
            Text(inert(line["verdict"]) + mark, style=style),
        )
    return page_of(table, colour=colour)


def stdout_style() -> tuple[bool, int | None]:
    """Return whether stdout shows colour (a terminal, and no NO_COLOR), and its width; no width where it is none."""
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.no_color, console.width if console.is_terminal else None


def page_of(table: Table, *, colour: bool, width: int | None = None) -> str:
    """Return a table as text, plain unless `colour`, without blanks at the ends of lines."""
    import io

    from rich.console import Console

    page = io.StringIO()
    system = "standard" if colour else None
    Console(file=page, width=width or WIDEST, force_terminal=colour, color_system=system, no_color=not colour).print(
        table
    )
    return "".join(f"{row.rstrip()}\n" for row in page.getvalue().splitlines())
