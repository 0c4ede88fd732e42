"""Evidence that is kept whole: small results of models, of many Jacobians or of control copies, one file each.

What is large and grows knockdown by knockdown is in `jacprobe.kept_chunks`. What is made of it by arithmetic in no time
is not kept at all. Between them stands what would need a model, a pass over all Jacobians or twenty copies again.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from jacprobe.requests import (
    Among,
    ClusterMeans,
    Clusters,
    Correlation,
    Cosine,
    Delta,
    EncoderLookup,
    Features,
    ForwardParity,
    FromSets,
    InputAgreement,
    InputCosine,
    InputJacobian,
    Jacobian,
    LargestSlope,
    Listed,
    Named,
    NameMismatches,
    Norm,
    OnehotCosine,
    OnehotNorm,
    OverCells,
    PermutationError,
    PertEmbedding,
    Replay,
    Request,
    Silenced,
    SlopeError,
    Targeted,
    TargetedPair,
    TargetedSlopeError,
)
from jacprobe.roles import base_role, parse_control_role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr

    from jacprobe.store.entry import Entry
    from jacprobe.store.store import Store
    from jacprobe.studies import Study

VERSION = 1
# What instrument probes draw and check depends on the study's seed, data and stated shapes.
_OF_STUDY = (ForwardParity, PermutationError, SlopeError, TargetedSlopeError, NameMismatches)
_OF_MODELS = (
    PertEmbedding,
    EncoderLookup,
    Features,
    Targeted,
    TargetedPair,
    InputAgreement,
    InputCosine,
    OnehotCosine,
    OnehotNorm,
    LargestSlope,
    Replay,
    *_OF_STUDY,
)


def is_whole(request: Request) -> bool:
    """Tell whether a request's evidence is kept whole."""
    if isinstance(request, Cosine | Norm):
        inner = request.of.of if isinstance(request.of, Among) else request.of
        return isinstance(inner, Jacobian | InputJacobian) or _of_copy(request)
    if isinstance(request, Clusters | ClusterMeans):
        # Reading the responses, a file for each knockdown, takes as long as making them.
        return isinstance(request.of, Delta) or _of_copy(request)
    if isinstance(request, Among):
        return isinstance(request.of, Features | Targeted | TargetedPair) or (
            isinstance(request.of, Delta) and _of_copy(request)
        )
    if isinstance(request, Correlation):
        return True  # one line is left of two arrays whose chunks take half a second to read
    return isinstance(request, _OF_MODELS)


def whole(request: Request, study: Study, store: Store) -> xr.DataArray:
    """Return evidence from the store, computed and kept if it is not there; one process computes, others wait."""
    key = whole_key(request, study)
    entry = _kept(store, key)
    if entry is None:
        with _locked(store, key, blocking=True):
            entry = _kept(store, key) or _computed(request, study, store, key)
    study.sources.note(entry, [0])
    return entry.open().isel(whole=0, drop=True).load()


def whole_together(requests: Sequence[Request], study: Study, store: Store) -> list[xr.DataArray]:
    """Return several pieces of evidence, passing over those that another process computes at the moment."""
    for request in requests:
        key = whole_key(request, study)
        if _kept(store, key) is None:
            with _locked(store, key, blocking=False) as mine:
                if mine and _kept(store, key) is None:
                    _computed(request, study, store, key)
    return [whole(request, study, store) for request in requests]


def whole_key(request: Request, study: Study) -> dict[str, str | int | float | bool]:
    """Return what determines the values: the request with weights for roles, cells for draws, names for lists."""
    from jacprobe.kept_chunks import gemm, versions

    base = [base_role(role) for role in request.roles]
    return {
        "probe": f"{type(request).__name__}, whole",
        "version": VERSION,
        "request": json.dumps(_spelled(request, study), sort_keys=True),
        "batch": study.batch,
        "gemm": gemm(study),
        "dtype": "float32",
        **versions(study.identity(base[0])),
    }


def _spelled(request: Request, study: Study) -> Any:
    """Return the request as nested lists in which nothing depends on names of roles or on where files are."""
    from jacprobe.kept_chunks import adapter_code, cells_sha256

    if isinstance(request, Listed | Silenced | Named | FromSets):
        return ["listed", _sha256(list(study.resolve(request)))]
    spelled: list[Any] = [type(request).__name__]
    for item in fields(request):
        value = getattr(request, item.name)
        if item.name == "role":
            identity, copy = study.identity(base_role(value)), value.partition("#")[2]
            # A surrogate is fitted on the first draw, whatever cells it is then given.
            fitted = cells_sha256(OverCells(base_role(value)), study) if "surrogate" in copy or "shift" in copy else ""
            code = adapter_code(study, value).values()
            spelled.append([identity.weights_sha256, identity.provenance["mask"], copy, fitted, *code])
        elif item.name not in ("draw", "line", "times"):
            spelled.append(_spelled(value, study) if isinstance(value, Request) else value)
    if isinstance(request, OverCells):
        spelled.append(cells_sha256(request, study))
    elif isinstance(request, _OF_STUDY):
        spelled.append([study.sha256, study.seed])
    if isinstance(request, Features):
        layer, sae = study.feature_space(request.role, request.space)
        spelled.append([layer, sae.sha256 if sae is not None else ""])
    if isinstance(request, Targeted):
        spelled.append([study.panel(request.panel), study.seed if request.others else None])
    if study.quick:
        spelled.append("quick")
    return spelled


def _of_copy(request: Request) -> bool:
    return any(parse_control_role(role) is not None for role in request.roles)


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _kept(store: Store, key: dict[str, Any]) -> Entry | None:
    return next((entry for entry in store.find(key) if entry.has(0)), None)


def _computed(request: Request, study: Study, store: Store, key: dict[str, Any]) -> Entry:
    """Compute evidence and keep it as an entry of a single chunk."""
    from jacprobe.evidence import resolve
    from jacprobe.store.fill import fill

    with study.sources.apart():
        found: xr.DataArray = resolve(request, study)
    labels = {"whole": [0]} | {str(axis): _names(found, str(axis)) for axis in found.dims}
    attrs = {name: str(value) for name, value in found.attrs.items()}
    entry = store.entry(key, labels, str(found.dtype), attrs)
    fill(entry, lambda _: found.values)
    return entry


def _names(array: xr.DataArray, axis: str) -> list[Any]:
    return array[axis].to_numpy().tolist() if axis in array.coords else list(range(array.sizes[axis]))


@contextmanager
def _locked(store: Store, key: dict[str, Any], *, blocking: bool) -> Iterator[bool]:
    """Hold a key against other processes; where not `blocking`, yields False if another one holds it."""
    from filelock import FileLock, Timeout

    from jacprobe.store.store import key_hash

    folder = store.root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / key_hash(key), timeout=-1 if blocking else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
