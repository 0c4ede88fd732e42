"""Evidence that a probe takes from a model, or the study holds of measurements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jacprobe.errors import EvidenceMissingError
from jacprobe.evidence.base import labelled, resolve
from jacprobe.kept_chunks import cells_of, kept
from jacprobe.requests import (
    Among,
    Delta,
    Expression,
    Features,
    InputJacobian,
    Jacobian,
    Knockout,
    Named,
    Observed,
    OverCells,
    PertEmbedding,
    Request,
    Split,
    Targeted,
    TargetedPair,
)
from jacprobe.roles import parse_control_role
from jacprobe.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    if isinstance(request.kds, Named):
        _require(names, study.identity(request.of.roles[0]).perturbations, "knockdowns", request, study)
    if isinstance(request.of, Delta | Jacobian | InputJacobian | Knockout):
        return kept(request.of, study, only=names)
    if isinstance(request.of, Features):
        return _feature_means(request.of, study, names)
    if isinstance(request.of, Targeted):
        return _panel(request.of, study, names)
    if isinstance(request.of, TargetedPair):
        return _one_pair(request.of, study, names)
    rows: xr.DataArray = study.resolve(request.of)
    return rows.sel({rows.dims[0]: names})


@resolve.register(Features)
def _features(request: Features, study: Study) -> xr.DataArray:
    kds = study.knockdowns_of(request.role)
    if not request.centre or parse_control_role(request.role) is not None:
        return _feature_means(request, study, kds)
    # Both kinds are asked for, and the control's own features are one pass more.
    raw = replace(request, centre=False)
    control = _feature_means(raw, study, [study.identity(request.role).control])
    centred: xr.DataArray = study.resolve(raw) - control.values
    return centred.assign_attrs({**control.attrs, "direction": f"perturbed - {control.attrs['control']}"})


def _feature_means(request: Features, study: Study, kds: list[str]) -> xr.DataArray:
    from jacprobe.probes.features import features

    layer, sae = study.feature_space(request.role, request.space)
    return features(
        study.model(request.role),
        cells_of(request, study),
        kds,
        layer,
        sae,
        centre=request.centre,
        batch=study.batch,
    )


@resolve.register(Targeted)
def _targeted(request: Targeted, study: Study) -> xr.DataArray:
    return _panel(request, study, study.knockdowns_of(request.role))


@resolve.register(TargetedPair)
def _targeted_pair(request: TargetedPair, study: Study) -> xr.DataArray:
    return _one_pair(request, study, study.knockdowns_of(request.role))


@resolve.register(Expression)
def _expression(request: Expression, study: Study) -> xr.DataArray:
    cells = cells_of(request, study)
    return labelled(cells.values.mean(axis=0), {"gene": cells["gene"].values}, "log1p-normalised expression")


@resolve.register(Observed)
def _observed(request: Observed, study: Study) -> xr.DataArray:
    return study.observed(request.line)


@resolve.register(Split)
def _split(request: Split, study: Study) -> dict[str, str]:
    return dict(study.identity(request.role).split)


def _panel(request: Targeted, study: Study, kds: list[str]) -> xr.DataArray:
    panel = study.panel(request.panel)
    own = [*panel["regulators"], *panel["targets"]]
    rest = [gene for gene in study.identity(request.role).genes if gene not in own]
    drawn = stream(study.seed, "further regulators", request.panel).permutation(rest)[: request.others]
    return _gradients(request, study, [*panel["regulators"], *map(str, drawn)], panel["targets"], kds)


def _one_pair(request: TargetedPair, study: Study, kds: list[str]) -> xr.DataArray:
    pair = _gradients(request, study, [request.regulator], [request.target], kds)
    return pair.isel(regulator=0, target=0, drop=True)


def _gradients(
    request: Targeted | TargetedPair, study: Study, regulators: list[str], targets: list[str], kds: list[str]
) -> xr.DataArray:
    from jacprobe.probes.targeted import targeted_jacobian

    model = study.model(request.role)
    _require([*regulators, *targets], model.genes, "genes", request, study)
    return targeted_jacobian(
        model, cells_of(request, study), regulators, targets, kds, cells=request.cells, batch=study.batch
    )


def _require(names: list[str], known: Sequence[str], what: str, request: Request, study: Study) -> None:
    missing = [name for name in names if name not in known]
    if missing:
        raise EvidenceMissingError(
            f"{', '.join(missing)} not among the {what} of {request.roles[0]}",
            "every one that the claim names",
            where=study.name,
        )
