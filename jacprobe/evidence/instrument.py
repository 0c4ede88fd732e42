"""Evidence about the instrument itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from jacprobe.errors import EvidenceMissingError
from jacprobe.evidence.base import resolve
from jacprobe.requests import (
    EncoderLookup,
    ForwardParity,
    LargestSlope,
    NameMismatches,
    PermutationError,
    SlopeError,
    TargetedSlopeError,
)
from jacprobe.streams import stream

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.studies import Study


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
    from jacprobe.probes.slopes import jacobian_slope_error

    rng = stream(study.seed, "slope-error", request.role)
    return jacobian_slope_error(*_subject(request.role, request.kds, study), rng, directions=request.directions)


@resolve.register(TargetedSlopeError)
def _targeted_slopes(request: TargetedSlopeError, study: Study) -> xr.DataArray:
    from jacprobe.probes.slopes import targeted_slope_error

    panel = study.panel(request.panel)
    model, cells, kds = _subject(request.role, request.kds, study)
    missing = [name for name in (*panel["regulators"], *panel["targets"]) if name not in model.genes]
    if missing:
        raise EvidenceMissingError(
            f"{', '.join(missing)} not among the genes of {request.role}", "the genes of the panel", where=study.name
        )
    return targeted_slope_error(model, cells, kds, panel["regulators"], panel["targets"])


@resolve.register(LargestSlope)
def _largest_slope(request: LargestSlope, study: Study) -> xr.DataArray:
    from jacprobe.probes.slopes import largest_slope

    return largest_slope(study.resolve(request.of))


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
