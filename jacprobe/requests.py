"""Evidence requests: frozen, hashable descriptions of what a claim needs. Pure data; no torch, no arrays.

A request names a model by its *role* in the study ("fewshot/hepg2"). Requests nest: `Cosine(PertEmbedding(role))`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, Self, get_args

Control = Literal["untrained", "random-body", "random-encoder", "permuted-onehot"]


def control_role(role: str, control: Control, copy: int) -> str:
    """Return the role of a control copy of the model of `role`: "fewshot/hepg2#untrained-3"."""
    return f"{role}#{control}-{copy}"


def parse_control_role(role: str) -> tuple[str, Control, int] | None:
    """Return model, control and copy of a control copy's role; None for any other role."""
    base, mark, rest = role.partition("#")
    control, _, copy = rest.rpartition("-")
    for known in get_args(Control):
        if mark and control == known and copy.isdecimal():
            return base, known, int(copy)
    return None


@dataclass(frozen=True)
class Request:
    """Base of all requests."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the models that the request reads, nested requests included."""
        found: list[str] = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "role":
                found.append(value)
            elif isinstance(value, Request):
                found.extend(value.roles)
        return tuple(dict.fromkeys(found))

    def at(self, role: str) -> Self:
        """Return the same request for another model."""
        changed: dict[str, object] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "role":
                changed["role"] = role
            elif isinstance(value, Request):
                changed[item.name] = value.at(role)
        return replace(self, **changed)

    def __str__(self) -> str:
        shown = [f"{getattr(self, item.name)}" for item in fields(self)]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True)
class PertEmbedding(Request):
    """Vectors by which the knockdowns enter the model, control left out: (kd, latent)."""

    role: str


@dataclass(frozen=True)
class Delta(Request):
    """Mean predicted response of each knockdown, perturbed minus non-targeting: (kd, gene), log1p units."""

    role: str
    draw: int = 0


@dataclass(frozen=True)
class Jacobian(Request):
    """Derivative of the mean prediction by the perturbation vector, at each knockdown: (kd, gene, latent).

    `residual` "published" is the function of the original study, which left out the residual before the output layer.
    """

    role: str
    draw: int = 0
    residual: Literal["model", "published"] = "model"


@dataclass(frozen=True)
class Knockout(Request):
    """Response to silencing each input gene, under the control perturbation: (gene_in, gene), log1p units."""

    role: str
    draw: int = 0


@dataclass(frozen=True)
class Cosine(Request):
    """Cosine similarity of the rows of another evidence: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class Norm(Request):
    """Euclidean norms of the rows of another evidence: (kd,)."""

    of: Request


@dataclass(frozen=True)
class Pair(Request):
    """Two evidences of one kind, such as the norms behind two matrices: a tuple."""

    first: Request
    second: Request


@dataclass(frozen=True)
class GeneSet(Request):
    """Members of a gene set of the study, by name: a tuple of str, each once."""

    name: str
    variant: Literal["published", "clean"] = "published"


@dataclass(frozen=True)
class GeneSets(Request):
    """Several gene sets: {name: members}."""

    names: tuple[str, ...]
    variant: Literal["published", "clean"] = "published"


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
    """Relative error of Jacobian-vector products against float64 central differences: (kd, direction)."""

    role: str
    kds: int = 5
    directions: int = 10


@dataclass(frozen=True)
class NameMismatches(Request):
    """How often the model, its data and the study disagree on names or counts: (check,)."""

    role: str


@dataclass(frozen=True)
class EncoderLookup(Request):
    """Largest |encoder(onehot_k) - (W[:, k] + b)| over max|W|: (kd,)."""

    role: str
