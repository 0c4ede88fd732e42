"""Showing on stderr, or in a notebook, that something works: how far it is, and the seconds that went by."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def working(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show `what`, and by the function yielded (done, total, now at) how far it is.

    Nothing is shown where stderr is no terminal. It vanishes when the work is done, so that nothing of it stands
    between the results.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    shown = console.is_terminal or console.is_jupyter
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not shown) as bars:
        task = bars.add_task(what, total=None)

        def advance(done: int, total: int, now: str) -> None:
            bars.update(task, completed=done, total=total, description=f"{what}: {now}" if now else what)

        yield advance
