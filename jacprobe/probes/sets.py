"""What probes share: encoded control cells, names turned into positions, and passes of one constant shape."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from jacprobe.cells import BatchRule, ControlCells, prepare_cells
from jacprobe.errors import CapabilityMissingError, InputError, unknown_names
from jacprobe.jacobian.memory import enough_memory, is_out_of_memory, too_little_memory
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


@enough_memory("encoding cells and perturbations", "control_cells")
@torch.no_grad()
def encode(model: Any, control_cells: Any, batch: BatchRule = "first") -> EncodedCells:
    """Return control cells checked and encoded; parameters and errors as in `jacprobe.cells.prepare_cells`.

    Raises
    ------
    InputError
        The model is not differentiable in pert, or the cells do not fit it.
    """
    if not isinstance(model, DifferentiableInPert):
        raise CapabilityMissingError(
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
def in_passes(compute: Callable[[Tensor], Tensor], items: Tensor, cells: int, size: int | None = None) -> Tensor:
    """Return `compute(items)` taken in parts of one length, so that no result depends on what it is computed with.

    The first part holds the first item in every place, the next ones the other items, the last one padded and cut.
    Where the first item's result is not bit for bit the same in every place, or memory runs out, shorter parts are
    taken, down to one.

    Parameters
    ----------
    compute
        From items [B, ...] to results [B, ...], item by item.
    items
        What to compute, at least one: [N, ...].
    cells
        How many cells one item sends through the model.
    size
        Items in a part; where None, as many as make up 256 cells.

    Raises
    ------
    JacprobeError
        Memory runs out for a single item.
    """
    size = max(1, CELLS_AT_ONCE // cells) if size is None else size
    while True:
        try:
            first = compute(_repeated(items[:1], size))
            if size == 1 or bool((first == first[:1]).all()):
                return torch.cat([first[:1], *_parts(compute, items[1:], size)])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise too_little_memory("a single set of cells", "control_cells") from error
            _log.warning("out of memory: sets of cells in one pass: now %d, not %d", size // 2, size)
        size //= 2


def _parts(compute: Callable[[Tensor], Tensor], items: Tensor, size: int) -> Iterator[Tensor]:
    padded = torch.cat([items, _repeated(items[-1:], -len(items) % size)])
    for start in range(0, len(items), size):
        yield compute(padded[start : start + size])[: len(items) - start]


def _repeated(item: Tensor, times: int) -> Tensor:
    return item.repeat(times, *[1] * (item.dim() - 1))


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
