"""What a measure returns: an effect with its interval, its p and everything a verdict needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jacprobe.errors import ClaimError

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]
Alternative = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class Null:
    """A null distribution that an effect was compared with.

    Attributes
    ----------
    name
        What is exchangeable under it, in words: "random sets of the same size".
    p
        Monte Carlo p, (1 + #{null >= observed}) / (draws + 1), or an exact p; of the estimate's `alternative`.
    mean, sd
        Moments of the effect under the null, in the effect's unit.
    draws
        Number of draws B; 0 where the p is exact.
    least_p
        The least p that this null can give at all (1 / (B + 1), or one over the number of labellings).
    samples
        The drawn null effects, for figures; may be None.
    """

    name: str
    p: float
    mean: float
    sd: float
    draws: int
    least_p: float
    samples: np.ndarray | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Estimate:
    """A measured effect, not yet judged.

    Attributes
    ----------
    effect
        The quantity that the claim is about.
    n
        Units used, after drops.
    ci
        Two-sided 95 % interval of the effect, or None where nothing is random (rule O).
    ci90
        Two-sided 90 % interval; its ends are the one-sided 95 % bounds that threshold and null criteria use.
    p
        The p to be judged: of several nulls the largest (intersection-union). None for numeric and exact claims.
    alternative
        The side of `p`.
    nulls
        The nulls behind `p`, primary first. A claim whose first null alone is beaten is confounded.
    mde
        Minimum detectable effect at 80 % power, in the unit of `effect`.
    least_n, least_n_null
        Fewest units for a verdict that there is an effect, and for one that there is none.
    caution
        A reason that bars a verdict that there is an effect although the p is small (an outlier carries it, another
        training seed gives as much), or None.
    dropped
        Units left out, by name.
    flags
        Remarks that belong beside the verdict.
    as_published
        The original's own statistic and test on the same evidence.
    diagnostics
        Everything else worth reading: JSON-serialisable.
    parts
        The estimates that a paired difference is made of: {"a": ..., "b": ...}.
    replicates
        The effect without each unit (the delete-one jackknife behind `ci`), by the unit's name; empty where `ci` is
        made otherwise. Two models are compared by them, unit by unit (rule M); an interval that also allows for draws
        or copies is wider than they make it.
    sources
        Entries of the evidence store that it was measured on, with their checksums; filled in by judging.
    """

    effect: float
    n: int
    ci: Interval | None = None
    ci90: Interval | None = None
    p: float | None = None
    alternative: Alternative = "greater"
    nulls: tuple[Null, ...] = ()
    mde: float | None = None
    least_n: int = 0
    least_n_null: int = 0
    caution: str | None = None
    dropped: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    as_published: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Estimate] = field(default_factory=dict)
    replicates: Mapping[str, float] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what no measure may return."""
        if self.alternative not in ("greater", "less", "two-sided"):
            raise ClaimError(f"alternative {self.alternative!r}", "'greater', 'less' or 'two-sided'", where="Estimate")
        if not math.isfinite(self.effect):
            raise ClaimError(f"effect {self.effect}", "a finite number", where="Estimate")
        if self.p is not None and not 0 < self.p <= 1:
            raise ClaimError(f"p = {self.p}", "0 < p <= 1 (a Monte Carlo p is never 0)", where="Estimate")
        for name in ("ci", "ci90"):
            interval = getattr(self, name)
            if interval is not None and not interval[0] <= interval[1]:
                raise ClaimError(f"{name} = {interval}", "low <= high", where="Estimate")

    def __repr__(self) -> str:
        """Return effect, interval, p and n; the rest stands in the attributes."""
        words = [f"effect {self.effect:.3g}"]
        words += [f"[{self.ci[0]:.3g}, {self.ci[1]:.3g}]"] if self.ci is not None else []
        more = [f"p = {self.p:.2g}"] if self.p is not None else []
        more += [f"n = {self.n}"]
        more += [f"nulls: {' and '.join(null.name for null in self.nulls)}"] if self.nulls else []
        more += [f"caution: {self.caution}"] if self.caution else []
        return f"<Estimate {', '.join([' '.join(words), *more])}>"

    @property
    def least_p(self) -> float:
        """The least p attainable: the largest over the nulls; 0 where no null has a granularity."""
        return max((null.least_p for null in self.nulls), default=0.0)
