"""`jacprobe store list | size | verify | gc`: looking after the evidence store."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from jacprobe.commands.exit_codes import DONE, NO
from jacprobe.commands.options import AnyStore, Json, SharedStore
from jacprobe.errors import inert


def store_list(store: AnyStore = None, shared_store: SharedStore = None, as_json: Json = False) -> None:
    """List the entries: probe, shape, chunks there of all, bytes.

    Example: jacprobe store list --json
    """
    from jacprobe.progress import working
    from jacprobe.store.store import store_at
    from jacprobe.store.upkeep import list_entries

    with working("reading the entries"):
        found = list_entries(store_at(store, shared_store or ()))
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in found], indent=1, default=str))
        return
    for item in found:
        shape = " x ".join(f"{length} {axis}" for axis, length in item.shape.items())
        where = " (shared)" if item.shared else ""
        probe = inert(item.key.get("probe"))
        name = item.where.rpartition("/")[2][:12]
        typer.echo(f"{name}  {probe}  {inert(shape)}  {item.chunks}/{item.total} chunks{where}")


def store_size(store: AnyStore = None, shared_store: SharedStore = None, as_json: Json = False) -> None:
    """Print the bytes that each layer of the store holds.

    Example: jacprobe store size --store evidence
    """
    from jacprobe.progress import working
    from jacprobe.store.store import store_at
    from jacprobe.store.upkeep import size

    with working("adding up"):
        sizes = size(store_at(store, shared_store or ()))
    if as_json:
        typer.echo(json.dumps(sizes, indent=1))
        return
    for where, count in sizes.items():
        typer.echo(f"{count:>14,}  {inert(where)}")


def store_verify(
    store: AnyStore = None,
    shared_store: SharedStore = None,
    mend: Annotated[bool, typer.Option(help="Delete what is damaged, so that it is computed again.")] = False,
    as_json: Json = False,
) -> None:
    """Read every chunk and name what is damaged; exit code 1 where anything is.

    Example: jacprobe store verify --mend
    """
    from jacprobe.progress import working
    from jacprobe.store.store import store_at
    from jacprobe.store.upkeep import verify

    with working("reading every chunk"):
        faults = verify(store_at(store, shared_store or ()), mend=mend)
    if as_json:
        typer.echo(json.dumps([asdict(fault) for fault in faults], indent=1, default=str))
    else:
        for fault in faults:
            typer.echo(inert(f"{fault.where}: {fault.label or 'entry'}: {fault.problem}", 1000))
        typer.echo(f"{len(faults)} damaged")
    raise typer.Exit(NO if faults else DONE)


def store_gc(
    store: AnyStore = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Delete what no run will read again: leavings of killed runs, superseded probes, estimates of other code.

    Example: jacprobe store gc --dry-run
    """
    from jacprobe.kept_chunks import KEPT
    from jacprobe.kept_estimates import code_digest
    from jacprobe.progress import working
    from jacprobe.store.store import store_at
    from jacprobe.store.upkeep import gc
    from jacprobe.suite import suite_root

    current = {kind.probe: kind.version for kind in KEPT.values()}
    with working("looking for what no run will read"):
        gone = gc(store_at(store), current, code_digest(suite_root() / "claims"), dry_run)
    if as_json:
        typer.echo(json.dumps({"deleted": not dry_run, "paths": gone}, indent=1))
        return
    for path in gone:
        typer.echo(f"{'would delete' if dry_run else 'deleted'} {path}")
