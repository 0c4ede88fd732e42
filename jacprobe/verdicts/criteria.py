"""Criteria: what an estimate must satisfy, fixed in the claim row before any data are loaded.

Each has a `margin` in the unit of the effect: what differs by no more between two models is no change (rule M). It is
the SESOI or the tolerance, and 0 for thresholds, which have neither.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

from jacprobe.errors import ClaimError

Scale = Literal["effect", "z"]


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ClaimError(f"{name} = {value}", "a finite number above 0", where="criterion")


@dataclass(frozen=True)
class _OneSided:
    """A claim that the effect, or its z against the primary null, lies on one side of `value`.

    With a `sesoi` (the smallest effect size of interest, a distance from 0) it is a positive claim and `value` is 0:
    significance, interval and SESOI decide. Without one it is a threshold claim: the one-sided 95 % bound decides.
    """

    value: float
    sesoi: float | None = None
    on: Scale = "effect"
    sign: ClassVar[int]

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ClaimError(f"value = {self.value}", "a finite number", where=type(self).__name__)
        if self.sesoi is not None:
            _positive("sesoi", self.sesoi)
            if self.value != 0 or self.on != "effect":
                raise ClaimError(
                    f"{self}", "value 0 on the effect beside a sesoi", "Drop the sesoi of a threshold claim."
                )

    @property
    def kind(self) -> str:
        return "threshold" if self.sesoi is None else "positive"

    @property
    def margin(self) -> float:
        return self.sesoi or 0.0

    @property
    def uses_p(self) -> bool:
        return self.sesoi is not None or self.on == "z"

    def __str__(self) -> str:
        subject = "z " if self.on == "z" else ""
        beyond = f", SESOI {self.sesoi:g}" if self.sesoi is not None else ""
        return f"{subject}{'>' if self.sign > 0 else '<'} {self.value:g}{beyond}"


@dataclass(frozen=True)
class Above(_OneSided):
    """The effect is above `value`."""

    sign: ClassVar[int] = 1


@dataclass(frozen=True)
class Below(_OneSided):
    """The effect is below `value`."""

    sign: ClassVar[int] = -1


@dataclass(frozen=True)
class Within:
    """The effect lies in [low, high], by its 95 % interval."""

    low: float
    high: float
    kind: ClassVar[str] = "threshold"
    margin: ClassVar[float] = 0.0
    uses_p: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ClaimError(f"Within({self.low}, {self.high})", "low <= high", where="criterion")

    def __str__(self) -> str:
        return f"in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class Equivalent:
    """There is no effect either way: two one-sided tests against the band (-sesoi, sesoi)."""

    sesoi: float
    kind: ClassVar[str] = "null"
    uses_p: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive("sesoi", self.sesoi)

    @property
    def margin(self) -> float:
        """The SESOI."""
        return self.sesoi

    def __str__(self) -> str:
        return f"no effect (within ±{self.sesoi:g})"


@dataclass(frozen=True)
class NotElevated:
    """There is no effect upwards: the one-sided upper 95 % bound lies below `sesoi`."""

    sesoi: float
    kind: ClassVar[str] = "null"
    uses_p: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive("sesoi", self.sesoi)

    @property
    def margin(self) -> float:
        """The SESOI."""
        return self.sesoi

    def __str__(self) -> str:
        return f"not elevated (below {self.sesoi:g})"


@dataclass(frozen=True)
class Difference:
    """Present in one model, absent in another (rule B).

    The estimate is the paired difference, with the two models' own estimates as its parts `present` and `absent`.
    It needs the difference above 0 *and* the null claim supported in the second.
    """

    present: str
    absent: str
    sesoi: float
    kind: ClassVar[str] = "difference"
    uses_p: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _positive("sesoi", self.sesoi)

    @property
    def margin(self) -> float:
        """The SESOI."""
        return self.sesoi

    def __str__(self) -> str:
        return f"in {self.present}, absent in {self.absent} (SESOI {self.sesoi:g})"


@dataclass(frozen=True)
class Reproduces:
    """The measured quantity is the published `value` (rule N).

    Inside the estimate's prediction interval it is reproduced; outside and further than `tolerance` away it is
    different; in between it is close. `relative` makes the tolerance a share of `value`.
    """

    value: float
    tolerance: float
    relative: bool = False
    kind: ClassVar[str] = "numeric"
    uses_p: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _positive("tolerance", self.tolerance)

    @property
    def margin(self) -> float:
        """The tolerance in the unit of the effect."""
        return self.tolerance * abs(self.value) if self.relative else self.tolerance

    def __str__(self) -> str:
        return f"reproduces {self.value:g} ± {self.margin:g}"


@dataclass(frozen=True)
class Exactly:
    """The quantity is `value` up to `tol`, with nothing random in it (rule O)."""

    value: float
    tol: float = 0.0
    kind: ClassVar[str] = "deterministic"
    uses_p: ClassVar[bool] = False

    @property
    def margin(self) -> float:
        """The tolerance."""
        return self.tol

    def __str__(self) -> str:
        return f"= {self.value:g} ± {self.tol:g}"


@dataclass(frozen=True)
class AllOf:
    """Every claim of `ids` is supported."""

    ids: tuple[str, ...]
    kind: ClassVar[str] = "composite"
    margin: ClassVar[float] = 0.0
    uses_p: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.ids or len(set(self.ids)) != len(self.ids):
            raise ClaimError(f"AllOf{self.ids}", "at least one id, each once", where="criterion")

    def __str__(self) -> str:
        return f"all of {len(self.ids)} claims"


Criterion = Above | Below | Within | Equivalent | NotElevated | Difference | Reproduces | Exactly | AllOf


def criterion_hash(*parts: object) -> str:
    """Return 12 hex digits over a criterion and whatever else was fixed beforehand, in a canonical spelling."""
    spelled = [[type(part).__name__, asdict(part)] if hasattr(part, "__dataclass_fields__") else part for part in parts]  # pyright: ignore[reportArgumentType]
    text = json.dumps(spelled, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
