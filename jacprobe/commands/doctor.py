"""`jacprobe doctor`: what a run folder holds, what is wrong with it and how to mend it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jacprobe.commands.exit_codes import DONE, NO
from jacprobe.commands.options import Json


def doctor(run: Annotated[Path, typer.Argument(help="A State run folder.")], as_json: Json = False) -> None:
    """List every file of a run folder with size and hash, what is wrong with it and how to mend it.

    Exit code 0 where the folder can be loaded, 1 where it cannot.

    Example: jacprobe doctor runs/fewshot-hepg2
    """
    from jacprobe.progress import working

    with working(f"examining {run.name}"):
        from jacprobe.models.doctor import doctor as examine

        report = examine(run)
    typer.echo(json.dumps(asdict(report), indent=1) if as_json else report.text())
    raise typer.Exit(NO if report.faults else DONE)
