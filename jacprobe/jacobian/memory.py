"""Running out of memory, which torch reports in several ways."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from jacprobe.errors import JacprobeError

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of torch or NumPy means that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def too_little_memory(what: str, where: str) -> JacprobeError:
    """Return the error for a piece of work that does not fit by itself."""
    return JacprobeError(
        given=f"out of memory for {what}",
        wanted="memory for one pass through the model",
        mend="Use fewer control cells, a smaller dtype or a larger machine.",
        where=where,
    )


@contextmanager
def enough_memory(what: str, where: str) -> Iterator[None]:
    """Turn running out of memory, where there is nothing to shrink, into an error that says for what; a decorator, too.

    Raises
    ------
    JacprobeError
        Memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise too_little_memory(what, where) from error
        raise
