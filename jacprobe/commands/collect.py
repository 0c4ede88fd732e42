"""`jacprobe plan`, `collect` and `store missing`: what evidence takes, filling the store, and what it lacks."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacprobe.commands.options import AnyStore, Json, SharedStore, studies
from jacprobe.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.cluster.work import Work
    from jacprobe.collect import Task
    from jacprobe.plan import Plan
    from jacprobe.studies import Study

StudyName = Annotated[str, typer.Argument(help="Name of a study, or its folder.", autocompletion=studies)]
Probes = Annotated[list[str] | None, typer.Option("--probe", help="delta, jacobian or knockout; all by default.")]
Kds = Annotated[str, typer.Option(help="all, or how many names of the first axis, spread evenly.")]
DrawCount = Annotated[int, typer.Option(help="Disjoint draws of control cells.")]
Seed = Annotated[int, typer.Option(help="Root of the draws, as in pytest --seed.", min=0)]
Device = Annotated[str, typer.Option(help="Where models run: auto, cpu, cuda, mps.")]
Models = Annotated[str | None, typer.Option(help="Folder of run folders, as in pytest --models.")]
Data = Annotated[str | None, typer.Option(help="h5ad file of control cells, as in pytest --data.")]
ShardOption = Annotated[str | None, typer.Option("--shard", help="i/n: this machine's part of n, for array jobs.")]


def collect(
    study: StudyName,
    probe: Probes = None,
    kds: Kds = "all",
    draws: DrawCount = 1,
    seed: Seed = 0,
    device: Device = "auto",
    models: Models = None,
    data: Data = None,
    store: AnyStore = None,
    shared_store: SharedStore = None,
    shard: ShardOption = None,
    scheduler: Annotated[
        str | None, typer.Option(help="local, local:N or tcp://HOST:PORT of a Dask scheduler; none: this process.")
    ] = None,
    slurm: Annotated[
        Path | None, typer.Option(help="TOML file of Slurm jobs (see docs/cluster.md); run on a login node.")
    ] = None,
) -> None:
    """Compute the evidence of a study and keep it, so that claims find it there.

    What is there is not computed again; it can be stopped at any time and goes on where it was.

    Example: jacprobe collect demo --probe jacobian --kds 60 --scheduler local:2
    """
    from jacprobe.collect import collect as fill
    from jacprobe.terminal import Collecting

    if scheduler is not None and slurm is not None:
        raise InputError("--scheduler and --slurm", "one of them", where="collect")
    given = _Given(study, probe, kds, draws, seed, device, models, data, store, shared_store, shard)
    typer.echo(f"seed {seed}", err=True)
    try:
        if scheduler is None and slurm is None:
            work = given.work()
            opened = work.open()
            with Collecting() as progress:
                fill(opened, given.tasks(opened), progress, work.target())
        else:
            _distributed(given, scheduler, slurm)
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command goes on where this one was.", err=True)
        sys.exit(130)


def _distributed(given: _Given, scheduler: str | None, slurm: Path | None) -> None:
    from contextlib import ExitStack

    from jacprobe.cluster.distribute import distribute
    from jacprobe.cluster.schedulers import connected, parse_scheduler
    from jacprobe.cluster.slurm import slurm as submitted
    from jacprobe.cluster.workers import Patience
    from jacprobe.terminal import Collecting

    with ExitStack() as stack:
        if slurm is not None:
            client, patience = stack.enter_context(submitted(slurm))
        else:
            parsed = parse_scheduler(scheduler or "local")
            client, patience = stack.enter_context(connected(parsed, given.device)), Patience()
        work = given.work()
        todo = given.tasks(work.open())
        with Collecting() as progress:
            distribute(client, work, todo, progress, patience)


def plan(
    study: StudyName,
    probe: Probes = None,
    kds: Kds = "all",
    draws: DrawCount = 1,
    seed: Seed = 0,
    device: Device = "auto",
    models: Models = None,
    data: Data = None,
    store: AnyStore = None,
    shared_store: SharedStore = None,
    shard: Annotated[
        list[str] | None, typer.Option(help="i/n (repeatable): plan these, and name what they miss or do twice.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the work, each on its own core.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Say what `collect` with the same options would compute, its FLOPs and bytes, and the hours it takes here.

    Nothing is kept; a few chunks are computed for five seconds to know this machine. Several shards must be all of
    them.

    Example: jacprobe plan demo --probe jacobian --workers 2
    """
    from jacprobe.collect import Shard, require_whole
    from jacprobe.plan import plan as made
    from jacprobe.progress import working

    shards = [Shard.parse(text) for text in shard or ()]
    given = _Given(study, probe, kds, draws, seed, device, models, data, store, shared_store, None)
    work = given.work()
    opened = work.open()
    todo = given.tasks(opened)
    if len(shards) > 1:
        require_whole(todo, shards)
    elif shards:
        todo = given.with_shard(shards[0]).tasks(opened)
    with working("timing a few chunks"):
        found = made(opened, todo, work.target(), workers)
    typer.echo(json.dumps({"seed": seed, **_plain(found)}, indent=1) if as_json else _table(found, seed), nl=as_json)


def store_missing(
    study: StudyName,
    probe: Probes = None,
    kds: Kds = "all",
    draws: DrawCount = 1,
    seed: Seed = 0,
    device: Device = "auto",
    models: Models = None,
    data: Data = None,
    store: AnyStore = None,
    shared_store: SharedStore = None,
    shard: ShardOption = None,
    as_json: Json = False,
) -> None:
    """Name what `collect` with the same options would still compute; exit code 1 where anything is missing.

    After array jobs it tells what failed ones left.

    Example: jacprobe store missing demo --store s3://bucket/evidence
    """
    from jacprobe.collect import missing_of, some
    from jacprobe.progress import working

    given = _Given(study, probe, kds, draws, seed, device, models, data, store, shared_store, shard)
    work = given.work()
    opened = work.open()
    with working("looking for what is there"):
        left = missing_of(opened, given.tasks(opened), work.target())
    if as_json:
        rows = [
            {"probe": task.probe, "role": task.request.role, "draw": task.request.draw, "names": task.names}
            for task in left
        ]
        typer.echo(json.dumps(rows, indent=1))
    else:
        for task in left:
            typer.echo(f"{task.title}: {len(task.names)} missing: {some(task.names)}")
        typer.echo(f"{sum(len(task.names) for task in left)} missing")
    raise typer.Exit(1 if left else 0)


@dataclass(frozen=True)
class _Given:
    """The options that say what is collected, where from and where to."""

    study: str
    probe: Sequence[str] | None
    kds: str
    draws: int
    seed: int
    device: str
    models: str | None
    data: str | None
    store: str | None
    shared: Sequence[str] | None
    shard: str | None

    def work(self) -> Work:
        """Return how a study is opened, here or elsewhere: paths do not depend on where the command was typed."""
        from jacprobe.cluster.work import Work
        from jacprobe.hub import is_reference
        from jacprobe.store.objects import is_address
        from jacprobe.store.store import default_root

        def absolute(path: str | None) -> str | None:
            return path if path is None or is_reference(path) or is_address(path) else str(Path(path).resolve())

        store = self.store or str(default_root())
        study = absolute(self.study) if (Path(self.study) / "study.toml").is_file() else self.study
        made = Work(
            study=study or self.study,
            store=absolute(store) or store,
            seed=self.seed,
            device=self.device,
            models=absolute(self.models),
            data=absolute(self.data),
            shared=tuple(absolute(path) or path for path in self.shared or ()),
        )
        made.target()  # refused before models are read
        return made

    def with_shard(self, shard: object) -> _Given:
        """Return the same options for one shard."""
        from dataclasses import replace

        return replace(self, shard=str(shard))

    def tasks(self, opened: Study) -> list[Task]:
        """Return what is to be collected."""
        from jacprobe.collect import Shard, of_shard, tasks

        if self.kds != "all" and not self.kds.isdecimal():
            raise InputError(f"--kds {self.kds}", "all or a number", where="collect")
        shard = Shard.parse(self.shard) if self.shard is not None else None
        todo = tasks(opened, self.probe or (), None if self.kds == "all" else int(self.kds), self.draws)
        return todo if shard is None else of_shard(todo, shard)


def _plain(found: Plan) -> dict[str, object]:
    totals = {name: getattr(found, name) for name in ("missing", "gflop", "nbytes", "hours", "cpu_hours")}
    return {**totals, **asdict(found)}


def _table(found: Plan, seed: int) -> str:
    head = f"{'entry':<44}{'missing':>12}{'GFLOP':>14}{'MiB':>12}{'hours':>10}  by"
    rows = [
        f"{f'{item.probe} {item.role} draw {item.draw}':<44}{f'{item.missing}/{item.names}':>12}{item.gflop:>14,.1f}"
        f"{item.nbytes / 2**20:>12,.1f}{item.hours:>10.4f}  {item.how}"
        for item in found.items
    ]
    whole = (
        f"{'all, ' + str(found.workers) + (' worker' if found.workers == 1 else ' workers'):<44}{found.missing:>12}"
        f"{found.gflop:>14,.1f}{found.nbytes / 2**20:>12,.1f}{found.hours:>10.4f}"
    )
    said = f"Loading models takes {found.loading_seconds:.1f} s of it; this estimate took {found.probe_seconds:.1f} s."
    return "\n".join([head, *rows, whole, f"{said} Seed {seed}."]) + "\n"
