"""Which claims can be judged with the models that are there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jacprobe.requests import EveryRole, IfThere, Request
from jacprobe.verdicts.criteria import AllOf

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jacprobe.studies import Study
    from jacprobe.verdicts.claim import Claim


def answerable(rows: Mapping[str, Claim], roles: Collection[str]) -> list[str]:
    """Return the ids of the claims that need no model but those of `roles`; composites by their parts."""

    def ready(claim: Claim) -> bool:
        if isinstance(claim.criterion, AllOf):
            return all(ready(rows[part]) for part in claim.criterion.ids)
        return all(_served(request, roles) for request in claim.evidence.values())

    return [claim.id for claim in rows.values() if ready(claim)]


def coverage_lines(study: Study, rows: Mapping[str, Claim]) -> list[str]:
    """Return what to say where some of a study's models were given: how many claims need no other, by group."""
    if not study.options or not study.models:
        return []
    ids = answerable(rows, study.models)
    groups = Counter(rows[claim_id].group for claim_id in ids)
    counts = ", ".join(f"{group} {number}" for group, number in groups.items())
    return [f"claims that need no other model: {len(ids)} of {len(rows)}{f' ({counts})' if counts else ''}"]


def _served(request: Request, roles: Collection[str]) -> bool:
    if isinstance(request, IfThere):
        return True
    if isinstance(request, EveryRole):
        there = [role in roles for role in request.family]
        return all(there) if request.needed == "all" else any(there)
    own = [role for name in ("role", "by") if (role := getattr(request, name, None)) is not None]
    return all(role in roles for role in own) and all(_served(part, roles) for part in request.parts)
