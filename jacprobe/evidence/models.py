"""Evidence that a probe takes from a model, or the study holds of measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError
from jacprobe.evidence.base import resolve
from jacprobe.kept import cells_of, kept
from jacprobe.requests import (
    Among,
    Delta,
    Features,
    InputJacobian,
    Jacobian,
    Knockout,
    Observed,
    OverCells,
    PertEmbedding,
    Split,
    Targeted,
    TargetedPair,
)

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.studies import Study


@resolve.register(PertEmbedding)
def _embedding(request: PertEmbedding, study: Study) -> xr.DataArray:
    from jacprobe.probes.embedding import pert_embedding

    model = study.model(request.role)
    vectors = pert_embedding(model)
    return vectors.sel(kd=study.sampled([name for name in model.perturbations if name != model.control]))


@resolve.register(Delta)
@resolve.register(Knockout)
def _small(request: OverCells, study: Study) -> xr.DataArray:
    return kept(request, study).load()


@resolve.register(Jacobian)
@resolve.register(InputJacobian)
def _large(request: OverCells, study: Study) -> xr.DataArray:
    return kept(request, study)


@resolve.register(Among)
def _among(request: Among, study: Study) -> xr.DataArray:
    names = list(study.resolve(request.kds))
    if isinstance(request.of, Delta | Jacobian | InputJacobian | Knockout):
        return kept(request.of, study, only=names)
    rows: xr.DataArray = study.resolve(request.of)
    return rows.sel({rows.dims[0]: names})


@resolve.register(Features)
def _features(request: Features, study: Study) -> xr.DataArray:
    from jacprobe.probes.features import features

    layer, sae = study.feature_space(request.role, request.space)
    return features(
        study.model(request.role),
        cells_of(request, study),
        study.knockdowns_of(request.role),
        layer,
        sae,
        centre=request.centre,
        batch=study.batch,
    )


@resolve.register(Targeted)
def _targeted(request: Targeted, study: Study) -> xr.DataArray:
    panel = study.panel(request.panel)
    return _gradients(request, study, panel["regulators"], panel["targets"])


@resolve.register(TargetedPair)
def _targeted_pair(request: TargetedPair, study: Study) -> xr.DataArray:
    pair = _gradients(request, study, [request.regulator], [request.target])
    return pair.isel(regulator=0, target=0, drop=True)


@resolve.register(Observed)
def _observed(request: Observed, study: Study) -> xr.DataArray:
    return study.observed(request.line)


@resolve.register(Split)
def _split(request: Split, study: Study) -> dict[str, str]:
    return dict(study.identity(request.role).split)


def _gradients(request: Any, study: Study, regulators: list[str], targets: list[str]) -> xr.DataArray:
    from jacprobe.probes.targeted import targeted_jacobian

    model = study.model(request.role)
    missing = [name for name in (*regulators, *targets) if name not in model.genes]
    if missing:
        raise EvidenceMissingError(
            f"{', '.join(missing)} not among the genes of {request.role}",
            "every regulator and target of the panel",
            where=study.name,
        )
    return targeted_jacobian(
        model,
        cells_of(request, study),
        regulators,
        targets,
        study.knockdowns_of(request.role),
        cells=request.cells,
        batch=study.batch,
    )
