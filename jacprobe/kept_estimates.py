"""Estimates that are kept: what the same code measured on the same evidence is not measured again.

A family is judged whole in every process that judges one of its claims. Kept estimates let processes share the work of
measuring it, and let a run after the first one go straight to its verdicts.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import sys
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.estimate import Estimate, Null
from jacprobe.local_code import imported_names, installed_versions, local_digest
from jacprobe.store.store import ESTIMATES, require_no_link
from jacprobe.texts import parse_json, require_regular
from jacprobe.verdicts.ledger import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

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
    require_no_link(path.parent)
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
    """Return the digest of jacprobe's own code, of claim modules in `folders`, and of local modules that these import.

    Modules of the folder around, with its conftest.py, and packages that stand in a clone change without a new version;
    of other packages that claims import the versions count.
    """
    digest = hashlib.sha256()
    for folder in (_PACKAGE, *folders):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    for folder in folders:
        names = imported_names(sorted(folder.rglob("*.py"))) - {path.stem for path in folder.glob("*.py")}
        digest.update(local_digest({*names, "conftest"}, beside=folder.resolve().parent).encode())
        digest.update("\n".join(installed_versions(names)).encode())
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
    try:
        require_regular(path)
        with zipfile.ZipFile(path) as archive:
            kept = {name.removesuffix(".npy"): _array(archive, name, path) for name in archive.namelist()}
        return _estimate(parse_json(kept["estimate"].tobytes()), kept)
    except (ArithmeticError, AttributeError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError):
        return None
    except (TypeError, ValueError, SyntaxError, zipfile.BadZipFile, zlib.error):
        return None


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray:
    """Return a member of an archive; a header that declares more or less than is stored behind it allocates nothing."""
    import numpy as np

    if archive.getinfo(name).file_size > path.stat().st_size:
        raise ValueError("more than its archive weighs")
    raw = io.BytesIO(archive.read(name))
    if np.lib.format.read_magic(raw) != (1, 0):
        raise ValueError("another version than is written")
    shape, _, dtype = np.lib.format.read_array_header_1_0(raw)
    if dtype.kind not in "fiu" or math.prod(shape) * dtype.itemsize != len(raw.getbuffer()) - raw.tell():
        raise ValueError("a header that lies")
    return np.frombuffer(raw.getbuffer(), dtype, offset=raw.tell()).reshape(shape)


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
    _require_types(given)
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


def _require_types(given: Mapping[str, Any]) -> None:
    for name in ("effect", "n", "p", "mde"):
        value = given.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise TypeError(name)
    for name, kind in (("dropped", list), ("flags", list), ("nulls", list), ("parts", dict), ("diagnostics", dict)):
        if not isinstance(given[name], kind):
            raise TypeError(name)


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
        from jacprobe.kept_chunks import adapter_code, gemm

        models = {}
        for role, entry in study.models.items():
            identity = study.identity(role)
            names = [strict(getattr(identity, name)) for name in _OF_RUNS]
            code = adapter_code(study, role)
            models[role] = [identity.weights_sha256, entry.cell_line, _files(entry.sae), names, code]
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
