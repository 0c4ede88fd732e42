"""Devices and dtypes by the names that people give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jacprobe.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from jacprobe.models.protocol import PerturbationModel

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def device_of(device: str | torch.device) -> torch.device:
    """Return the torch device meant; "auto" is CUDA where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r}", "'auto', 'cpu', 'cuda' or 'mps'", where="device") from error


def require_device(device: str | torch.device) -> torch.device:
    """Return the torch device meant, as `device_of`, once it has been seen to work."""
    place = device_of(device)
    try:
        torch.zeros(1, device=place)
    except (AssertionError, RuntimeError) as error:
        raise _no_device(place, error) from error
    return place


def _no_device(place: torch.device, error: Exception) -> InputError:
    first_line = str(error).partition("\n")[0]
    return InputError(
        f"device {place}: {first_line}", "a device that is there, with room", "Use device='cpu'", "device"
    )


def dtype_of(dtype: torch.dtype | str | None) -> torch.dtype:
    """Return float32 (also for None) or float64; other types are no measuring instruments."""
    if dtype is None:
        return torch.float32
    found = _DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise InputError(f"dtype {dtype}", " or ".join(_DTYPES), where="dtype")
    return found


def asked(
    model: PerturbationModel, device: torch.device | str | None, dtype: torch.dtype | str | None
) -> tuple[torch.device, torch.dtype]:
    """Return the device and dtype that a model is wanted on and in, its own where None; float64 is refused on mps."""
    place = model.device if device is None else device_of(device)
    kind = model.dtype if dtype is None else dtype_of(dtype)
    if place.type == "mps" and kind == torch.float64:
        raise InputError("float64 on mps", "float32, the widest type of that device", "Use device='cpu'", "dtype")
    return place, kind


def on_device(module: nn.Module, place: torch.device) -> nn.Module:
    """Return a module on a device, moved in place; a device that is not there or has no room is named."""
    try:
        return module.to(place)
    except (AssertionError, RuntimeError) as error:
        raise _no_device(place, error) from error
