"""Estimates that are kept: what the same code measured on the same evidence is not measured again.

A family is judged whole in every process that judges one of its claims. Kept estimates let processes share the work of
measuring it, and let a run after the first one go straight to its verdicts.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.estimate import Estimate, Null
from jacprobe.store.upkeep import ESTIMATES
from jacprobe.verdicts.ledger import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jacprobe.store.store import Store
    from jacprobe.studies import Study
    from jacprobe.verdicts.claim import Claim

_OF_RUNS = ("genes", "perturbations", "control", "batches", "cell_set_len", "split", "provenance")
_PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "statsmodels", "xarray")


def obtain(claim: Claim, study: Study, code: str, measure: Callable[[], Estimate], *, wait: bool = True) -> Estimate:
    """Return the estimate of a claim on a study: the kept one, or a measured one that is then kept.

    One process measures; others wait for it.

    Parameters
    ----------
    claim, study
        What is estimated, and on what.
    code
        Digest of the code that measures, as of `code_digest`; where it is empty nothing is kept.
    measure
        Measures the estimate.
    wait
        Whether to wait for another process that measures the same.

    Raises
    ------
    BusyError
        Where another process is measuring it and there was to be no waiting.
    """
    if not code or study.store is None or study.stored is not None or study.reverse or not _known(claim):
        return measure()
    name = _key(claim, study, code)
    for layer in study.store.layers:
        found = read(layer / ESTIMATES / code / f"{name}.npz")
        if found is not None:
            return found
    path = study.store.root / ESTIMATES / code / f"{name}.npz"
    with _alone(study.store, name, wait=wait):
        found = read(path)
        if found is None:
            found = measure()
            if isinstance(found, Estimate):
                write(path, found)
        return found


class BusyError(Exception):
    """Another process is measuring this estimate."""


@cache
def code_digest(*folders: Path) -> str:
    """Return the digest of jacprobe's own code and of claim modules in `folders`."""
    digest = hashlib.sha256()
    for folder in (_PACKAGE, *folders):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


_PACKAGE = Path(__file__).resolve().parent


def write(path: Path, estimate: Estimate) -> None:
    """Keep an estimate, whole or not at all; a store that cannot be written keeps none, and loses none."""
    import numpy as np

    samples: list[Any] = []
    text = json.dumps(_plain(estimate, samples), allow_nan=False)
    beside = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    arrays = {"estimate": np.frombuffer(text.encode(), dtype=np.uint8)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            np.savez(file, **arrays, **{f"samples_{i}": array for i, array in enumerate(samples)})
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def read(path: Path) -> Estimate | None:
    """Return a kept estimate, or None where there is none or it is damaged: it is then measured again."""
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return _estimate(json.loads(kept["estimate"].tobytes()), kept)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _plain(estimate: Estimate, samples: list[Any]) -> dict[str, Any]:
    """Return an estimate as JSON can hold it; the draws of its nulls go to `samples`, which the nulls count."""
    shown = {item.name: getattr(estimate, item.name) for item in fields(Estimate)}
    shown["nulls"] = [_plain_null(null, samples) for null in estimate.nulls]
    shown["parts"] = {name: _plain(part, samples) for name, part in estimate.parts.items()}
    plain: dict[str, Any] = strict(shown)
    return plain


def _plain_null(null: Null, samples: list[Any]) -> dict[str, Any]:
    shown = {item.name: getattr(null, item.name) for item in fields(Null)}
    if null.samples is not None:
        shown["samples"] = len(samples)
        samples.append(null.samples)
    return shown


def _estimate(plain: Mapping[str, Any], kept: Mapping[str, Any]) -> Estimate:
    given = dict(plain)
    for name in ("ci", "ci90"):
        given[name] = None if given[name] is None else tuple(given[name])
    for name in ("dropped", "flags"):
        given[name] = tuple(given[name])
    nulls = [Null(**null) for null in given["nulls"]]
    given["nulls"] = tuple(
        null if null.samples is None else replace(null, samples=kept[f"samples_{null.samples}"]) for null in nulls
    )
    given["parts"] = {name: _estimate(part, kept) for name, part in given["parts"].items()}
    return Estimate(**given)


def _known(claim: Claim) -> bool:
    """Whether the digest of the code covers the measure: one of jacprobe's, or of the claim modules."""
    module = claim.measure_name.partition(".")[0]
    return module == "jacprobe" or claim.measure_name.startswith("claims.")


def _key(claim: Claim, study: Study, code: str) -> str:
    """Return the hash over all that determines an estimate: the row, the code, the study, its models and versions."""
    said = [claim.id, claim.criterion_hash, code, _of_study(study)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _of_study(study: Study) -> str:
    key = ("fingerprint",)
    if key not in study._cache:
        from jacprobe.kept import gemm

        models = {}
        for role, entry in study.models.items():
            identity = study.identity(role)
            names = [strict(getattr(identity, name)) for name in _OF_RUNS]
            models[role] = [identity.weights_sha256, entry.cell_line, _files(entry.sae), names]
        said = [
            *(study.sha256, study.seed, study.n_cells, study.batch, study.quick, study.layer, gemm(study)),
            *(models, strict(study.gene_sets), sys.version, {name: version(name) for name in _PACKAGES}),
        ]
        study._cache[key] = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    found: str = study._cache[key]
    return found


def _files(folder: Path | None) -> Sequence[str]:
    if folder is None:
        return ()
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()]


@contextmanager
def _alone(store: Store, name: str, *, wait: bool) -> Iterator[None]:
    """Hold an estimate against other processes."""
    from filelock import FileLock, Timeout

    try:
        (store.root / "locks").mkdir(parents=True, exist_ok=True)
        lock = FileLock(store.root / "locks" / name, timeout=-1 if wait else 0)
        lock.acquire()
    except Timeout as error:
        raise BusyError from error
    except OSError:
        yield  # a store that is only read has no locks, and nothing of ours to be shared
        return
    try:
        yield
    finally:
        lock.release()
