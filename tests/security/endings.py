"""What `jacprobe.apart` may have to end with: functions that a process apart calls, and a file on which HDF5 hangs."""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def hang(path: Path) -> dict[str, Any]:
    """Note the process in the file, and never return, deaf to what Python could still be told."""
    path.write_text(str(os.getpid()))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    while True:
        time.sleep(1)


def die(path: Path, number: int) -> dict[str, Any]:
    """Die of a signal, as of a fault of memory."""
    os.kill(os.getpid(), number)
    raise AssertionError(f"{path}: signal {number} was survived")


def leave(_: Path) -> dict[str, Any]:
    """End without an answer."""
    os._exit(0)


def fail(_: Path, text: str) -> dict[str, Any]:
    """Raise what is no error of jacprobe's."""
    raise ZeroDivisionError(text)


def tell(path: Path, **arguments: Any) -> dict[str, Any]:
    """Return what was given, with arrays of several kinds, and what is imported where it is called."""
    arrays = {
        "big": np.arange(6, dtype=">f8").reshape(2, 3).T,
        "none": np.zeros((0, 4), np.int16),
        "flag": np.array(True),
    }
    return {"pid": os.getpid(), "path": str(path), "modules": sorted(sys.modules), **arguments, **arrays}


def allocate(_: Path, nbytes: int) -> dict[str, Any]:
    """Ask for memory."""
    return {"size": np.ones(nbytes, np.uint8).size}


def looping(h5ad: bytes) -> bytes:
    """Return an h5ad file with the first text of its heap declared 512 bytes longer, on which HDF5 2.0.0 never returns.

    The heap of texts of varying length is a row of objects, each of 16 bytes that say its number and size and then its
    bytes, until one of number 0. The longer one ends among the zeros behind the last, which are objects of no size.
    """
    first = h5ad.index(b"GCOL") + 16
    end = first
    while struct.unpack_from("<H", h5ad, end)[0]:
        end += 16 + -(-struct.unpack_from("<Q", h5ad, end + 8)[0] // 8) * 8
    damaged = bytearray(h5ad)
    struct.pack_into("<Q", damaged, first + 8, end - first - 16 + 512)
    return bytes(damaged)
