"""Reading pickles as data: whatever a file holds, nothing in it is ever run."""

from __future__ import annotations

import io
import math
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from jacprobe.errors import RunFolderError, UnsafePickleError
from jacprobe.texts import require_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_ADMITTED = "plain containers, strings, numbers, NumPy arrays and torch tensors only"
_CONVERT = (
    "Nothing in it was run. Where the file was made, and if you trust it, save it again as a dictionary of "
    "strings, numbers and tensors: torch.save({name: tensor, ...}, path)"
)


def read_pickle(path: Path) -> Any:
    """Return what a pickle or a torch archive holds, provided that it is plain data.

    Torch archives are read by ``torch.load(weights_only=True)``; other pickles by an unpickler that knows the admitted
    constructors only. Which of the two it is shows in the first bytes, not in the file's name.

    Parameters
    ----------
    path
        A file written by `torch.save` or `pickle.dump`.

    Raises
    ------
    UnsafePickleError
        If it asks for anything but plain containers, strings, numbers, NumPy arrays and torch tensors.
    RunFolderError
        If it is missing, truncated or no pickle at all.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            is_archive = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        if is_archive:
            _refuse_inflated(path)
            return _torch_load(path)
        return _plain_load(path.read_bytes())
    except UnsafePickleError as error:
        raise UnsafePickleError(error.given, error.wanted, error.mend, where=path.name) from None
    except OSError as error:
        raise RunFolderError(
            f"cannot be read ({error.strerror or error})",
            "a readable file",
            "Copy it from where the run was made",
            where=path,
        ) from error
    except Exception as error:
        raise RunFolderError(
            f"damaged or no pickle ({type(error).__name__}: {_first_line(error)})",
            "a complete file as written by arc-state",
            "Copy it again from where the run was made and compare sizes and hashes",
            where=path,
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _unsafe(name: str) -> UnsafePickleError:
    return UnsafePickleError(f"the pickle asks for {name}, which is code or of a foreign type", _ADMITTED, _CONVERT)


def _refuse_inflated(path: Path) -> None:
    """Refuse an archive that would unpack to more than it weighs: torch stores its tensors uncompressed."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > path.stat().st_size:
        raise ValueError(f"{unpacked} bytes unpacked from {path.stat().st_size}")


def _torch_load(source: Path | io.BytesIO) -> Any:
    """Read a torch archive on the CPU, with the NumPy constructors admitted for the length of this call."""
    try:
        with torch.serialization.safe_globals(_safe_for_torch()), warnings.catch_warnings():
            # Torch warns of pickle protocols other than 2 and of its own storages; neither is the reader's business.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The one thing in torch's message that names the culprit: "Unsupported global: GLOBAL module.name ...".
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked:
            raise _unsafe(asked.group(1)) from None
        # Not torch's own words, which advise to read the file with weights_only=False.
        raise ValueError(
            "torch's data-only reader does not take it; was it saved with a pickle protocol above 2?"
        ) from None


def _plain_load(raw: bytes) -> Any:
    loaded = _DataUnpickler(io.BytesIO(raw)).load()
    if type(loaded) is int and loaded == _LEGACY_TORCH_MAGIC:
        return _torch_load(io.BytesIO(raw))
    return loaded


class _Array:
    """Stands for `numpy.ndarray` in a pickle, where it may be named but not called (a call allocates at will)."""


def _numpy_empty(subtype: type, shape: tuple[int, ...], _typecode: object) -> np.ndarray:
    if subtype not in (_Array, np.ndarray) or shape != (0,):
        raise ValueError("an array that does not start out empty")
    return np.empty(0)


def _numpy_scalar(dtype: np.dtype, raw: bytes) -> np.generic:
    return np.frombuffer(raw, dtype=dtype, count=1)[0]


def _numpy_from_buffer(raw: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    flat = np.frombuffer(raw, dtype=dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2 spells bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes spelt in {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocol 2 spells b""."""
    return b""


def _storage_from_bytes(raw: bytes) -> Any:
    return _torch_load(io.BytesIO(raw))


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_grad: object) -> torch.Tensor:
    empty = torch.empty(0, dtype=storage.dtype)
    held = storage._untyped_storage.nbytes() // empty.itemsize
    if math.prod(size) > held:
        raise ValueError(f"a tensor of {math.prod(size)} elements in a storage of {held}")
    return empty.set_(storage._untyped_storage, offset, size, stride)


_NUMPY: Mapping[str, Callable[..., object]] = {
    f"numpy.{core}.{name}": build
    for core in ("core", "_core")  # NumPy 1 and NumPy 2
    for name, build in (
        ("multiarray._reconstruct", _numpy_empty),
        ("multiarray.scalar", _numpy_scalar),
        ("numeric._frombuffer", _numpy_from_buffer),
    )
} | {
    f"numpy.dtypes.{name}": kind
    for name, kind in vars(np.dtypes).items()
    if isinstance(kind, type) and issubclass(kind, np.dtype)
}

_PLAIN: Mapping[str, Callable[..., object]] = {
    **_NUMPY,
    "numpy.dtype": np.dtype,
    "numpy.ndarray": _Array,
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.complex": complex,
    "builtins.bytes": _no_bytes,
    "_codecs.encode": _latin1,
    "torch.storage._load_from_bytes": _storage_from_bytes,
    "torch._utils._rebuild_tensor_v2": _tensor,
}


def _safe_for_torch() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    return [np.dtype, np.ndarray, *((build, name) for name, build in _NUMPY.items())]


# The unpickler in Python, not the one in C: its memo is a dictionary, while ten bytes make the other's take 64 GiB, and
# it lets BUILD be restricted. Typed as Any, since the stubs know it under the other's name only.
_PythonUnpickler: Any = pickle._Unpickler


class _DataUnpickler(_PythonUnpickler):
    """An unpickler that knows the admitted constructors and sets the state of NumPy objects only."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(_PythonUnpickler.dispatch)

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """Return the admitted constructor of that name, or refuse."""
        module = "builtins" if module == "__builtin__" else module
        try:
            return _PLAIN[f"{module}.{name}"]
        except KeyError:
            raise _unsafe(f"{module}.{name}") from None

    def load_build(self) -> None:
        """Set the state of an array or a dtype; of nothing else, since a state may overwrite what an object does."""
        target = self.stack[-2]
        if not isinstance(target, np.ndarray | np.dtype):
            raise _unsafe(f"the state of a {type(target).__name__}")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build
