"""What a worker process that we start loads first: an interrupt is for the command, which lets its workers finish."""

from __future__ import annotations

import signal


def dask_setup(_: object) -> None:
    """Leave interrupts from the terminal, which reach every process of it, to the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
