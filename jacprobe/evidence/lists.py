"""Lists of knockdowns by a rule, and the same request over several lists, draws, roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError
from jacprobe.evidence.base import resolve
from jacprobe.requests import (
    Clusters,
    Delta,
    Draws,
    EveryRole,
    FromSets,
    GeneSet,
    IfThere,
    Listed,
    Lists,
    Named,
    Norm,
    Silenced,
)
from jacprobe.streams import stream

if TYPE_CHECKING:
    from jacprobe.studies import Study

PER_CLUSTER = 15
ALL_UP_TO = 300  # a model of so few knockdowns is judged on all of them
FEW = 60


@resolve.register(Listed)
def _listed(request: Listed, study: Study) -> tuple[str, ...]:
    everyone = tuple(study.knockdowns_of(request.by))
    if request.rule == "all" or (request.rule == "routing" and len(everyone) <= ALL_UP_TO):
        return everyone
    if request.rule == "few":
        listed = study.resolve(Listed(request.by, "routing"))
        return tuple(spread(listed, FEW))
    return _per_cluster(request, study)


@resolve.register(Silenced)
def _silenced(request: Silenced, study: Study) -> tuple[str, ...]:
    cells = study.control_cells(request.by)
    expressed = cells.mean("cell").sortby("gene")
    order = expressed["gene"].values[(-expressed.values).argsort(kind="stable")]
    chosen = set(map(str, order[: request.n]))
    return tuple(study.sampled([gene for gene in study.identity(request.by).genes if gene in chosen]))


@resolve.register(Named)
def _named(request: Named, study: Study) -> tuple[str, ...]:
    further: tuple[str, ...] = () if request.beside is None else study.resolve(request.beside)
    return tuple(dict.fromkeys((*request.names, *further)))


@resolve.register(FromSets)
def _from_sets(request: FromSets, study: Study) -> tuple[str, ...]:
    everyone = study.knockdowns_of(request.by)
    sets = [set(study.resolve(GeneSet(name))) for name in request.sets]
    chosen = {kd for members in sets for kd in spread([kd for kd in everyone if kd in members], request.each)}
    others = [kd for kd in study.resolve(Listed(request.by, "few")) if not any(kd in members for members in sets)]
    chosen.update(spread(others, max(0, request.n - len(chosen))))
    return tuple(kd for kd in everyone if kd in chosen)


@resolve.register(Draws)
def _draws(request: Draws, study: Study) -> tuple[Any, ...]:
    return tuple(study.resolve(request.of.at_draw(draw)) for draw in range(0, request.n * request.step, request.step))


@resolve.register(Lists)
def _lists(request: Lists, study: Study) -> tuple[Any, ...]:
    return tuple(study.resolve(request.of.at_list(number)) for number in range(request.n))


@resolve.register(IfThere)
def _if_there(request: IfThere, study: Study) -> Any:
    try:
        return study.resolve(request.of)
    except EvidenceMissingError:
        return None


@resolve.register(EveryRole)
def _every_role(request: EveryRole, study: Study) -> dict[str, Any]:
    stored = study.stored
    present = [
        role
        for role in request.family
        if role in study.models or (stored is not None and stored.touches(request.of.at(role)))
    ]
    missing = [role for role in request.family if role not in present]
    if not present or (missing and request.needed == "all"):
        if stored is not None:
            study.resolve(request.of.at(missing[0]))  # names the file that would answer it
        wanted = "all of them" if request.needed == "all" else "at least one of them"
        raise EvidenceMissingError(f"the study lacks the models {', '.join(missing)}", wanted, where=study.name)
    return {role: study.resolve(request.of.at(role)) for role in present}


def spread(names: tuple[str, ...] | list[str], n: int) -> list[str]:
    """Return at most `n` names, spread evenly over the list."""
    if len(names) <= n:
        return list(names)
    return [names[i * len(names) // n] for i in range(n)]


def _per_cluster(request: Listed, study: Study) -> tuple[str, ...]:
    """Return 15 knockdowns of each response cluster, in the model's order: the strongest, or random ones."""
    import numpy as np

    labels, sizes = study.resolve(Clusters(Delta(request.by))), study.resolve(Norm(Delta(request.by)))
    rng = stream(study.seed, "stratified list", request.by, str(request.number))
    chosen: set[str] = set()
    for cluster in np.unique(labels.values):
        members = labels["kd"].values[labels.values == cluster]
        if request.rule == "strongest":
            picked = members[np.argsort(-sizes.sel(kd=members).values, kind="stable")[:PER_CLUSTER]]
        else:
            picked = rng.permutation(members)[:PER_CLUSTER]
        chosen.update(map(str, picked))
    return tuple(name for name in study.knockdowns_of(request.by) if name in chosen)
