"""Speed of the permutation tests beside other libraries, one thread, one run.

    OMP_NUM_THREADS=1 python -m bench.rules > bench/STATISTICS.md

scikit-bio comes with the extra `test`. `mantel` and rsatoolbox are taken if they are there:
pip install --no-deps mantel rsatoolbox tqdm.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jacprobe.stats import hubs, matrix_correlation, moments, nulls
from jacprobe.stats.semipartial import double_semipartial

DRAWS = 9999


def main() -> None:
    """Time every method on the same two matrices and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="the least of this many runs counts (at n = 225)")
    parser.add_argument("--slow-draws", type=int, default=99, help="draws timed of the slow methods, scaled to 9,999")
    parser.add_argument("--sizes", type=int, nargs="+", default=(2023, 225))
    given = parser.parse_args()
    print("# Statistics: speed\n")
    print("<!-- not run: takes minutes -->\n```sh")
    print("OMP_NUM_THREADS=1 python -m bench.rules > bench/STATISTICS.md\n```\n")
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__},")
    print(f"OMP_NUM_THREADS={threads}. CPU s for {DRAWS:,} permutations of two similarity matrices; * scaled up from")
    print("fewer permutations. Ratios are to scikit-bio in the same run.\n")
    print("| method | n | CPU s | of scikit-bio | peak MiB of the process so far |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for n in given.sizes:
        compare(n, given.repeat if n < 1000 else 1, given.slow_draws)
    sets(given.repeat)


def compare(n: int, repeat: int, slow_draws: int) -> None:
    """Time the Mantel test of two n x n matrices by every method that is installed."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 30))
    A, B = (_symmetric(np.atleast_2d(np.corrcoef(M))) for M in (X, 0.3 * X + rng.normal(size=(n, 30))))
    plain = hubs.design([], (), n)

    def qap(scheme: Any, draws: int) -> object:
        return double_semipartial(A, B, plain, rng, draws, scheme)

    def rule(draws: int) -> object:
        return matrix_correlation(A, B, rng, permutations=draws)

    ours = {
        "jacprobe, cyclic FFT": (lambda: partial(qap, "cyclic"), DRAWS),
        "jacprobe, exact gather": (lambda: partial(qap, "independent"), DRAWS),
        "jacprobe, rule C whole: four p and jackknives": (lambda: rule, DRAWS),
    }
    others = {
        "scikit-bio mantel": (partial(_scikit_bio, A, B), DRAWS if n < 1000 else slow_draws),
        "mantel package": (partial(_mantel, A, B), slow_draws),
        "rsatoolbox": (partial(_rsatoolbox, A, B), slow_draws),
    }
    times: dict[str, tuple[float | None, bool, float]] = {}
    # Each library is imported only when its turn comes, so that it does not count in the memory of those before it.
    for name, (prepare, draws) in {**ours, **others}.items():
        call = prepare()
        if call is None:
            times[name] = (None, False, 0.0)
            continue
        call(39)
        seconds = min(_seconds(partial(call, draws)) for _ in range(repeat))
        times[name] = (seconds * DRAWS / draws, draws < DRAWS, _peak())
    reference = times["scikit-bio mantel"][0]
    for name, (seconds, scaled, peak) in times.items():
        if seconds is None:
            print(f"| {name} | {n:,} | not installed or not usable | | |")
        else:
            ratio = f"{seconds / reference:.3f}" if reference else ""
            print(f"| {name} | {n:,} | {seconds:.2f}{'*' if scaled else ''} | {ratio} | {peak:.0f} |")


def sets(repeat: int) -> None:
    """Time 5,000 random sets of four sizes at n = 2,023."""
    rng = np.random.default_rng(0)
    S = _symmetric(np.atleast_2d(np.corrcoef(rng.normal(size=(2023, 30)))))
    print("\n| 5,000 random sets of k of 2,023 | k | CPU s |\n| --- | ---: | ---: |")
    for k in (5, 15, 37, 71):
        seconds = min(
            _seconds(lambda k=k: moments.mean_within(S, nulls.random_subsets(rng, 2023, k, 5000)))
            for _ in range(repeat)
        )
        print(f"| drawn and averaged | {k} | {seconds:.3f} |", flush=True)


def _scikit_bio(A: np.ndarray, B: np.ndarray) -> Callable[[int], object] | None:
    library = _imported("skbio.stats.distance")
    if library is None:
        return None
    a, b = (library.DistanceMatrix(_distance(S)) for S in (A, B))
    return lambda draws: library.mantel(a, b, permutations=draws, alternative="greater")


def _mantel(A: np.ndarray, B: np.ndarray) -> Callable[[int], object] | None:
    library = _imported("mantel")
    if library is None:
        return None
    upper = np.triu_indices(len(A), 1)
    a, b = _distance(A)[upper], _distance(B)[upper]
    return lambda draws: library.test(a, b, perms=draws, tail="upper")


def _rsatoolbox(A: np.ndarray, B: np.ndarray) -> Callable[[int], object] | None:
    rdm, compare = _imported("rsatoolbox.rdm"), _imported("rsatoolbox.rdm.compare")
    if rdm is None or compare is None:
        return None
    upper = np.triu_indices(len(A), 1)
    fixed = rdm.RDMs(_distance(B)[upper][None])
    moving, rng = _distance(A), np.random.default_rng(0)

    def test(draws: int) -> None:
        for _ in range(draws):
            p = rng.permutation(len(moving))
            compare.compare(rdm.RDMs(moving[np.ix_(p, p)][upper][None]), fixed, method="corr")

    return test


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _symmetric(S: np.ndarray) -> np.ndarray:
    return (S + S.T) / 2


def _distance(S: np.ndarray) -> np.ndarray:
    D = 1 - S
    np.fill_diagonal(D, 0.0)
    return D


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
