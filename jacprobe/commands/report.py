"""`jacprobe report`: the verdict page, its Markdown twin and the Allure report of a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[Path, typer.Option(help="Results folder of a run, or an earlier one in its history.")] = Path(
        "results"
    ),
    out: Annotated[Path | None, typer.Option(help="Folder to write to; the results folder by default.")] = None,
) -> None:
    """Write report.html, verdicts.md and, where Node is, the Allure report.

    Every one is a view of the ledger verdicts.jsonl. Example: jacprobe report --out to-show
    """
    from jacprobe.report.write import write_page

    page, markdown, said = write_page(results, out or results)
    typer.echo(f"{page} ({said})")
    typer.echo(str(markdown))
