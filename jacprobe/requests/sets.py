"""Requests for gene sets and panels of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jacprobe.requests.base import Request

Variant = Literal["published", "clean"]


@dataclass(frozen=True)
class GeneSet(Request):
    """Members of a gene set of the study, by name: a tuple of str, each once."""

    name: str
    variant: Variant = "published"


@dataclass(frozen=True)
class GeneSets(Request):
    """Several gene sets: {name: members}. With `empty` sets without a member are left out, not missing."""

    names: tuple[str, ...]
    variant: Variant = "published"
    empty: bool = False


@dataclass(frozen=True)
class Panel(Request):
    """A panel of the study: {"regulators", "targets", "pathway_kds", "control_kds": names}."""

    name: str
    variant: Variant = "published"
