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
    store: Annotated[
        Path | None,
        typer.Option(help="Evidence store that shared figures are drawn from; the user's cache by default."),
    ] = None,
    install: Annotated[
        bool,
        typer.Option("--install-allure", help="Have npm fetch Allure first; once is enough, the cache keeps it."),
    ] = False,
) -> None:
    """Write report.html, verdicts.md, figures/ and, where Allure is installed, the Allure report.

    Every one is a view of the ledger verdicts.jsonl. Nothing is fetched but by --install-allure, which is needed once.

    Example: jacprobe report --out to-show
    """
    from jacprobe.progress import working
    from jacprobe.report.node import VERSION, install_allure
    from jacprobe.report.site import build_site
    from jacprobe.report.write import write_page
    from jacprobe.results import LEDGER

    if install:
        with working("installing Allure"):
            home = install_allure()
        typer.echo(f"Allure {VERSION} is installed ({home})")
    with working("drawing figures"):
        page, markdown, said = write_page(results, out or results, store)
    typer.echo(f"{page} ({said})")
    typer.echo(str(markdown))
    if not (results / LEDGER).is_file():
        typer.echo("no Allure report: the run has not ended")
        return
    with working("building the Allure report"):
        site = build_site(results, out or results)
    for path in site.pages:
        typer.echo(str(path))
    if site.reason:
        typer.echo(site.reason)
