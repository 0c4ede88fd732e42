"""Requests for the same evidence once more: of control copies of a model, or from nothing."""

from __future__ import annotations

from dataclasses import dataclass

from jacprobe.requests.base import Request
from jacprobe.roles import Control


@dataclass(frozen=True)
class Copies(Request):
    """The same request for `n` control copies of its model, each of another seed: a tuple of evidence.

    "untrained" has all weights re-drawn by the architecture's own init law, "random-body" all but the perturbation
    encoder's, "random-encoder" those alone; "permuted-onehot" has its knockdowns' labels permuted.
    """

    of: Request
    control: Control
    n: int


@dataclass(frozen=True)
class Replay(Request):
    """Another evidence, made once more from nothing: study reopened, other order, other batches; same labels."""

    of: Request
