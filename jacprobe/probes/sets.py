"""What probes share: encoded control cells, names turned into positions, and passes of one constant shape."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from jacprobe.cells import BatchRule, ControlCells, prepare_cells
from jacprobe.errors import InputError, unknown_names
from jacprobe.jacobian.memory import is_out_of_memory, too_little_memory
from jacprobe.models.protocol import DifferentiableInPert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

_log = logging.getLogger(__name__)

CELLS_AT_ONCE = 256  # in one pass: enough to keep matrix products busy


@dataclass(frozen=True, eq=False)
class EncodedCells:
    """One set of control cells as a model holds it.

    Attributes
    ----------
    given
        The cells as arrays, in the model's order.
    values, encoded, batch
        Expression [S, G], encoded cells [S, E] and batch [S], on the model's device.
    vectors
        Vectors of all perturbations [P, D], made together so that none depends on which were asked for.
    """

    given: ControlCells
    values: Tensor
    encoded: Tensor
    batch: Tensor
    vectors: Tensor


@torch.no_grad()
def encode(model: Any, control_cells: Any, batch: BatchRule = "first") -> EncodedCells:
    """Return control cells checked and encoded; parameters and errors as in `jacprobe.cells.prepare_cells`.

    Raises
    ------
    InputError
        The model is not differentiable in pert, or the cells do not fit it.
    """
    if not isinstance(model, DifferentiableInPert):
        raise InputError(
            given=f"{type(model).__name__}, which is not differentiable in pert",
            wanted="a model with latent_dim, encode_cells, pert_vectors and forward",
            where="model",
        )
    given = prepare_cells(model, control_cells, batch)
    values = torch.tensor(given.values, dtype=model.dtype, device=model.device)
    index = torch.tensor(given.batch, device=model.device)
    vectors = model.pert_vectors(torch.arange(len(model.perturbations), device=model.device))
    return EncodedCells(given, values, model.encode_cells(values.unsqueeze(0)).squeeze(0), index, vectors)


def positions(kind: str, names: Sequence[str], known: Sequence[str], where: str) -> list[int]:
    """Return where `names` stand among `known`, each once.

    Raises
    ------
    UnknownNameError
        Names that are not known, all listed with the nearest known ones.
    InputError
        No name, or one twice.
    """
    names = [names] if isinstance(names, str) else list(names)
    place = {name: i for i, name in enumerate(known)}
    unknown = [name for name in names if name not in place]
    if unknown:
        raise unknown_names(kind, unknown, known, where=where)
    if not names or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        given = f"{', '.join(twice[:5])} twice" if twice else f"no {kind}"
        raise InputError(given, "at least one name, each once", where=where)
    return [place[name] for name in names]


@torch.no_grad()
def in_passes(compute: Callable[[Tensor], Tensor], items: Tensor, cells: int) -> Tensor:
    """Return `compute(items)` taken in consecutive parts of one length, the last one padded and cut.

    `compute` maps [B, ...] to [B, ...], item by item; `cells` is how many cells one item sends through the model. Where
    an item's result is not bit for bit the same in every position of a part, or memory runs out, shorter parts are
    taken, down to one.

    Raises
    ------
    JacprobeError
        Memory runs out for a single item.
    """
    size = max(1, CELLS_AT_ONCE // cells)
    while size > 1 and not _position_free(compute, items[:1], size):
        size //= 2
    while True:
        try:
            return torch.cat(list(_parts(compute, items, size)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise too_little_memory("a single set of cells", "control_cells") from error
        _log.warning("out of memory: %d sets of cells now go through the model at once, not %d", size // 2, size)
        size //= 2


def _parts(compute: Callable[[Tensor], Tensor], items: Tensor, size: int) -> Iterator[Tensor]:
    padded = torch.cat([items, items[-1:].repeat(-len(items) % size, *[1] * (items.dim() - 1))])
    for start in range(0, len(items), size):
        yield compute(padded[start : start + size])[: len(items) - start]


def _position_free(compute: Callable[[Tensor], Tensor], item: Tensor, size: int) -> bool:
    """Tell whether one item gives the same bits at every position of a pass of `size`; not where memory is short."""
    try:
        found = compute(item.repeat(size, *[1] * (item.dim() - 1)))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return bool((found == found[:1]).all())


def labels(model: DifferentiableInPert, prepared: EncodedCells, quantity: str, **more: str) -> dict[str, str]:
    """Return the attributes that stand on every probe's array."""
    return {
        "quantity": quantity,
        "control": model.control,
        "batch": prepared.given.rule,
        "dtype": str(model.dtype).removeprefix("torch."),
        "weights_sha256": model.weights_sha256,
        "cells_sha256": prepared.given.sha256,
        **more,
    }
