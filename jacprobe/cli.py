"""The command line: `jacprobe doctor | claims | demo`. Claims themselves are judged by `pytest claims/`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jacprobe.errors import JacprobeError

app = typer.Typer(
    help="Re-verify findings about perturbation models. Judge all claims with: pytest claims/",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo = typer.Typer(help="The demo study: a small family of real State models with planted truth.", no_args_is_help=True)
app.add_typer(demo, name="demo")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def doctor(run: Annotated[Path, typer.Argument(help="A State run folder.")], as_json: Json = False) -> None:
    """List every file of a run folder with size and hash, what is wrong with it and how to mend it.

    Exit code 0 where the folder can be loaded, 1 where it cannot. Example: jacprobe doctor runs/fewshot-hepg2
    """
    from jacprobe.models.doctor import doctor as examine

    report = examine(run)
    typer.echo(json.dumps(asdict(report), indent=1) if as_json else report.text())
    raise typer.Exit(1 if report.faults else 0)


@app.command("claims")
def list_claims(as_json: Json = False) -> None:
    """List the claims.

    Id, finding and criterion; with --json evidence and published figures too. Example: jacprobe claims --json
    """
    from jacprobe.suite import load_rows, suite_root

    rows = [
        {
            "id": claim.id,
            "group": claim.group,
            "family": claim.family,
            "kind": claim.kind,
            "finding": claim.finding,
            "criterion": str(claim.criterion),
            "evidence": {name: str(request) for name, request in claim.evidence.items()},
            "published": [{"value": f.value, "source": f.source, "id": f.id} for f in claim.published],
        }
        for claim in load_rows(suite_root() / "claims").values()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['id']}  ({row['criterion']})\n    {row['finding']}")


@demo.command("build")
def build_demo(
    out: Annotated[Path, typer.Option(help="Folder to build the study in; resumes what an interrupted build left.")],
    seed: Annotated[int, typer.Option(help="Root of the simulation's and the trainings' random streams.")] = 42,
) -> None:
    """Simulate the study, train its models with arc-state's own command, and write study and truth.

    Takes about ten minutes on two cores. Example: jacprobe demo build --out my-demo
    """
    from jacprobe.demo.cli import build

    build(out, seed)


def main() -> None:
    """Run the command line; jacprobe's own errors are one line and exit code 2."""
    try:
        app()
    except JacprobeError as error:
        typer.echo(f"jacprobe: {error}", err=True)
        sys.exit(2)
