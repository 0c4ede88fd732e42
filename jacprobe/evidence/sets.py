"""Gene sets and panels of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacprobe.errors import EvidenceMissingError
from jacprobe.evidence.base import resolve
from jacprobe.requests import GeneSet, GeneSets, Panel

if TYPE_CHECKING:
    from jacprobe.studies import Study


@resolve.register(GeneSet)
def _gene_set(request: GeneSet, study: Study) -> tuple[str, ...]:
    members = study.gene_set(request.name, request.variant)
    if not members:
        raise EvidenceMissingError(
            f"gene set {request.name} ({request.variant}) matches none of the study's knockdowns or genes",
            "at least one member",
            where=study.name,
        )
    return members


@resolve.register(GeneSets)
def _gene_sets(request: GeneSets, study: Study) -> dict[str, tuple[str, ...]]:
    if request.empty:
        found = {name: study.gene_set(name, request.variant) for name in request.names}
        return {name: members for name, members in found.items() if members}
    return {name: study.resolve(GeneSet(name, request.variant)) for name in request.names}


@resolve.register(Panel)
def _panel(request: Panel, study: Study) -> dict[str, list[str]]:
    return study.panel(request.name, request.variant)
