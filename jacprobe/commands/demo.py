"""`jacprobe demo build`: the demo study from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo_build(
    out: Annotated[Path, typer.Option(help="Folder to build the study in; resumes what an interrupted build left.")],
    seed: Annotated[int, typer.Option(help="Root of the simulation's and the trainings' random streams.")] = 42,
) -> None:
    """Simulate the study, train its models with arc-state's own command, and write study and truth.

    Takes about ten minutes on two cores.

    Example: jacprobe demo build --out my-demo
    """
    from jacprobe.demo.cli import build

    typer.echo(f"seed {seed}", err=True)
    build(out, seed)
