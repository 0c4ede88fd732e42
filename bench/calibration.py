"""Do the rules hold their error rates: worlds with known truth, run through each rule and the judge.

    python -m bench.calibration --runs 1000 --out docs/calibration.csv

writes one line per rule and world, from which docs/statistics.md has its table.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from bench.worlds import Case, cases
from jacprobe.verdicts.judge import Verdict, judge


@dataclass(frozen=True)
class Rates:
    """What came out of many runs of one case; every rate has Monte Carlo error sqrt(r (1 - r) / runs)."""

    case: Case
    runs: int
    supported: float
    coverage: float | None
    components: dict[str, float]

    def error(self, rate: float) -> float:
        """Return the Monte Carlo standard error of a rate."""
        return math.sqrt(max(rate * (1 - rate), 1 / self.runs) / self.runs)


def run(case: Case, runs: int, seed: int = 0) -> Rates:
    """Simulate a case; its random stream depends on the seed and the case's own name alone."""
    rng = np.random.default_rng([seed, crc32(case.id.encode())])
    draws = [case.simulate(rng) for _ in range(runs)]
    supported = np.mean([judge(case.criterion, draw.estimate).verdict == Verdict.SUPPORTED for draw in draws])
    centre = float(np.mean([draw.estimate.effect for draw in draws]))
    coverage = None
    if case.interval:
        # Where the truth has no closed form it is the mean of the estimates over all runs.
        truths = [centre if draw.truth is None else draw.truth for draw in draws]
        bounds = [draw.estimate.ci or (math.nan, math.nan) for draw in draws]
        coverage = float(np.mean([low <= truth <= high for (low, high), truth in zip(bounds, truths, strict=True)]))
    components = {
        f"null {i + 1}": float(np.mean([draw.estimate.nulls[i].p <= 0.05 for draw in draws]))
        for i in range(len(draws[0].estimate.nulls))
    }
    naive = {name: float(np.mean([draw.naive[name] <= 0.05 for draw in draws])) for name in draws[0].naive}
    return Rates(case, runs, float(supported), coverage, components | naive)


def main() -> None:
    """Run all cases, or those whose id holds a given text, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=Path("docs/calibration.csv"))
    given = parser.parse_args()
    with given.out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["rule", "world", "n", "kind", "runs", "supported", "error", "coverage", "coverage_error", "components"]
        )
        for case in cases():
            if given.only not in case.id:
                continue
            started = time.monotonic()
            rates = run(case, max(50, int(given.runs * case.share)), given.seed)
            coverage = (
                ["", ""] if rates.coverage is None else [f"{rates.coverage:.3f}", f"{rates.error(rates.coverage):.3f}"]
            )
            parts = "; ".join(f"{name} {rate:.3f}" for name, rate in rates.components.items())
            line = [case.rule, case.world, case.n, case.kind, rates.runs, f"{rates.supported:.3f}"]
            table.writerow([*line, f"{rates.error(rates.supported):.3f}", *coverage, parts])
            file.flush()
            print(*line, *coverage, parts, f"{time.monotonic() - started:.0f}s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
