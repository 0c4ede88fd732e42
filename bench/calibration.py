"""Do the rules hold their error rates: worlds with known truth, run through each rule and the judge.

    python -m bench.calibration --runs 1000 --out docs/calibration.csv

adds one line per rule and world that the file does not have yet, and prints the table of docs/statistics.md.
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

from bench.cases import Case, cases
from jacprobe.verdicts.judge import Verdict, judge

HEADER = [
    "rule", "world", "n", "kind", "runs", "supported", "error", "coverage", "coverage_error", "components",
]  # fmt: skip


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
    """Run the cases that the table lacks, or those of them whose id holds a given text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=Path("docs/calibration.csv"))
    given = parser.parse_args()
    done = _done(given.out)
    with given.out.open("a", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if not file.tell():
            table.writerow(HEADER)
        for case in cases():
            if given.only not in case.id or (case.rule, case.world, str(case.n)) in done:
                continue
            started = time.monotonic()
            rates = run(case, max(50, int(given.runs * case.share)), given.seed)
            coverage = [] if rates.coverage is None else [f"{rates.coverage:.3f}", f"{rates.error(rates.coverage):.3f}"]
            parts = "; ".join(f"{name} {rate:.3f}" for name, rate in rates.components.items())
            line = [case.rule, case.world, case.n, case.kind, rates.runs, f"{rates.supported:.3f}"]
            line += [f"{rates.error(rates.supported):.3f}", *(coverage or ["", ""]), parts]
            table.writerow(line)
            file.flush()
            print(*line, f"{time.monotonic() - started:.0f}s", file=sys.stderr, flush=True)
    print(markdown(given.out))


def markdown(path: Path) -> str:
    """Return the table of a finished run for docs/statistics.md."""
    lines = ["| rule | world | n | runs | false or true SUPPORTED | coverage | components and naive tests, p <= .05 |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            coverage = f"{row['coverage']} ± {row['coverage_error']}" if row["coverage"] else ""
            right = {"null": "false", "power": "true", "reported": "true"}.get(row["kind"])
            verdict = f"{right} {row['supported']} ± {row['error']}" if right else ""
            cells = [row["rule"], row["world"], row["n"], row["runs"], verdict, coverage, row["components"]]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _done(path: Path) -> set[tuple[str, str, str]]:
    if not path.exists() or not path.stat().st_size:
        return set()
    with path.open(newline="") as file:
        return {(row["rule"], row["world"], row["n"]) for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
