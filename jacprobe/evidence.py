"""From evidence requests to labelled arrays: which probe serves which request.

The only place where requests meet models. Heavy libraries are imported when a request is resolved, not before.
"""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Any, Literal

from jacprobe.errors import EvidenceMissingError
from jacprobe.kept import kept
from jacprobe.requests import (
    Copies,
    Cosine,
    Delta,
    EncoderLookup,
    EveryRole,
    ForwardParity,
    GeneSet,
    GeneSets,
    Jacobian,
    Knockout,
    NameMismatches,
    Norm,
    Pair,
    PermutationError,
    PertEmbedding,
    Replay,
    Request,
    SlopeError,
    control_role,
)
from jacprobe.streams import stream

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.studies import Study


@singledispatch
def resolve(request: Request, study: Study) -> Any:
    """Return the evidence that `request` describes, computed from the models of `study`.

    Raises
    ------
    EvidenceMissingError
        Where the study lacks a model, gene or set, or no probe serves the request.
    """
    raise EvidenceMissingError(f"no probe serves {request}", f"a request that jacprobe knows, in {study.name}")


@resolve.register(PertEmbedding)
def _embedding(request: PertEmbedding, study: Study) -> xr.DataArray:
    model = study.model(request.role)
    from jacprobe.probes.embedding import pert_embedding

    vectors = pert_embedding(model)
    return vectors.sel(kd=vectors["kd"] != model.control)


@resolve.register(Delta)
@resolve.register(Knockout)
def _small(request: Request, study: Study) -> xr.DataArray:
    return kept(request, study).load()


@resolve.register(Jacobian)
def _large(request: Request, study: Study) -> xr.DataArray:
    return kept(request, study)


@resolve.register(Cosine)
def _cosine(request: Cosine, study: Study) -> xr.DataArray:
    rows = study.resolve(request.of)
    # In float64, so that the order of BLAS's sums (its number of threads) is lost in rounding.
    values = rows.values.astype("float64") / _row_norms(rows, request)[:, None]
    similarity = values @ values.T
    kd = rows["kd"].values
    return _labelled(similarity, {"kd": kd, "kd_other": kd}, "cosine")


@resolve.register(Norm)
def _norm(request: Norm, study: Study) -> xr.DataArray:
    rows = study.resolve(request.of)
    return _labelled(_row_norms(rows, request), {"kd": rows["kd"].values}, str(rows.attrs.get("units", "")))


@resolve.register(Pair)
def _pair(request: Pair, study: Study) -> tuple[Any, Any]:
    return study.resolve(request.first), study.resolve(request.second)


@resolve.register(GeneSet)
def _gene_set(request: GeneSet, study: Study) -> tuple[str, ...]:
    members = study.gene_set(request.name, request.variant)
    if not members:
        raise EvidenceMissingError(
            f"gene set {request.name} ({request.variant}) matches none of the study's knockdowns",
            "at least one member",
            where=study.name,
        )
    return members


@resolve.register(GeneSets)
def _gene_sets(request: GeneSets, study: Study) -> dict[str, tuple[str, ...]]:
    return {name: study.resolve(GeneSet(name, request.variant)) for name in request.names}


@resolve.register(Copies)
def _copies(request: Copies, study: Study) -> tuple[Any, ...]:
    (role,) = request.of.roles
    return tuple(resolve(request.of.at(control_role(role, request.control, i)), study) for i in range(request.n))


@resolve.register(EveryRole)
def _every_role(request: EveryRole, study: Study) -> dict[str, Any]:
    present = [role for role in request.family if role in study.models]
    missing = [role for role in request.family if role not in study.models]
    if not present or (missing and request.needed == "all"):
        wanted = "all of them" if request.needed == "all" else "at least one of them"
        raise EvidenceMissingError(f"the study lacks the models {', '.join(missing)}", wanted, where=study.name)
    return {role: study.resolve(request.of.at(role)) for role in present}


@resolve.register(Replay)
def _replay(request: Replay, study: Study) -> Any:
    return study.reopened(reverse=True, store=None).resolve(request.of)


@resolve.register(ForwardParity)
def _parity(request: ForwardParity, study: Study) -> xr.DataArray:
    from jacprobe.probes.instrument import forward_parity

    return forward_parity(*_subject(request.role, request.kds, study))


@resolve.register(PermutationError)
def _permutation(request: PermutationError, study: Study) -> xr.DataArray:
    from jacprobe.probes.instrument import permutation_error

    model, cells, kds = _subject(request.role, request.kds, study, mask=request.mask)
    rng = stream(study.seed, "permutation-error", request.role)
    return permutation_error(model, cells, kds, rng, permutations=request.permutations)


@resolve.register(SlopeError)
def _slopes(request: SlopeError, study: Study) -> xr.DataArray:
    from jacprobe.probes.instrument import jacobian_slope_error

    rng = stream(study.seed, "slope-error", request.role)
    return jacobian_slope_error(*_subject(request.role, request.kds, study), rng, directions=request.directions)


@resolve.register(NameMismatches)
def _names(request: NameMismatches, study: Study) -> xr.DataArray:
    from jacprobe.probes.instrument import name_mismatches

    return name_mismatches(study.model(request.role), study.control_cells(request.role), study.shapes)


@resolve.register(EncoderLookup)
def _lookup(request: EncoderLookup, study: Study) -> xr.DataArray:
    from jacprobe.probes.instrument import encoder_lookup_error

    return encoder_lookup_error(study.model(request.role))


def _subject(
    role: str, kds: int, study: Study, mask: Literal["model", "causal"] = "model"
) -> tuple[Any, xr.DataArray, list[str]]:
    """Return model, control cells and `kds` knockdowns spread evenly over the model's list."""
    model = study.model(role, mask=mask)
    knockdowns = [name for name in model.perturbations if name != model.control]
    step = max(1, len(knockdowns) // kds)
    return model, study.control_cells(role), knockdowns[::step][:kds]


def _row_norms(rows: xr.DataArray, request: Request) -> Any:
    import numpy as np

    norms = np.linalg.norm(rows.values.astype(np.float64), axis=1)
    if not (norms > 0).all():
        zero = [str(kd) for kd in rows["kd"].values[norms == 0]]
        raise EvidenceMissingError(
            f"rows of zero or undefined norm: {', '.join(zero)}", "rows with a direction", where=request
        )
    return norms


def _labelled(values: Any, coords: dict[str, Any], units: str) -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(values, dims=list(coords), coords=coords, attrs={"units": units})
