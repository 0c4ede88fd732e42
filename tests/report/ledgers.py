"""Ledgers for tests of pages: a few lines of every kind, or thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.estimate import Estimate, Null
from jacprobe.verdicts.claim import Claim, Published
from jacprobe.verdicts.criteria import Above, AllOf, NotElevated
from jacprobe.verdicts.expectations import Expectation
from jacprobe.verdicts.judge import Judgement, Verdict
from jacprobe.verdicts.ledger import FIELDS, Entry, entry

if TYPE_CHECKING:
    from collections.abc import Sequence

ESCAPE = "\x1b[31mred\x1b[0m"
SCRIPT = "<script>alert('no')</script><img src=x onerror=alert(1)>"
PROVENANCE = {
    "models": {"fewshot/hepg2": {"run": "fewshot", "weights_sha256": "ab" * 32}},
    "study_sha256": "cd" * 32,
    "seed": 0,
    "quick": None,
    "versions": {"python": "3.11"},
}
# A ledger line that says nothing: what tests fill in as far as they need it.
BLANK: Entry = {
    **dict.fromkeys(FIELDS, ""),
    **dict.fromkeys(("family", "effect", "ci", "p", "p_adjusted", "n", "mde")),
    **{name: [] for name in ("models", "published", "expected", "flags")},
    **{name: {} for name in ("as_published", "diagnostics", "provenance")},
    "verdict": "SUPPORTED",
    "seconds": 0.0,
}
MOST_BYTES = 40_000  # of a figure: a report holds hundreds
DRAWS = np.random.default_rng(0).normal(0, 0.1, 999)


def line(
    name: str,
    verdict: Verdict = Verdict.SUPPORTED,
    *,
    effect: float = 0.5,
    expected: tuple[Verdict, ...] | None = (Verdict.SUPPORTED,),
    models: Sequence[str] = ("fewshot/hepg2",),
    **changes: Any,
) -> Entry:
    """Return the line of a claim with two nulls, controls and a published figure; `changes` replace its fields."""
    claim = Claim(
        name, f"The finding {name} holds.", "a mean", {}, Above(0, 0.1), "toy.measure", "cells",
        family=f"{name[:4]}/toy",
        published=(Published(0.31, "NB02 table"), Published("marginal", "overall")), published_effect=0.3,
        flags=("published from one checkpoint",),
    )  # fmt: skip
    nulls = tuple(Null(kind, 0.001, 0.0, 0.1, 999, 0.001, DRAWS) for kind in ("random sets", "matched sets"))
    estimate = Estimate(
        effect, 13, (effect - 0.2, effect + 0.2), (effect - 0.15, effect + 0.15), 0.001, nulls=nulls,
        as_published={"rank_sum": {"p": 4e-25, "pairs": 78}},
        diagnostics={"controls": {"untrained": list(DRAWS[:20])}, "members": ["MYC", "MAX"], "median": 0.45},
    )  # fmt: skip
    judged = Judgement(verdict, "because of the interval")
    stated = Expectation() if expected is None else Expectation(expected, "it was planted")
    made = entry(
        claim, judged, stated, study="toy", models=models, estimate=estimate, seconds=0.1,
        provenance={**PROVENANCE, "command": f"pytest claims/ --claim {name}"},
    )  # fmt: skip
    return made | changes


def composite(name: str, parts: tuple[str, ...], verdict: Verdict) -> Entry:
    """Return the line of a composite."""
    claim = Claim(name, f"The conclusion {name} holds.", "its parts", {}, AllOf(parts))
    return entry(
        claim, Judgement(verdict, f"{verdict}: {parts[-1]}"), Expectation(), study="toy", models=(), provenance={}
    )


def absent(name: str, reason: str = "no model of the role zeroshot/hepg2") -> Entry:
    """Return the line of a claim that was not evaluated."""
    claim = Claim(name, "Nothing was there.", "a mean", {}, NotElevated(0.1), "toy.measure", "cells")
    judged = Judgement(Verdict.NOT_EVALUATED, reason)
    return entry(claim, judged, Expectation(), study="toy", models=("zeroshot/hepg2",), provenance=PROVENANCE)


def few() -> list[Entry]:
    """Return a ledger with every verdict, an unexpected one, and hostile words wherever a ledger can have some."""
    hostile = line(
        "nb02-hostile",
        finding=f"A {SCRIPT} finding",
        statistic=f"the {SCRIPT} mean",
        reason=f"it {ESCAPE} says {SCRIPT}",
        flags=[SCRIPT, ESCAPE],
        models=["fewshot/hepg2", SCRIPT],
        published=[{"value": SCRIPT, "source": ESCAPE, "id": "X"}],
        as_published={SCRIPT: {"p": SCRIPT}},
        family=SCRIPT,
    )
    return [
        line("nb02-small", effect=0.2),
        line("nb02-large", effect=0.9, models=("fewshot/hepg2", "fewshot/jurkat")),
        hostile,
        line("nb05-gone", Verdict.REFUTED, effect=-0.4),
        line("nb05-open", Verdict.INCONCLUSIVE, effect=0.1, expected=None),
        line("nb05-broken", Verdict.ERROR),
        absent("nb06-absent"),
        composite("conclusion-both", ("nb02-small", "nb05-gone", "nb09-elsewhere"), Verdict.REFUTED),
    ]


def many(count: int) -> list[Entry]:
    """Return a ledger of `count` claims in 20 groups."""
    words = (Verdict.SUPPORTED, Verdict.REFUTED, Verdict.INCONCLUSIVE)
    return [
        line(f"nb{i % 20:02d}-claim-{i}", words[i % 3], effect=0.1 + (i * 7919 % count) / count) for i in range(count)
    ]
