"""`jacprobe init`: a study of one's own models and cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jacprobe.commands.options import roles
from jacprobe.errors import InputError, inert


def init(
    study: Annotated[Path, typer.Argument(help="Folder to write the study to; it must not be there yet.")],
    models: Annotated[Path, typer.Option(help="A run folder, or a folder of run folders.")],
    data: Annotated[Path, typer.Option(help="h5ad file with control cells of the models' lines.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=RUN (repeatable): the run that stands for a role.", autocompletion=roles),
    ] = None,
    cell_line: Annotated[
        list[str] | None, typer.Option(help="ROLE=NAME (repeatable): the line of a role, as the data call it.")
    ] = None,
    perturbation_column: Annotated[str | None, typer.Option(help="Column of obs with the perturbations.")] = None,
    cell_line_column: Annotated[str | None, typer.Option(help="Column of obs with the cell lines.")] = None,
    batch_column: Annotated[str | None, typer.Option(help="Column of obs with the batches.")] = None,
    genes_column: Annotated[str | None, typer.Option(help="Column of var with the models' gene names.")] = None,
    expression: Annotated[str | None, typer.Option(help="X, or a matrix of obsm or layers.")] = None,
    control: Annotated[str | None, typer.Option(help="The mark of control cells.")] = None,
    adapter: Annotated[str, typer.Option(help="What reads the run folders.")] = "state",
    checkpoint: Annotated[str | None, typer.Option(help="Checkpoint of each run; best, or the only one.")] = None,
) -> None:
    """Write a study of your own models and cells, which runs at once.

    Run folders and data are inspected: which run stands for which role, what columns hold, which matrix is on the log1p
    scale. It says what it guessed, and what could not be guessed with the option that gives it. Nothing is overwritten,
    and neither models nor cells are copied.

    Example: jacprobe init my-study --models runs --data cells.h5ad
    """
    from jacprobe.columns import Columns
    from jacprobe.coverage import answerable
    from jacprobe.opening import open_study
    from jacprobe.progress import working
    from jacprobe.suite import load_rows, suite_root

    with working("reading run folders") as progress:
        from jacprobe.scaffold.make import Wanted, make_study

        columns = Columns(perturbation_column, cell_line_column, batch_column, genes_column, expression, control)
        wanted = Wanted(
            folder=study,
            models=models,
            data=data,
            roles={name: Path(path) for name, path in _pairs(role, "--role").items()},
            cell_lines=_pairs(cell_line, "--cell-line"),
            columns=columns,
            adapter=adapter,
            checkpoint=checkpoint,
        )
        made = make_study(wanted, progress)
    typer.echo(f"wrote {inert(study / 'study.toml')}, {inert(study / 'expected.toml')} (nothing is expected yet)")
    for said, texts in (("guessed", made.guesses), ("not guessed", made.unknown)):
        for text in texts:
            typer.echo(inert(f"{said}  {text}", 1000))
    known, there = load_rows(suite_root() / "claims"), open_study(study).models
    typer.echo(f"{len(answerable(known, there))} of {len(known)} claims need no model but these")
    typer.echo(f"Judge it with: pytest claims/ --study {inert(study)}")


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    parts = [text.partition("=") for text in texts or ()]
    if odd := [name for name, equals, value in parts if not (equals and value)]:
        raise InputError(f"{option} {', '.join(odd)}", "ROLE=VALUE, such as fewshot/hepg2=runs/hepg2")
    return {name: value for name, _, value in parts}
