"""`jacprobe claims` and `findings`: what is claimed, and what the findings became."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacprobe.commands.options import Json, roles

if TYPE_CHECKING:
    from jacprobe.verdicts.claim import Claim


def claims(
    as_json: Json = False,
    with_model: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="Only claims that need no model but these roles (repeatable).", autocompletion=roles
        ),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Only claims of these groups, as nb05 or conclusion (repeatable).")
    ] = None,
) -> None:
    """List the claims by group: id, criterion and finding.

    With --json evidence and published figures too.

    Example: jacprobe claims --with fewshot/hepg2 --group nb05
    """
    from jacprobe.coverage import answerable
    from jacprobe.errors import unknown_names
    from jacprobe.suite import load_rows, suite_root

    known = load_rows(suite_root() / "claims")
    chosen = set(known) if not with_model else set(answerable(known, with_model))
    if group and (unknown := set(group) - {claim.group for claim in known.values()}):
        raise unknown_names("group", sorted(unknown), sorted({claim.group for claim in known.values()}), "--group")
    listed = [claim for claim in known.values() if claim.id in chosen and (not group or claim.group in group)]
    listed.sort(key=lambda claim: claim.group)  # stable: within a group as the module has them
    if as_json:
        typer.echo(json.dumps([_described(claim) for claim in listed], indent=1, ensure_ascii=False))
        return
    for name, claims_of_group in groupby(listed, key=lambda claim: claim.group):
        typer.secho(f"{name}\n", bold=True)
        for claim in claims_of_group:
            typer.echo(f"  {typer.style(claim.id, bold=True)}  ({claim.criterion})\n      {claim.finding}")
        typer.echo()
    typer.echo(f"{len(listed)} claims")


def _described(claim: Claim) -> dict[str, Any]:
    return {
        "id": claim.id,
        "group": claim.group,
        "family": claim.family,
        "kind": claim.kind,
        "finding": claim.finding,
        "criterion": str(claim.criterion),
        "evidence": {name: str(request) for name, request in claim.evidence.items()},
        "published": [{"value": f.value, "source": f.source, "id": f.id} for f in claim.published],
    }


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
