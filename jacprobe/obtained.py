"""Where a study's evidence comes from: the files of others first, then what the store keeps whole, then a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.evidence import resolve
from jacprobe.kept_whole import is_whole, whole, whole_together
from jacprobe.roles import base_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.requests import Request
    from jacprobe.studies import Study


def obtained(request: Request, study: Study) -> Any:
    """Return the evidence behind one request.

    Raises
    ------
    EvidenceMissingError
        Where something that the request needs is absent.
    """
    if study.stored is not None:
        found = study.stored.answer(request, study)
        if found is not None:
            return found
        # Read in no time, and no weights are known to keep it under.
        if study.stored.touches(request) or any(base_role(role) not in study.models for role in request.roles):
            return resolve(request, study)
    if study.store is not None and is_whole(request):
        return whole(request, study, study.store)
    return resolve(request, study)


def obtained_together(requests: Sequence[Request], study: Study) -> list[Any]:
    """Return the evidence behind several requests; processes that ask for the same ones share the work."""
    if study.store is not None and all(is_whole(request) for request in requests):
        return list(whole_together(requests, study, study.store))
    return [study.resolve(request) for request in requests]
