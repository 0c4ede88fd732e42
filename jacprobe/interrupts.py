"""How a run of claims ends when it is told to: within seconds, its ledger written, as after Ctrl-C."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_PATIENCE = 0.5  # seconds for workers of pytest-xdist, which may be in the middle of an hour's work


def heed_termination() -> None:
    """Let SIGTERM, by which schedulers of clusters end a job, do what Ctrl-C does; once, and then what it always does.

    Only a main thread can, and only where nobody else has taken it.
    """
    free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if free and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def end_workers_soon(pluginmanager: Any) -> None:
    """Let pytest-xdist, where it runs, wait no longer for its workers than they need to end if they are idle.

    It would wait ten seconds. What a worker was computing is lost; what it has put into a store is whole.
    """
    session = pluginmanager.getplugin("dsession")
    manager = getattr(session, "nodemanager", None)
    if manager is not None:
        manager.EXIT_TIMEOUT = _PATIENCE


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - as signals call it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt("SIGTERM")
