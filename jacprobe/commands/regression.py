"""`jacprobe compare | accept | verify`: ledgers against each other, as the baseline, against their own chain."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacprobe.commands.exit_codes import DONE, NO
from jacprobe.commands.options import AnyStore, Json, SharedStore, Store
from jacprobe.errors import InputError, JacprobeError, inert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.report.comparison import Compared
    from jacprobe.verdicts.claim import Claim
    from jacprobe.verdicts.ledger import Entry


class Format(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    MD = "md"
    JSON = "json"
    HTML = "html"


def compare(
    old: Annotated[Path, typer.Argument(help="The ledger (verdicts.jsonl) to compare with.")],
    new: Annotated[list[Path], typer.Argument(help="Later ledgers of the same study, one or more.")],
    form: Annotated[Format, typer.Option("--format", help="How it is printed.")] = Format.TABLE,
    store: Store = None,
    shared_store: SharedStore = None,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="Compare the ledgers alone, not their models.")] = False,
    as_json: Json = False,
) -> None:
    """Say which verdicts flipped between runs, as after training a model again.

    A flip is a verdict that changed and a difference that leaves the margin: that of the paired difference where the
    store holds the evidence of both models, else that of the effects alone, marked unpaired. Exit code 0 without a
    flip, 1 with one, 2 on bad input.

    Example: jacprobe compare results/history/2025-11-02T10-00-00Z/verdicts.jsonl results/verdicts.jsonl --format md
    """
    from jacprobe.progress import working
    from jacprobe.report import comparison
    from jacprobe.terminal import stdout_style

    form = Format.JSON if as_json else form
    with working("comparing"):
        compared = compare_ledgers([old, *new], store, shared_store or (), pair=not unpaired)
    if form is Format.TABLE:
        colour, width = stdout_style()
        text = comparison.as_table(compared, width, colour=colour)
    else:
        text = {
            Format.MD: comparison.as_markdown,
            Format.JSON: comparison.as_json,
            Format.HTML: comparison.as_html,
        }[form](compared)
    typer.echo(text, nl=False)
    raise typer.Exit(NO if compared.flips else DONE)


def accept(
    ledger: Annotated[Path, typer.Argument(help="The ledger (verdicts.jsonl) of a full run.")],
    reason: Annotated[str, typer.Option(help="Why it is the one to hold later runs against.")],
    study: Annotated[str | None, typer.Option(help="Folder of its study, where it is not a shipped one.")] = None,
) -> None:
    """Make a ledger the baseline of its study, which `pytest claims/ --expect baseline` reads.

    It is copied to baselines/STUDY.jsonl beside the study's folder; the ones before it stay in baselines/history with
    date and reason.

    Example: jacprobe accept results/verdicts.jsonl --reason "retrained on twice the cells"
    """
    from datetime import UTC, datetime

    from jacprobe.opening import study_folder
    from jacprobe.suite import read_toml
    from jacprobe.verdicts.baselines import accept as take
    from jacprobe.verdicts.ledger import read_ledger

    lines = read_ledger(ledger)
    name = str(lines[0]["study"]) if lines else ""
    folder = study_folder(study or name)
    stated = str(read_toml(folder / "study.toml").get("name"))
    if stated != name:
        raise InputError(f"the study {stated}", f"{name}, which the ledger is of", "Give its folder.", "--study")
    accepted = take(ledger, folder, reason, datetime.now(tz=UTC))
    typer.echo(f"{inert(accepted.path)} is the baseline of {inert(name)} now: {len(lines)} claims")
    typer.echo(f"kept for good as {inert(accepted.kept)}")


def verify(
    ledger: Annotated[Path, typer.Argument(help="The ledger (verdicts.jsonl).")],
    store: AnyStore = None,
    shared_store: SharedStore = None,
    evidence: Annotated[
        Path | None, typer.Option(help="Folder of evidence computed by others, if it used any.")
    ] = None,
    chain_only: Annotated[bool, typer.Option("--chain-only", help="Do not look for the evidence.")] = False,
    as_json: Json = False,
) -> None:
    """Check that a ledger is as it was written and that its evidence is still there, every checksum holding.

    Names the first line that was changed, removed or moved, and all evidence that is missing or another. Whoever
    rewrites the whole chain is found out by its last hash, which is printed: note it where others see it. Exit code 1
    where anything is wrong.

    Example: jacprobe verify results/verdicts.jsonl
    """
    from jacprobe.progress import working
    from jacprobe.store.store import store_at
    from jacprobe.verdicts.chain import broken, head
    from jacprobe.verdicts.ledger import read_cut_ledger
    from jacprobe.verification import entries_of, faults

    lines, cut = read_cut_ledger(ledger)
    if not lines:
        raise JacprobeError("no line of a ledger", "verdicts.jsonl of a finished run", where=ledger)
    wrong = [fault for fault in (cut, broken(lines)) if fault is not None]
    if not chain_only:
        with working("reading the evidence"):
            wrong += faults(lines, store_at(store, shared_store or ()), evidence)
    if as_json:
        found = {"lines": len(lines), "entries": 0 if chain_only else len(entries_of(lines)), "wrong": wrong}
        typer.echo(json.dumps({**found, "head": head(lines)}, indent=1, ensure_ascii=False))
        raise typer.Exit(NO if wrong else DONE)
    for fault in wrong:
        typer.echo(inert(fault, 1000))
    looked = "the chain alone" if chain_only else f"{len(entries_of(lines))} pieces of evidence"
    typer.echo(f"{len(lines)} lines and {looked}: {len(wrong) or 'nothing'} wrong; last hash {head(lines) or '-'}")
    raise typer.Exit(NO if wrong else DONE)


def compare_ledgers(
    paths: Sequence[Path], store: str | Path | None = None, shared: Sequence[str | Path] = (), *, pair: bool = True
) -> Compared:
    """Return ledgers compared with the first of them, by paired differences where `pair` and the store holds both.

    Raises
    ------
    StudyError
        Where a file is no ledger, or they do not belong together.
    """
    from jacprobe.kept_estimates import code_digest
    from jacprobe.report.comparison import Compared
    from jacprobe.retraining import Earlier
    from jacprobe.suite import load_rows, suite_root
    from jacprobe.verdicts.comparison import compare as judge
    from jacprobe.verdicts.comparison import require_comparable, to_pair
    from jacprobe.verdicts.ledger import read_cut_ledger

    folder = suite_root() / "claims"
    claims = load_rows(folder)
    read = [read_cut_ledger(path) for path in paths]
    require_comparable(*(lines for lines, _ in read))
    ledgers = [[completed(line, claims) for line in lines] for lines, _ in read]
    models = [Earlier(lines, claims, store, shared, code_digest(folder)) for lines in ledgers]
    comparisons = []
    for lines, later in zip(ledgers[1:], models[1:], strict=True):
        differences: dict[str, Any] = {}
        for before, after in to_pair(ledgers[0], lines) if pair else ():
            estimate = later.estimate(after)
            differences[after["id"]] = (
                f"of the later model: {estimate}"
                if isinstance(estimate, str)
                else models[0].difference(before, estimate)
            )
        comparisons.append(judge(ledgers[0], lines, differences))
    names = names_of(paths)
    remarks = [cut for _, cut in read if cut is not None]
    remarks += [
        f"{name}: {one}"
        for name, lines in zip(names[1:], ledgers[1:], strict=True)
        for one in other_than(ledgers[0], lines)
    ]
    return Compared(names, tuple(map(tuple, ledgers)), tuple(comparisons), tuple(remarks))


def completed(line: Entry, claims: Mapping[str, Claim]) -> Entry:
    """Return a ledger line with its margin and parts: of the claim, if unchanged, where an older version wrote it."""
    claim = claims.get(line["id"])
    if claim is None or claim.criterion_hash != line["criterion_hash"]:
        return line
    more: dict[str, Any] = {"margin": claim.criterion.margin}
    if claim.kind == "composite":
        more["parts"] = list(getattr(claim.criterion, "ids", ()))
    return {**line, "diagnostics": {**more, **(line["diagnostics"] or {})}}


def other_than(old: Sequence[Entry], new: Sequence[Entry]) -> list[str]:
    """Return what two ledgers differ in besides their models: data, seed, batch, number of cells."""
    words = {
        "study_sha256": "other data",
        "seed": "another seed",
        "batch": "another batch",
        "n_cells": "other control cells",
    }
    said = []
    for name, word in words.items():
        sides = [
            {str(line["provenance"][name]) for line in lines if name in line["provenance"]} for lines in (old, new)
        ]
        if all(sides) and sides[0] != sides[1]:
            said.append(f"judged with {word} than the first")
    return said


def names_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return ledgers' names: of their folders where these tell them apart, else their paths."""
    short = [path.parent.name or path.name for path in (path.resolve() for path in paths)]
    return tuple(short if len(set(short)) == len(short) else map(str, paths))
