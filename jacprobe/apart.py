"""Reading a stranger's file in a process apart: what hangs or dies on it there is an error here.

HDF5 hangs and dies on some damaged files, and nothing in the process that it runs in can stop either. So a process that
is started once, and has the libraries imported, forks one for each file; that one reads and sends arrays and JSON.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe import errors
from jacprobe.errors import InputError, JacprobeError, inert

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Sequence

FEWEST_SECONDS = 60.0
BYTES_A_SECOND = 2e6  # a tenth of what a slow disk gives
_NUMBERS = "biuf"
_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from jacprobe.apart import serve; serve(sys.argv[2])"
_LOCK = threading.Lock()
_SERVERS: dict[int, _Server] = {}  # by process: one that was forked off has none yet


def read_apart(
    function: Callable[..., dict[str, Any]], path: Path, *, needs: Sequence[str] = (), **arguments: Any
) -> dict[str, Any]:
    """Return what `function(path, **arguments)` returns, called in a process of its own.

    It may take a minute and, for each 2 MB of the file, a second more, and has the memory that this process may have.

    Parameters
    ----------
    function
        A function of a module, returning a dict of arrays of numbers and of what JSON holds.
    path
        The file that it reads.
    needs
        Modules that are imported before the first call, and kept for later ones.
    arguments
        What JSON holds.

    Raises
    ------
    InputError
        Where the process is killed by a signal, as by a fault of memory, or takes longer.
    JacprobeError
        What the function raises of jacprobe's own.
    RuntimeError
        What it raises otherwise, with the place where it was raised.
    """
    seconds = FEWEST_SECONDS
    with contextlib.suppress(OSError):  # which the function meets, and tells in its own words
        seconds += path.stat().st_size / BYTES_A_SECOND
    request = {
        "function": [function.__module__, function.__qualname__],
        "needs": list(needs),
        "path": str(path),
        "arguments": arguments,
        "seconds": seconds,
        "folder": str(Path.cwd()),
        "memory": [list(resource.getrlimit(limit)) for limit in _LIMITS],
    }
    with _LOCK:
        server = _server()
        try:
            answer, status = server.ask(request)
        except OSError as error:
            server.end()
            given, mend = (
                f"the process that forks those that read ended ({error})",
                "Look for what ends processes here.",
            )
            raise JacprobeError(given, "one that lives", mend, path) from error
        except BaseException:
            server.end()
            raise
    return _given(answer, status, path, seconds)


def _given(answer: dict[str, Any] | None, status: int, path: Path, seconds: float) -> dict[str, Any]:
    wanted, mend = "a file that is whole", "Copy the file again. It is damaged, or was made to harm who opens it."
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        what = f"not read in {seconds:.0f} s" if name == "SIGALRM" else f"the process that read it died of {name}"
        raise InputError(what, wanted, mend, path)
    if answer is None:
        raise InputError("the process that read it ended without an answer", wanted, mend, path)
    if "raised" in answer:
        kind, given, advised, way, where = answer["raised"]
        raise getattr(errors, kind)(given, advised, way, path if where == str(path) else where)
    if "memory" in answer:
        raise MemoryError(f"{path}: reading takes more memory than there is")
    if "fault" in answer:
        raise RuntimeError("\n".join(inert(line) for line in answer["fault"].splitlines()))
    return answer["returned"]


class _Server:
    """The process that forks those that read, as this one sees it."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        paths, fd = json.dumps(list(map(str, sys.path))), theirs.fileno()
        command = [sys.executable, "-P", "-W", "ignore", "-c", _START, paths, str(fd)]
        with theirs:
            # In a group of its own, so that Ctrl-C reaches it through this process, which ends it; libraries say things
            # of a stranger's words, so that nothing it says is shown.
            self.process = subprocess.Popen(  # noqa: S603 - Python itself, arguments of our own
                command, pass_fds=[fd], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any] | None, int]:
        """Return the answer, None where it is not whole, and how the process that read ended."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                socket.send_fds(self.control, [b"f"], [theirs.fileno()])
            ours.sendall(json.dumps(request).encode() + b"\n")
            with ours.makefile("rb") as stream:
                answer = _received(stream)
        status = self.control.recv(4, socket.MSG_WAITALL)
        if len(status) < 4:
            raise ConnectionError("it said nothing more")
        return answer, int.from_bytes(status, "little")

    def end(self) -> None:
        """End the process, and the one that it forked."""
        self.control.close()
        if self.process.returncode is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _server() -> _Server:
    known = _SERVERS.get(os.getpid())
    if known is not None and known.process.poll() is None:
        return known
    if known is not None:
        known.end()
    _SERVERS[os.getpid()] = _Server()
    return _SERVERS[os.getpid()]


@atexit.register
def _end() -> None:
    if os.getpid() in _SERVERS:
        _SERVERS.pop(os.getpid()).end()


def serve(fd: str) -> None:
    """Fork a process for each request that comes by the socket `fd`, until its other end is closed."""
    with socket.socket(fileno=int(fd)) as control:
        while True:
            _, fds, _, _ = socket.recv_fds(control, 1, 1)
            if not fds:
                os._exit(0)
            with socket.socket(fileno=fds[0]) as asking:
                with asking.makefile("rb") as stream:
                    request = json.loads(stream.readline())
                for name in (request["function"][0], *request["needs"]):
                    with contextlib.suppress(Exception):  # raised again, and told, by the process that reads
                        import_module(name)
                status = _forked(request, asking, control)
            control.sendall(status.to_bytes(4, "little"))


def _forked(request: dict[str, Any], asking: socket.socket, control: socket.socket) -> int:
    """Have a process answer, and return how it ended; it is killed where nobody waits for the answer any more."""
    lives, held = os.pipe()  # its end is the end of the process
    pid = os.fork()
    if pid == 0:
        try:
            control.close()
            _answer(request, asking)
        finally:
            os._exit(0)
    os.close(held)
    if control in select.select([control, lives], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(lives)
    return os.waitpid(pid, 0)[1]


def _answer(request: dict[str, Any], asking: socket.socket) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # the kernel counts: a process that hangs cannot miss it
    try:
        os.chdir(request["folder"])
        for limit, memory in zip(_LIMITS, request["memory"], strict=True):
            resource.setrlimit(limit, tuple(memory))
        module, name = request["function"]
        returned = getattr(import_module(module), name)(Path(request["path"]), **request["arguments"])
        arrays = {name: np.ascontiguousarray(one) for name, one in returned.items() if isinstance(one, np.ndarray)}
        answer: dict[str, Any] = {
            "returned": {name: one for name, one in returned.items() if name not in arrays},
            "arrays": [[name, one.dtype.str, one.shape] for name, one in arrays.items()],
        }
    except JacprobeError as error:
        arrays, fields = {}, (error.given, error.wanted, error.mend, error.where)
        answer = {"raised": [type(error).__name__, *map(str, fields)]}
    except MemoryError:
        arrays, answer = {}, {"memory": True}
    except Exception:  # noqa: BLE001 - told to who asked, who raises it
        arrays, answer = {}, {"fault": traceback.format_exc()}
    asking.sendall(json.dumps(answer).encode() + b"\n")
    for array in arrays.values():
        asking.sendall(array.reshape(-1).data.cast("B") if array.size else b"")


def _received(stream: io.BufferedReader) -> dict[str, Any] | None:
    """Return an answer, its arrays among what was returned; None where it is cut or is none."""
    try:
        answer = json.loads(stream.readline())
        for name, kind, shape in answer.get("arrays", ()):
            dtype = np.dtype(kind)
            if dtype.kind not in _NUMBERS:
                return None
            array = answer["returned"][name] = np.empty(shape, dtype)
            if array.size and stream.readinto(array.reshape(-1).data.cast("B")) < array.nbytes:
                return None
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    return answer
