"""The command line: registers the commands of `jacprobe.commands`; `pytest claims/` judges."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jacprobe.commands import exit_codes
from jacprobe.commands.claims import claims, findings
from jacprobe.commands.collect import collect, plan, store_missing
from jacprobe.commands.demo import demo_build
from jacprobe.commands.doctor import doctor
from jacprobe.commands.init import init
from jacprobe.commands.regression import accept, compare, verify
from jacprobe.commands.report import report
from jacprobe.commands.store import store_gc, store_list, store_size, store_verify
from jacprobe.errors import JacprobeError

app = typer.Typer(
    help="Re-verify findings about perturbation models. Judge all claims with: pytest claims/",
    epilog=exit_codes.table(),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo = typer.Typer(help="The demo study: a small family of real State models with planted truth.", no_args_is_help=True)
store = typer.Typer(help="The evidence store.", no_args_is_help=True)

for command in (init, doctor, plan, collect, claims, report, compare, accept, verify, findings):
    app.command()(command)
app.add_typer(demo, name="demo")
app.add_typer(store, name="store")
demo.command("build")(demo_build)
for name, of_store in (
    ("list", store_list),
    ("size", store_size),
    ("missing", store_missing),
    ("verify", store_verify),
    ("gc", store_gc),
):
    store.command(name)(of_store)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"jacprobe {version('jacprobe')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Stand for options that go before any command."""


def main() -> None:
    """Run the command line; jacprobe's own errors are one line and exit code 2."""
    try:
        app()
    except JacprobeError as error:
        typer.echo(f"jacprobe: {error}", err=True)
        sys.exit(exit_codes.NOT_DONE)
