"""Which rule in which world, judged by which criterion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench import worlds_of_matrices as matrices
from bench import worlds_of_models as models
from bench import worlds_of_units as units
from bench.worlds import Draw
from jacprobe.verdicts.criteria import Above, Below, Criterion, Reproduces

WORLDS = ("iid", "hubs", "clusters")


@dataclass(frozen=True)
class Case:
    """One rule in one world.

    `kind` is "null" (SUPPORTED would be false), "power" (SUPPORTED would be right, and has to come), "reported" (right,
    but power is only reported) or "coverage" (only the interval).
    `interval` says whether the 95 % interval has the true effect to cover; `share` how many of the runs are made.
    """

    rule: str
    world: str
    n: int
    simulate: Callable[[np.random.Generator], Draw]
    criterion: Criterion
    kind: str = "null"
    interval: bool = True
    share: float = 1.0

    @property
    def id(self) -> str:
        """The case in one word."""
        return f"{self.rule}-{self.world}-{self.n}".replace(" ", "_")


def case(
    rule: str,
    world: str,
    n: int,
    simulate: Callable[..., Draw],
    criterion: Criterion,
    *,
    kind: str = "null",
    interval: bool = True,
    share: float = 1.0,
    label: str = "",
    **more: object,
) -> Case:
    """Return a case under the name of its world or a `label`; `more` goes to the simulation."""
    made = partial(simulate, world=world, n=n, **more)
    return Case(rule, label or world, n, made, criterion, kind, interval, share)


def cases() -> list[Case]:
    """Return every rule in every world it has to withstand."""
    return [*_power(), *_sets(), *(one for n in (60, 225) for one in (*_pairs(n), *_units(n))), *_coverage()]


def _power() -> Iterator[Case]:
    found = Above(0, 0.1)
    related = partial(case, "C", n=225, simulate=matrices.correlation, criterion=found, shared=0.08, share=0.5)
    yield related(world="iid", kind="power", label="r = .08")
    yield related(world="hubs", kind="reported", label="r = .08, hubs")
    yield case(
        "A k=20", "iid", 225, matrices.coherence, found, k=20, biased=False, shift=0.6, kind="power", label="planted"
    )
    yield case(
        "H", "hubs", 225, units.clusterings, Above(0, 0.05), same=0.4, kind="power", share=0.5, label="40 % agree"
    )
    yield case("P", "iid", 225, models.two_vectors, found, r=0.5, kind="power", label="r = .45")


def _sets() -> Iterator[Case]:
    found = Above(0, 0.1)
    for n, k in ((60, 8), (60, 15), (225, 8), (225, 20)):
        for world in ("iid", "hubs", "magnitude", "clusters"):
            yield case(f"A k={k}", world, n, matrices.coherence, found, k=k, biased=False)
        for world in ("hubs", "magnitude"):
            label = f"{world}, set of hubs"
            yield case(f"A k={k}", world, n, matrices.coherence, found, k=k, biased=True, interval=False, label=label)
    for n, k in ((60, 10), (225, 20)):
        for world in WORLDS:
            yield case(f"B k={k}", world, n, matrices.coherence_difference, found, k=k)


def _pairs(n: int) -> Iterator[Case]:
    share = 0.5 if n > 100 else 1.0
    for world in (*WORLDS, "weak magnitude", "strong magnitude", "outliers"):
        yield case("C", world, n, matrices.correlation, Above(0, 0.1), interval=world in WORLDS, share=share)
    for world in WORLDS:
        yield case("C paired", world, n, matrices.correlation_difference, Above(0, 0.1))
        yield case("D", world, n, matrices.cluster, Above(0, 0.005), share=share)
        yield case("D paired", world, n, matrices.cluster_difference, Above(0, 0.1))


def _units(n: int) -> Iterator[Case]:
    for world in WORLDS:
        for k in (4, 10):
            yield case(f"E k={k}", world, n, units.contrast, Above(0, 0.25), k=k)
        yield case("E paired", world, n, units.paired, Above(0, 0.25))
        yield case("E own gene", world, n, units.own_gene, Below(0, 0.05))
        yield case("F", world, n, units.rank, Below(0), share=0.5)
        yield case("G", world, n, units.profiles, Above(0, 0.05), share=0.5)
        yield case("G anti-correlated", world, n, units.anticorrelated, Above(0, 0.05), share=0.5)
        yield case("H", world, n, units.clusterings, Above(0, 0.05), share=0.5)
        yield case("H paired", world, n, units.clusterings_difference, Above(0, 0.05), share=0.5)
        # The interval of outputs is that of the cluster picked, without allowance for the picking.
        for which in ("enrichment", "coclustering", "difference", "outputs"):
            bar = Above(0, 2 if which == "outputs" else 0.1)
            yield case(f"I {which}", world, n, units.together, bar, k=12, which=which, interval=which != "outputs")
        for which, sesoi in (("neighbours", 2), ("purity", 0.1), ("recall", 0.1)):
            yield case(f"J {which}", world, n, units.nearest, Above(0, sesoi), k=12, biased=False, which=which)
        yield case("L", world, n, models.learned, Above(0, 0.1))
        yield case("P", world, n, models.two_vectors, Above(0, 0.1))
    large = "set of large"
    yield case("E k=10", "iid", n, units.contrast, Above(0, 0.25), k=10, biased=True, interval=False, label=large)
    for which in ("neighbours", "purity"):
        label, bar = "hubs, family of hubs", Above(0, 0.1)
        yield case(
            f"J {which}", "hubs", n, units.nearest, bar, k=12, biased=True, which=which, interval=False, label=label
        )


def _coverage() -> Iterator[Case]:
    for world in ("iid", "heavy tails"):
        for n in (5, 20):
            yield case("N", world, n, models.reproduction, Reproduces(0, 0.02), kind="coverage")
    for n in (5, 20):
        yield case("N spread", "iid", n, models.spread, Above(0.05), kind="coverage")
        yield case("F outranks", "iid", n, units.outranking, Above(0.95), kind="coverage")
    for world in WORLDS:
        yield case("G largest", world, 60, units.largest, Below(0.4), kind="coverage")
        yield case("G below", world, 60, units.below, Above(0.5), kind="coverage")
