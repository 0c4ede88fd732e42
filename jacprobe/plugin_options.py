"""What the command line of pytest asks for: the options of a verification, and the judging that they amount to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import InputError, unknown_names
from jacprobe.hub import is_reference
from jacprobe.judging import Judging
from jacprobe.kept_estimates import code_digest
from jacprobe.suite import load_rows
from jacprobe.verdicts.baselines import BASELINE, require_baseline
from jacprobe.verdicts.expectations import expectations_from_ledger, study_expectations
from jacprobe.verdicts.ledger import read_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from jacprobe.verdicts.claim import Claim

QUICK = 40


def add_options(group: pytest.OptionGroup) -> None:
    """Add the options of a verification to a group of pytest's."""
    group.addoption("--study", default="demo", help="study to judge: a name or the path of its folder (demo)")
    group.addoption("--models", metavar="DIR", help="folder of the study's run folders, or hf://OWNER/NAME@COMMIT")
    group.addoption(
        "--model", action="append", default=[], metavar="ROLE=PATH", help="run folder of one model (may be repeated)"
    )
    group.addoption("--data", metavar="FILE", help="h5ad file of control cells, or hf://datasets/...@COMMIT")
    group.addoption("--evidence", metavar="DIR", help="folder of the original's arrays and tables")
    group.addoption("--results", default="results", help="folder of ledger and report data (results)")
    group.addoption("--expect", metavar="LEDGER", help="expect no flip from this earlier ledger, or `baseline`")
    group.addoption(
        "--claim", action="append", default=[], metavar="ID", help="judge this claim only (may be repeated)"
    )
    group.addoption("--seed", type=_natural, default=0, metavar="N", help="root of every random stream (0)")
    group.addoption("--device", default="auto", help="where models run: auto, cpu, cuda, mps (auto)")
    group.addoption("--batch", default="first", choices=("first", "own"), help="batch given to control cells (first)")
    group.addoption("--store", metavar="DIR", help="folder of the evidence store (the user's cache)")
    group.addoption("--shared-store", action="append", default=[], metavar="DIR", help="store to read from only")
    group.addoption(
        "--quick", action="store_true", help=f"a first look: at most {QUICK} knockdowns a probe, nothing expected"
    )
    group.addoption("--require-evaluated", action="store_true", help="fail claims that are NOT EVALUATED")


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}; wanted a whole number, 0 or more")
    return int(text)


def claim_folders(arguments: Sequence[str], here: Path) -> list[Path]:
    """Return the folders named `claims` that the command line points at, into or around."""
    found: dict[Path, None] = {}
    for argument in arguments:
        path = (here / argument.split("::")[0]).resolve()
        for folder in (path, *path.parents, path / "claims"):
            if folder.name == "claims" and folder.is_dir() and not (folder / "__init__.py").exists():
                found[folder] = None
    return list(found)


def asked_judging(option: argparse.Namespace, here: Path, folders: Sequence[Path]) -> Judging:
    """Return the judging that the options ask for.

    Parameters
    ----------
    option
        The options as given.
    here
        The folder that their paths are from.
    folders
        The folders of claim modules.

    Raises
    ------
    JacprobeError
        Where an option names what is not there.
    """
    from jacprobe.opening import open_study

    rows: dict[str, Claim] = {}
    for folder in folders:
        rows |= load_rows(folder)
    unknown = [claim_id for claim_id in option.claim if claim_id not in rows]
    if unknown:
        raise unknown_names("claim id", unknown, list(rows), where="--claim")
    study = open_study(
        option.study,
        seed=option.seed,
        device=option.device,
        batch=option.batch,
        store=option.store,
        shared=option.shared_store,
        quick=QUICK if option.quick else None,
        **_given(option, here),
    )
    code = code_digest(*folders)
    if not option.expect:
        return Judging(study, rows, study_expectations(study.folder, rows), code)
    from jacprobe.retraining import Earlier

    path = here / option.expect
    if option.expect == BASELINE:
        path = require_baseline(study.folder, study.name)
    lines = read_ledger(path)
    expectations = expectations_from_ledger(path, rows, study.name, lines)
    return Judging(study, rows, expectations, code, Earlier(lines, rows, option.store, option.shared_store, code))


def _given(option: argparse.Namespace, here: Path) -> dict[str, Any]:
    """Return models, data and evidence as given on the command line, paths from where it was typed."""

    def path(text: str | None) -> str | Path | None:
        return text if text is None or is_reference(text) else here / text

    given = [text.partition("=") for text in option.model]
    if odd := [role for role, equals, place in given if not (equals and place)]:
        raise InputError(f"--model {', '.join(odd)}", "ROLE=PATH, such as fewshot/hepg2=runs/hepg2")
    return {
        "models": path(option.models),
        "model": {role: path(place) for role, _, place in given},
        "data": path(option.data),
        "evidence": path(option.evidence),
    }
