"""The same evidence once more: of control copies of a model, or from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.evidence.base import resolve
from jacprobe.requests import Copies, Replay
from jacprobe.roles import control_role

if TYPE_CHECKING:
    from jacprobe.studies import Study


@resolve.register(Copies)
def _copies(request: Copies, study: Study) -> tuple[Any, ...]:
    (role,) = request.of.roles[:1]
    wanted = [request.of.at(control_role(role, request.control, copy)) for copy in range(request.n)]
    return tuple(study.resolve_all(wanted))


@resolve.register(Replay)
def _replay(request: Replay, study: Study) -> Any:
    return study.reopened(reverse=True, store=None).resolve(request.of)
