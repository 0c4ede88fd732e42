"""What checks share: the model with its cells, comparison up to rounding, and the error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from jacprobe.errors import ConformanceError
from jacprobe.models.protocol import DifferentiableInPert

if TYPE_CHECKING:
    from torch import Tensor

    from jacprobe.models.protocol import PerturbationModel

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}  # of what rounding may change, relative to the largest value
_KNOCKDOWNS = 16


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with control cells [S, G] and their batch [S], as tensors of its own kind."""

    model: Any
    cells: Tensor
    batch: Tensor

    @property
    def control(self) -> int:
        """Position of the control perturbation."""
        return self.model.perturbations.index(self.model.control)

    @property
    def knockdowns(self) -> list[int]:
        """Positions of some knockdowns, spread over the list."""
        others = [k for k in range(len(self.model.perturbations)) if k != self.control]
        return others[:: max(1, len(others) // _KNOCKDOWNS)][:_KNOCKDOWNS]

    @property
    def tolerance(self) -> float:
        """What rounding may change."""
        return TOLERANCE.get(self.model.dtype, 1e-4)

    def index(self, perturbations: list[int]) -> Tensor:
        """Return positions as the model takes them: [B]."""
        return torch.tensor(perturbations, device=self.model.device)

    def predicted(self, perturbations: list[int], cells: Tensor | None = None, batch: Tensor | None = None) -> Tensor:
        """Return the model's own prediction for sets [B, S, G], the cells themselves where None: [B, S, G]."""
        n = len(perturbations)
        cells = self.cells.expand(n, -1, -1) if cells is None else cells
        return self.model.predict_step(cells, self.index(perturbations), self.sets(n, batch))

    def sets(self, n: int, batch: Tensor | None = None) -> Tensor:
        """Return the batch of n sets: [n, S]."""
        return (self.batch if batch is None else batch).expand(n, -1)

    def differentiable(self, perturbations: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `forward` takes: encoded cells [B, S, E], vectors [B, D] and batch [B, S]."""
        n = len(perturbations)
        encoded = self.model.encode_cells(self.cells.expand(n, -1, -1))
        return encoded, self.model.pert_vectors(self.index(perturbations)), self.sets(n)


@dataclass(frozen=True)
class Broken:
    """What was found in place of what was promised, and how to mend it."""

    given: str
    wanted: str
    mend: str = "Mend it in the adapter"


def require(kept: bool, broken: Broken) -> None:
    """Raise `ConformanceError` unless a promise is kept."""
    if not kept:
        raise ConformanceError(broken.given, broken.wanted, broken.mend, "check_model")


def difference(found: Tensor, wanted: Tensor) -> float:
    """Return max |found - wanted| / max |wanted|."""
    scale = max(float(wanted.abs().max()), torch.finfo(wanted.dtype).tiny)
    return float((found - wanted).abs().max()) / scale


def close(subject: Subject, found: Tensor, wanted: Tensor, given: str, mend: str) -> None:
    """Raise `ConformanceError` where two predictions differ by more than rounding."""
    error = difference(found, wanted)
    limit = f"at most {subject.tolerance:.0e}, as rounding makes it"
    require(error <= subject.tolerance, Broken(f"{given} (by {error:.1e}, relative)", limit, mend))


def offers_gradient(model: PerturbationModel) -> bool:
    """Return whether a model can be differentiated in its perturbation vector."""
    return isinstance(model, DifferentiableInPert)
