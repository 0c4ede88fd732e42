"""Evidence requests: frozen, hashable descriptions of what a claim needs. Pure data; no torch, no arrays.

A request names a model by its *role* in the study ("fewshot/hepg2"). Requests nest: `Cosine(PertEmbedding(role))`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal, Self

from jacprobe.roles import Control

Variant = Literal["published", "clean"]


@dataclass(frozen=True)
class Request:
    """Base of all requests."""

    @property
    def parts(self) -> tuple[Request, ...]:
        """The requests that this one is made of."""
        values = (getattr(self, item.name) for item in fields(self))
        return tuple(value for value in values if isinstance(value, Request))

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the models that the request reads, nested requests included."""
        own = [getattr(self, item.name) for item in fields(self) if item.name in ("role", "by")]
        nested = [role for part in self.parts for role in part.roles]
        return tuple(dict.fromkeys(own + nested))

    def at(self, role: str) -> Self:
        """Return the same request for another model; the knockdowns it is restricted to stay the same."""
        return self._with("role", role)

    def at_draw(self, draw: int) -> Self:
        """Return the same request over another disjoint draw of control cells, for the same knockdowns."""
        return self._with("draw", draw)

    def at_list(self, number: int) -> Self:
        """Return the same request for another stratified list of knockdowns."""
        return self._with("number", number)

    def _with(self, name: str, value: object) -> Self:
        changed: dict[str, object] = {}
        for item in fields(self):
            own = getattr(self, item.name)
            if item.name == name:
                changed[name] = value
            elif isinstance(own, Request):
                changed[item.name] = own._with(name, value)
        return replace(self, **changed)

    def __str__(self) -> str:
        shown = [f"{getattr(self, item.name)}" for item in fields(self)]
        return f"{type(self).__name__}({', '.join(shown)})"


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
class Among(Request):
    """Another evidence, computed for some knockdowns (or silenced genes) only, in the list's order."""

    of: Request
    kds: Listed | Silenced | Named | FromSets


@dataclass(frozen=True)
class Cosine(Request):
    """Cosine similarity of the rows of another evidence: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class OnehotCosine(Request):
    """Cosine similarity of Jacobians by the one-hot perturbation, J W, given those by its vector: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class OnehotNorm(Request):
    """Euclidean norms of Jacobians by the one-hot perturbation, J W, given those by its vector: (kd,)."""

    of: Request


@dataclass(frozen=True)
class InputCosine(Request):
    """Cosine similarity of the whole dY/dX between knockdowns of one model: (kd, kd_other)."""

    of: Request


@dataclass(frozen=True)
class InputAgreement(Request):
    """Cosine of the whole dY/dX of the same knockdown between two models: (kd,)."""

    first: Request
    second: Request


@dataclass(frozen=True)
class Clusters(Request):
    """Clusters of the rows of another evidence, 1 to `k`: (kd,). Ward linkage on L2-normalised rows.

    `linkage` "average" is average linkage on cosine distances, for comparison; "ward-on-cosine" takes cosine distances
    for Euclidean ones, as published.
    """

    of: Request
    k: int = 15
    linkage: Literal["ward", "average", "ward-on-cosine"] = "ward"


@dataclass(frozen=True)
class ClusterMeans(Request):
    """Mean of the rows of another evidence in each cluster: (cluster, gene)."""

    of: Request
    clusters: Request


@dataclass(frozen=True)
class Correlation(Request):
    """Correlation over genes of the same row of two evidences: (kd,) or (gene_in,)."""

    first: Request
    second: Request
    method: Literal["pearson", "spearman"] = "pearson"


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
class IfThere(Request):
    """Another evidence, or None where the study lacks it: what is shown beside a verdict but is not needed for it."""

    of: Request


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
class Replay(Request):
    """Another evidence, made once more from nothing: study reopened, other order, other batches; same labels."""

    of: Request
