"""Requests for what a probe takes from a model, or the study holds of measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from jacprobe.requests.base import Request
from jacprobe.requests.lists import FromSets, Listed, Named, Silenced


@dataclass(frozen=True)
class PertEmbedding(Request):
    """Vectors by which the knockdowns enter the model, control left out: (kd, latent)."""

    role: str


@dataclass(frozen=True)
class OverCells(Request):
    """Base of requests that feed control cells to a model.

    `draw` counts disjoint draws, `line` takes another line's control cells than the model's own, `times` makes the set
    so many times as large as the study's.
    """

    role: str
    draw: int = 0
    line: str | None = field(default=None, kw_only=True)
    times: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class Delta(OverCells):
    """Mean predicted response of each knockdown, perturbed minus non-targeting: (kd, gene), log1p units."""


@dataclass(frozen=True)
class Jacobian(OverCells):
    """Derivative of the mean prediction by the perturbation vector, at each knockdown: (kd, gene, latent).

    `residual` "published" is the function of the original study, which left out the residual before the output layer.
    """

    residual: Literal["model", "published"] = "model"


@dataclass(frozen=True)
class Knockout(OverCells):
    """Response to silencing each input gene, under the control perturbation: (gene_in, gene), log1p units."""


@dataclass(frozen=True)
class InputJacobian(OverCells):
    """Derivative of the mean prediction by a common shift of all encoded control cells: (kd, gene, encoded)."""


@dataclass(frozen=True)
class Features(OverCells):
    """Mean features of the study's layer under each knockdown: (kd, feature).

    `space` "study" is what the study names for the model, features of a sparse autoencoder or else activations;
    "layer" the activations, "sae" the features. Centring subtracts the features under the control perturbation.
    """

    space: Literal["study", "layer", "sae"] = field(default="study", kw_only=True)
    centre: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class Targeted(OverCells):
    """Derivative of targets by regulators of a panel, at each knockdown: (kd, regulator, target).

    `panel` names a gene set of kind "panel". `cells` "each" are the true control cells, "mean" their mean repeated.
    `others` further regulators, drawn at random from all genes, stand after the panel's: they cost nothing.
    """

    panel: str = field(kw_only=True)
    cells: Literal["each", "mean"] = field(default="each", kw_only=True)
    others: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class TargetedPair(OverCells):
    """Derivative of one target by one regulator, at each knockdown: (kd,)."""

    regulator: str = field(kw_only=True)
    target: str = field(kw_only=True)
    cells: Literal["each", "mean"] = field(default="each", kw_only=True)


@dataclass(frozen=True)
class Expression(OverCells):
    """Mean expression of the control cells that a model is fed: (gene,), log1p units."""


@dataclass(frozen=True)
class Observed(Request):
    """Measured mean response of a line to each knockdown, perturbed minus control cells: (kd, gene), log1p units."""

    line: str


@dataclass(frozen=True)
class Split(Request):
    """Which knockdowns the model was trained on in its own line: {kd: "trained", "held out" or "unknown"}."""

    role: str


@dataclass(frozen=True)
class Among(Request):
    """Another evidence, computed for some knockdowns (or silenced genes) only, in the list's order."""

    of: Request
    kds: Listed | Silenced | Named | FromSets
