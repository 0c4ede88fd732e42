"""Does a model keep what `jacprobe.models.protocol` promises? One call for the tests of any adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from jacprobe.cells import prepare_cells
from jacprobe.conformance.capabilities import CAPABILITIES
from jacprobe.conformance.gradient import GRADIENT
from jacprobe.conformance.names import NAMES
from jacprobe.conformance.predictions import PREDICTIONS
from jacprobe.conformance.subject import Subject, offers_gradient
from jacprobe.errors import ConformanceError, JacprobeError


def check_model(model: Any, cells: Any) -> None:
    """Check a model against the protocol, and what more it offers against what that means.

    In this order: attributes; names; training status; provenance; no gradients left on; shape, dtype and device;
    determinism; sets by themselves; the control; the order of the cells; sets of another size; and where the model
    offers them, the parts of a differentiable prediction, dY/dpert against central differences, and every further
    capability. What a model does not offer is not checked: claims that need it become NOT EVALUATED.

    Parameters
    ----------
    model
        As its adapter loads it.
    cells
        A few control cells, as `jacprobe.predict` takes them; as many as the model was trained with, if it takes no
        other number.

    Raises
    ------
    ConformanceError
        At the first promise that is broken: what was found, what was wanted and how to mend it.
    InputError
        The cells do not fit the model.

    Examples
    --------
    >>> def test_my_model(run_folder, cells):
    ...     check_model(load(run_folder, "best", "auto", "cpu"), cells)
    """
    for check in NAMES:
        check(model)
    given = prepare_cells(model, cells)
    x = torch.as_tensor(given.values, dtype=model.dtype, device=model.device)
    subject = Subject(model, x, torch.as_tensor(given.batch, device=model.device))
    for check in (*PREDICTIONS, *(GRADIENT if offers_gradient(model) else ())):
        _held(check, subject)
    for capability, further in CAPABILITIES.items():
        if isinstance(model, capability):
            _held(further, subject)


def _held(check: Callable[[Subject], None], subject: Subject) -> None:
    """Run a check; what the model itself raises is told with what was called."""
    try:
        check(subject)
    except JacprobeError as error:
        if isinstance(error, ConformanceError):
            raise
        raise ConformanceError(error.given, error.wanted, error.mend, error.where) from error
    except Exception as error:
        raise ConformanceError(
            f"{type(error).__name__}: {error}",
            (check.__doc__ or "").partition("\n")[0],
            "See the traceback above for where the model raised.",
            type(subject.model).__name__,
        ) from error
