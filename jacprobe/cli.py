"""The command line: `jacprobe doctor, claims, collect, report, findings, store, demo`; `pytest claims/` judges."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jacprobe.commands.collect import collect, plan, store_missing
from jacprobe.commands.regression import accept, compare, verify
from jacprobe.commands.report import report
from jacprobe.errors import JacprobeError, inert

app = typer.Typer(
    help="Re-verify findings about perturbation models. Judge all claims with: pytest claims/",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo = typer.Typer(help="The demo study: a small family of real State models with planted truth.", no_args_is_help=True)
app.add_typer(demo, name="demo")

app.command()(report)
for regression in (compare, accept, verify):
    app.command()(regression)

kept = typer.Typer(help="The evidence store.", no_args_is_help=True)
app.add_typer(kept, name="store")

for collecting in (plan, collect):
    app.command()(collecting)
kept.command("missing")(store_missing)

StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of the store; the user's cache by default.")]
SharedOption = Annotated[
    list[Path] | None, typer.Option("--shared-store", help="Store that is only read (repeatable).")
]
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
def list_claims(
    as_json: Json = False,
    with_model: Annotated[
        list[str] | None, typer.Option("--with", help="Only claims that need no model but these roles (repeatable).")
    ] = None,
) -> None:
    """List the claims.

    Id, finding and criterion; with --json evidence and published figures too. Example: jacprobe claims --with
    fewshot/hepg2
    """
    from jacprobe.coverage import answerable
    from jacprobe.suite import load_rows, suite_root

    known = load_rows(suite_root() / "claims")
    chosen = list(known) if not with_model else answerable(known, with_model)
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
        for claim in map(known.__getitem__, chosen)
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['id']}  ({row['criterion']})\n    {row['finding']}")


@app.command()
def findings(
    ledger: Annotated[Path, typer.Argument(help="The verdicts.jsonl of a run on the published models or evidence.")],
    demo: Annotated[Path | None, typer.Option(help="The verdicts.jsonl of a run on the demo, shown beside.")] = None,
) -> None:
    """Print what the findings became: finding, published, re-measured, verdict and why, as Markdown.

    Example: jacprobe findings real/verdicts.jsonl --demo results/verdicts.jsonl > docs/findings.md
    """
    from jacprobe.report.findings import findings_page
    from jacprobe.verdicts.ledger import read_ledger

    beside = read_ledger(demo) if demo is not None else ()
    typer.echo(findings_page(read_ledger(ledger), beside), nl=False)


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


@kept.command("list")
def store_list(store: StoreOption = None, shared_store: SharedOption = None, as_json: Json = False) -> None:
    """List the entries: probe, shape, chunks there of all, bytes."""
    from jacprobe.store.store import Store
    from jacprobe.store.upkeep import list_entries

    found = list_entries(Store.at(store, shared_store or ()))
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in found], indent=1, default=str))
        return
    for item in found:
        shape = " x ".join(f"{length} {axis}" for axis, length in item.shape.items())
        where = " (shared)" if item.shared else ""
        probe = inert(item.key.get("probe"))
        typer.echo(f"{item.path.name[:12]}  {probe}  {inert(shape)}  {item.chunks}/{item.total} chunks{where}")


@kept.command("size")
def store_size(store: StoreOption = None, shared_store: SharedOption = None) -> None:
    """Print the bytes that each layer of the store holds."""
    from jacprobe.store.store import Store
    from jacprobe.store.upkeep import size

    for path, count in size(Store.at(store, shared_store or ())).items():
        typer.echo(f"{count:>14,}  {path}")


@kept.command("verify")
def store_verify(
    store: StoreOption = None,
    shared_store: SharedOption = None,
    mend: Annotated[bool, typer.Option(help="Delete what is damaged, so that it is computed again.")] = False,
) -> None:
    """Read every chunk and name what is damaged; exit code 1 where anything is."""
    from jacprobe.store.store import Store
    from jacprobe.store.upkeep import verify

    faults = verify(Store.at(store, shared_store or ()), mend=mend)
    for fault in faults:
        typer.echo(inert(f"{fault.path}: {fault.label or 'entry'}: {fault.problem}", 1000))
    typer.echo(f"{len(faults)} damaged")
    raise typer.Exit(1 if faults else 0)


@kept.command("gc")
def store_gc(
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
) -> None:
    """Delete what no run will read again: leavings of killed runs, superseded probes, estimates of other code."""
    from jacprobe.estimates import code_digest
    from jacprobe.kept import KEPT
    from jacprobe.store.store import Store
    from jacprobe.store.upkeep import gc
    from jacprobe.suite import suite_root

    current = {kind.probe: kind.version for kind in KEPT.values()}
    for path in gc(Store.at(store), current, code_digest(suite_root() / "claims"), dry_run):
        typer.echo(f"{'would delete' if dry_run else 'deleted'} {path}")


def main() -> None:
    """Run the command line; jacprobe's own errors are one line and exit code 2."""
    try:
        app()
    except JacprobeError as error:
        typer.echo(f"jacprobe: {error}", err=True)
        sys.exit(2)
