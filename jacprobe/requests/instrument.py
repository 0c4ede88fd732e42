"""Requests for evidence about the instrument itself: do two ways to the same number agree, is a gradient there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jacprobe.requests.base import Request


@dataclass(frozen=True)
class ForwardParity(Request):
    """Largest |Y_suite - Y_predict_step| over max|Y_predict_step|: (kd,)."""

    role: str
    kds: int = 20


@dataclass(frozen=True)
class PermutationError(Request):
    """Largest |P Y(X) - Y(P X)| over max|Y| for permutations P of the control cells X: (kd, permutation)."""

    role: str
    mask: Literal["model", "causal"] = "model"
    kds: int = 5
    permutations: int = 10


@dataclass(frozen=True)
class SlopeError(Request):
    """Error of dY/dpert, by the engine that claims use, against float64 central differences: (kd, direction)."""

    role: str
    kds: int = 5
    directions: int = 10


@dataclass(frozen=True)
class TargetedSlopeError(Request):
    """Error of dY[target]/dX[regulator] of a panel against float64 central differences: (kd, regulator, target)."""

    role: str
    panel: str
    kds: int = 5


@dataclass(frozen=True)
class LargestSlope(Request):
    """Largest |J| of each gene over knockdowns and directions; 0 where an output never moves: (gene,)."""

    of: Request


@dataclass(frozen=True)
class NameMismatches(Request):
    """How often the model, its data and the study disagree on names or counts: (check,)."""

    role: str


@dataclass(frozen=True)
class EncoderLookup(Request):
    """Largest |encoder(onehot_k) - (W[:, k] + b)| over max|W|: (kd,)."""

    role: str
