"""Which file of the original analysis answers which request, and what has to be said of a verdict that uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.requests import (
    Among,
    Clusters,
    Correlation,
    Delta,
    Features,
    Jacobian,
    Knockout,
    Listed,
    Named,
    OnehotCosine,
    OnehotNorm,
    OverCells,
    Request,
    Silenced,
    Targeted,
    TargetedPair,
)
from jacprobe.stored.tables import CONTROL, SILENCED

if TYPE_CHECKING:
    import xarray as xr

    from jacprobe.stored.tables import Tables

FEWSHOT, JURKAT, ZEROSHOT = "fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2"
NOTEBOOK = {FEWSHOT: "nb05", ZEROSHOT: "nb06"}
LINE = {FEWSHOT: "hepg2", JURKAT: "jurkat"}
PERTURBATIONS = 2024
MORE_CELLS = 4  # 256 cells for 64 (NB10)
RANDOM = "nb09"  # its list of random knockdowns is NB10's too
# NB08 multiplied NB05's Jacobians by the encoder's weights: the list is NB05's.
ONEHOT = ("nb08_jacobians_onehot.npy", "nb05_jacobian_kd_names.pkl")
ONEHOT_AT_ONCE = 2**28  # bytes of 3.6 GB

PUBLISHED_FORWARD = "stored Jacobians are of the published forward, which left out the residual before the output layer"
OWN_LISTS = "stored Jacobians are of each model's own published list of knockdowns"
ON_COSINE = "stored clusters were cut by Ward's update on cosine distances"
SAME_CELLS = "stored clusters are of the same control cells as the Jacobians: not of another draw"
MEAN_CELL = "stored input Jacobians are of the mean control cell, repeated"
CENTRED = "stored features have no control row: centred on the mean of all knockdowns"
ONE_LIST = "stored: one random list (NB09)"
FEWER_CELLS = "stored responses are of 64 cells: NB10 compared Jacobians over 256 cells with them"


@dataclass(frozen=True)
class Source:
    """Files, how their content is had from the tables, and what the reader of a verdict must know of them."""

    files: tuple[str, ...]
    read: Callable[[Tables], Any]
    remarks: tuple[str, ...] = ()


def source(request: Request) -> Source | None:
    """Return the source that answers a request, whether or not its files are there; None where no file does."""
    match request:
        case Delta(role=role) if role in NOTEBOOK and plain(request):
            return _frame(f"{NOTEBOOK[role]}_delta_y.parquet")
        case Delta(role=role, draw=0, line=None, times=times) if role == FEWSHOT and times == MORE_CELLS:
            return _frame(f"{NOTEBOOK[FEWSHOT]}_delta_y.parquet", FEWER_CELLS)
        case Clusters(of=Delta(role=role) as of, k=15) if role in NOTEBOOK and request.linkage != "average":
            return _clusters(request, of)
        case Correlation(first=Delta(role=one) as first, second=Delta(role=other) as second, method="pearson"):
            if {one, other} == set(NOTEBOOK) and plain(first) and plain(second):
                name = "nb06_kd_fewshot_zeroshot_corr.csv"
                return Source((name,), lambda tables: tables.correlations(name))
        case Jacobian(role=role) if role in NOTEBOOK and plain(request):
            return _jacobians(NOTEBOOK[role], NOTEBOOK[role], request)
        case Jacobian(role=role, draw=0, line=None, times=times) if role == FEWSHOT and times == MORE_CELLS:
            return _jacobians("nb10", RANDOM, request)
        case Among(of=Jacobian(role=role) as of, kds=Listed(rule="all")) if role == FEWSHOT and plain(of):
            return _jacobians(RANDOM, RANDOM, of)
        case OnehotCosine(of=Among(of=Jacobian(role=role) as of)) if role == FEWSHOT and plain(of):
            return _onehot(_onehot_cosines)
        case OnehotNorm(of=Among(of=Jacobian(role=role) as of)) if role == FEWSHOT and plain(of):
            return _onehot(_onehot_norms)
        case Listed(by=role, rule=rule) if role in NOTEBOOK and rule in ("routing", "strongest"):
            return _list(f"{NOTEBOOK[role]}_jacobian_kd_names.pkl")
        case Listed(by=role, rule="stratified", number=0) if role == FEWSHOT:
            return _list(f"{RANDOM}_jacobian_kd_names.pkl", ONE_LIST)
        case _:
            return _of_inputs(request)
    return None


def _of_inputs(request: Request) -> Source | None:
    """Return the source of what was computed from inputs or layers: NB03, NB04, NB01."""
    match request:
        case TargetedPair(regulator="HSPA5", target="ARFGEF2", role=role) if role == FEWSHOT and plain(request):
            return _distribution(control=False)
        case Among(of=TargetedPair() as of, kds=Named(names=names)) if CONTROL in names and source(of) is not None:
            return _distribution(control=True)
        # Of the mean cell, it stands in for true cells; beside them there would be nothing to compare it with.
        case Targeted(role=role, panel=panel, cells="each") if role == FEWSHOT and plain(request):
            name = "nb03_jacobian_results.csv"
            return Source((name,), lambda tables: tables.panel(name, panel), (MEAN_CELL,))
        case Knockout(role=role) if role in LINE and plain(request):
            values = f"insilico_ko_{LINE[role]}.npy"
            return Source((values, SILENCED), lambda tables: tables.knockouts(values))
        case Silenced(by=role) if role in LINE:
            return Source((SILENCED,), lambda tables: tables.silenced())
        case Features(role=role, centre=centre) if role in LINE and request.space != "layer" and plain(request):
            remarks = (CENTRED,) if centre else ()
            name = f"pert_mean_features_{LINE[role]}.parquet"
            return Source((name,), lambda tables: tables.features(LINE[role], centre=centre), remarks)
    return None


# By role the requests whose tables name knockdowns, the fullest first.
NAMING: dict[str, tuple[Request, ...]] = {
    FEWSHOT: (
        Delta(FEWSHOT),
        Clusters(Delta(FEWSHOT)),
        TargetedPair(FEWSHOT, regulator="HSPA5", target="ARFGEF2"),
        Correlation(Delta(FEWSHOT), Delta(ZEROSHOT)),
        Features(FEWSHOT, centre=False),
    ),
    JURKAT: (Features(JURKAT, centre=False),),
    ZEROSHOT: (Delta(ZEROSHOT), Clusters(Delta(ZEROSHOT)), Correlation(Delta(FEWSHOT), Delta(ZEROSHOT))),
}
# By role the requests whose tables are of it at all.
KNOWN: dict[str, tuple[Request, ...]] = {
    FEWSHOT: (
        *NAMING[FEWSHOT],
        Jacobian(FEWSHOT),
        Among(Jacobian(FEWSHOT), Listed(FEWSHOT, "all")),
        Jacobian(FEWSHOT, times=MORE_CELLS),
        OnehotNorm(Among(Jacobian(FEWSHOT), Listed(FEWSHOT))),
        Knockout(FEWSHOT),
        *(Targeted(FEWSHOT, panel=f"panel_{name}") for name in ("secretory", "ribosome")),
    ),
    JURKAT: (*NAMING[JURKAT], Knockout(JURKAT)),
    ZEROSHOT: (*NAMING[ZEROSHOT], Jacobian(ZEROSHOT)),
}


def plain(request: OverCells) -> bool:
    """Tell whether a request is of the one draw, line and set size that the tables are of."""
    return request.draw == 0 and request.line is None and request.times == 1


def _frame(name: str, *remarks: str) -> Source:
    return Source((name,), lambda tables: tables.frame(name), remarks)


def _list(name: str, *remarks: str) -> Source:
    return Source((name,), lambda tables: tables.names(name), remarks)


def _distribution(*, control: bool) -> Source:
    name = "nb03_distribution_hspa5_arfgef2.csv"
    return Source((name,), lambda tables: tables.distribution(name, control=control), (MEAN_CELL,))


def _clusters(request: Clusters, of: Delta) -> Source | None:
    # Those of another draw stand for themselves where only one was stored: for ceilings no clusters are asked for.
    if of.line is not None or of.times != 1 or of.draw > 1:
        return None
    name = f"{NOTEBOOK[of.role]}_clusters.csv"
    remarks = ((ON_COSINE,) if request.linkage == "ward" else ()) + ((SAME_CELLS,) if of.draw else ())
    return Source((name,), lambda tables: tables.clusters(name), remarks)


def _jacobians(notebook: str, listed: str, request: Jacobian) -> Source:
    values, names = f"{notebook}_jacobians.npy", f"{listed}_jacobian_kd_names.pkl"
    remarks = (OWN_LISTS,) if request.residual == "published" else (PUBLISHED_FORWARD, OWN_LISTS)
    return Source((values, names), lambda tables: tables.jacobians(values, names), remarks)


def _onehot(read: Callable[[xr.DataArray], xr.DataArray]) -> Source:
    return Source(ONEHOT, lambda tables: read(onehot(tables)), (PUBLISHED_FORWARD, OWN_LISTS))


def onehot(tables: Tables) -> xr.DataArray:
    """Return the Jacobians by the one-hot perturbation: (kd, gene, onehot), memory-mapped."""
    return tables.jacobians(*ONEHOT, "onehot", PERTURBATIONS)


def _onehot_cosines(J: xr.DataArray) -> xr.DataArray:
    from jacprobe.probes.jacobians import cosines

    return cosines(J, "onehot", None, ONEHOT_AT_ONCE, "Jacobians by the one-hot perturbation")


def _onehot_norms(J: xr.DataArray) -> xr.DataArray:
    import numpy as np

    from jacprobe.evidence.base import labelled

    # One knockdown at a time: the whole is 3.6 GB on disk.
    norms = [float(np.linalg.norm(J[i].values.astype(np.float64))) for i in range(len(J))]
    return labelled(norms, {"kd": J["kd"].values})
