"""`jacprobe claims` and `findings`: what is claimed, and what the findings became."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jacprobe.commands.options import Json, roles


def claims(
    as_json: Json = False,
    with_model: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="Only claims that need no model but these roles (repeatable).", autocompletion=roles
        ),
    ] = None,
) -> None:
    """List the claims.

    Id, finding and criterion; with --json evidence and published figures too.

    Example: jacprobe claims --with fewshot/hepg2
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
