"""Requests for lists of knockdowns by a rule, and for the same evidence over several lists, draws, roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jacprobe.requests.base import Request


@dataclass(frozen=True)
class Listed(Request):
    """Knockdowns chosen by a rule, for all models and draws the same: a tuple of str.

    They are chosen on the responses of the model of `by` over draw 0. "all": every one. "strongest": of each of 15
    response clusters the 15 of largest |delta|, as published. "stratified": 15 of each at random, list number `number`;
    "routing": every knockdown of a model that has no more than 300, else the stratified list 0. "few": 60 spread evenly
    over the routing list, for controls.
    """

    by: str
    rule: Literal["all", "strongest", "stratified", "routing", "few"] = "routing"
    number: int = 0


@dataclass(frozen=True)
class Silenced(Request):
    """Input genes to silence: the `n` of highest mean expression in the control cells of the model of `by`."""

    by: str
    n: int = 200


@dataclass(frozen=True)
class Named(Request):
    """Knockdowns by their names, and after them those of another list: a tuple of str, each once."""

    names: tuple[str, ...]
    beside: Listed | None = None


@dataclass(frozen=True)
class FromSets(Request):
    """Knockdowns of gene sets, `each` of every set at most, and others beside them up to `n`: a tuple of str.

    For control copies of what is said of the sets. Members are spread evenly over each set, and the others are those of
    the model's list "few" that no set holds.
    """

    by: str
    sets: tuple[str, ...]
    each: int = 20
    n: int = 60


@dataclass(frozen=True)
class Draws(Request):
    """The same request over `n` disjoint draws of control cells, every `step`-th, for the same knockdowns: a tuple."""

    of: Request
    n: int = 5
    step: int = 1


@dataclass(frozen=True)
class Lists(Request):
    """The same request for `n` stratified lists of knockdowns: a tuple. `of` holds an `Among`."""

    of: Request
    n: int = 20


@dataclass(frozen=True)
class IfThere(Request):
    """Another evidence, or None where the study lacks it: what is shown beside a verdict but is not needed for it."""

    of: Request


@dataclass(frozen=True)
class EveryRole(Request):
    """The same request for several models: {role: evidence}.

    `needed` says whether one of the family is enough (the claim is then about those that are there) or all must be.
    """

    of: Request
    family: tuple[str, ...]
    needed: Literal["any", "all"] = "any"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the whole family."""
        return self.family
