"""`jacprobe demo build`: the demo study from nothing, with progress over models and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacprobe.demo.build import build as build_study

if TYPE_CHECKING:
    from pathlib import Path


def build(out: Path, seed: int = 42) -> None:
    """Build the demo study into `out`, with progress bars on stderr; errors as `jacprobe.demo.build.build`."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done)

        try:
            build_study(out, seed=seed, report=report)
        except KeyboardInterrupt:
            console.print("Interrupted. The same command goes on where this one was.", highlight=False)
            raise
    console.print(f"Built {out}. Judge it with: pytest claims/ --study {out}", highlight=False, markup=False)
