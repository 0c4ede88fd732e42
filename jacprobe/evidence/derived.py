"""Evidence made of other evidence: similarities, norms, clusters, correlations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError
from jacprobe.evidence.base import labelled, resolve
from jacprobe.requests import (
    ClusterMeans,
    Clusters,
    Correlation,
    Cosine,
    InputAgreement,
    InputCosine,
    Norm,
    OnehotCosine,
    OnehotNorm,
    Pair,
    Request,
)

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from jacprobe.studies import Study


@resolve.register(Cosine)
def _cosine(request: Cosine, study: Study) -> xr.DataArray:
    rows: xr.DataArray = study.resolve(request.of)
    if rows.ndim == 3:
        from jacprobe.probes.routing import similarity

        return _directed(similarity(rows), request)
    # In float64, so that the order of BLAS's sums (its number of threads) is lost in rounding.
    values = rows.values.astype("float64") / _row_norms(rows, request)[:, None]
    names = rows[rows.dims[0]].values
    return labelled(values @ values.T, {str(rows.dims[0]): names, f"{rows.dims[0]}_other": names})


@resolve.register(OnehotCosine)
def _onehot_cosine(request: OnehotCosine, study: Study) -> xr.DataArray:
    from jacprobe.probes.routing import onehot_similarity

    return _directed(onehot_similarity(study.resolve(request.of), study.model(request.of.roles[0])), request)


@resolve.register(OnehotNorm)
def _onehot_norm(request: OnehotNorm, study: Study) -> xr.DataArray:
    from jacprobe.probes.routing import onehot_norms

    return onehot_norms(study.resolve(request.of), study.model(request.of.roles[0]))


@resolve.register(InputCosine)
def _input_cosine(request: InputCosine, study: Study) -> xr.DataArray:
    from jacprobe.probes.input_jacobian import input_encoder, input_similarity

    return _directed(
        input_similarity(study.resolve(request.of), input_encoder(study.model(request.of.roles[0]))), request
    )


@resolve.register(InputAgreement)
def _input_agreement(request: InputAgreement, study: Study) -> xr.DataArray:
    from jacprobe.probes.input_jacobian import input_agreement, input_encoder

    first, second = (
        (study.resolve(part), input_encoder(study.model(part.roles[0]))) for part in (request.first, request.second)
    )
    return input_agreement(*first, *second)


@resolve.register(Norm)
def _norm(request: Norm, study: Study) -> xr.DataArray:
    rows: xr.DataArray = study.resolve(request.of)
    units = str(rows.attrs.get("units", ""))
    return labelled(_row_norms(rows, request), {str(rows.dims[0]): rows[rows.dims[0]].values}, units)


@resolve.register(Pair)
def _pair(request: Pair, study: Study) -> tuple[Any, Any]:
    return study.resolve(request.first), study.resolve(request.second)


@resolve.register(Clusters)
def _clusters(request: Clusters, study: Study) -> xr.DataArray:
    from jacprobe.stats import ward_labels

    rows: xr.DataArray = study.resolve(request.of)
    found = ward_labels(rows.values.astype("float64"), request.k, method=request.linkage)
    return labelled(found, {str(rows.dims[0]): rows[rows.dims[0]].values}, "cluster")


@resolve.register(ClusterMeans)
def _cluster_means(request: ClusterMeans, study: Study) -> xr.DataArray:
    import numpy as np

    rows: xr.DataArray = study.resolve(request.of)
    labels: xr.DataArray = study.resolve(request.clusters)
    axis, along = map(str, rows.dims)
    values = rows.sel({axis: labels[labels.dims[0]].values}).values.astype("float64")
    clusters = np.unique(labels.values)
    means = np.stack([values[labels.values == cluster].mean(axis=0) for cluster in clusters])
    return labelled(means, {"cluster": clusters, along: rows[along].values}, str(rows.attrs.get("units", "1")))


@resolve.register(Correlation)
def _correlation(request: Correlation, study: Study) -> xr.DataArray:
    from jacprobe.stats.profiles import matched_correlations

    first, second = study.resolve(request.first), study.resolve(request.second)
    names, values = matched_correlations(first, second, request.method)
    return labelled(values, {str(first.dims[0]): list(names)})


def _row_norms(rows: xr.DataArray, request: Request) -> np.ndarray:
    import numpy as np

    # One row at a time: Jacobians of all knockdowns are gigabytes on disk.
    norms = np.array([np.linalg.norm(rows[i].values.astype(np.float64)) for i in range(len(rows))])
    if not (norms > 0).all():
        zero = [str(name) for name in rows[rows.dims[0]].values[~(norms > 0)]]
        raise EvidenceMissingError(
            f"rows of zero or undefined norm: {', '.join(zero)}", "rows with a direction", where=request
        )
    return norms


def _directed(similarity: xr.DataArray, request: Request) -> xr.DataArray:
    import numpy as np

    undefined = ~np.isfinite(np.diag(similarity.values))
    if undefined.any():
        zero = [str(name) for name in similarity["kd"].values[undefined]]
        raise EvidenceMissingError(f"Jacobians that are 0: {', '.join(zero)}", "rows with a direction", where=request)
    return similarity
