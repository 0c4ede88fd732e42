"""Do verdicts depend on how numbers are computed? All claims of the demo under other threads, kernels and precision.

    python -m bench.numerics                     every setting; one that was judged already is not judged again
    python -m bench.numerics --settings float64 -- -k nb04 --quick

Each setting judges with a store of its own, so that nothing is shared but the models; what stands behind `--` goes to
pytest. The table compares evidence, estimates and verdicts with those of the first setting. Exit code 1 where a verdict
differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.numeric_settings import SETTINGS, VARIABLE

ROOT = Path(__file__).resolve().parent.parent
PLAIN = next(iter(SETTINGS))
PLUGIN = "bench.numeric_settings"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def judge(setting: str, out: Path, more: list[str]) -> Path:
    """Judge the demo under a setting, unless that was done; return its folder, with `results` and `store` in it."""
    folder = out / setting
    if not (folder / "results" / "verdicts.jsonl").is_file():
        threads = SETTINGS[setting].threads
        command = [
            sys.executable,
            "-m",
            "pytest",
            "claims",
            "-q",
            "-p",
            "bench.numeric_settings",
            "-n",
            str(2 // threads),
        ]
        places = ["--store", str(folder / "store"), "--results", str(folder / "results")]
        environment = os.environ | dict.fromkeys(THREADS, str(threads)) | {VARIABLE: setting, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, *places, *more], cwd=ROOT, env=environment, check=False)  # noqa: S603 (ourselves)
        if done.returncode > 1:
            raise SystemExit(f"{setting}: pytest ended with {done.returncode}")
    return folder


def ledger(folder: Path) -> dict[str, dict[str, Any]]:
    """Return a run's lines by claim."""
    lines = (folder / "results" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["id"]: line for line in map(json.loads, lines)}


def evidence(folder: Path) -> dict[str, Any]:
    """Return a run's arrays by all of their key but what the setting itself puts there."""
    from jacprobe.store.entry import Entry

    free = ("gemm", "dtype")
    entries = [Entry(path.parent) for path in (folder / "store").glob("*/zarr.json")]
    return {json.dumps({k: v for k, v in e.key.items() if k not in free}, sort_keys=True): e.open() for e in entries}


def farthest(plain: Path, other: Path) -> dict[str, tuple[float, int]]:
    """Return for each probe the largest difference of a value, relative to the array's largest, and its arrays.

    Raises
    ------
    ValueError
        No array, or other arrays, in one of the two stores.
    """
    ours, theirs = evidence(plain), evidence(other)
    if not ours or ours.keys() != theirs.keys():
        raise ValueError(f"{len(ours.keys() ^ theirs.keys())} arrays stand in one store only, of {len(ours)}")
    found: dict[str, tuple[float, int]] = {}
    for name, array in ours.items():
        if array.dtype.kind != "f":
            continue
        a, b = array.values.astype(float), theirs[name].values.astype(float)
        probe, size = json.loads(name)["probe"], np.nanmax(np.abs(a), initial=0.0)
        differ = float(np.nanmax(np.abs(a - b), initial=0.0) / size) if size else 0.0
        worst, count = found.get(probe, (0.0, 0))
        found[probe] = (max(worst, differ), count + 1)
    return found


def shifts(plain: Path, other: Path) -> list[tuple[float, str, str, str]]:
    """Return (shift of the effect in half-widths of its interval, claim, verdict, other verdict), largest first.

    Of a claim without an interval, such as a share or an error of rounding, it is the difference itself.
    """
    ours, theirs = ledger(plain), ledger(other)
    found = []
    for claim, line in ours.items():
        a, b = line.get("effect"), theirs[claim].get("effect")
        shift = 0.0
        if a is not None and b is not None:
            low, high = line.get("ci") or (None, None)
            half = (high - low) / 2 if low is not None and high is not None else 0.0
            shift = abs(a - b) / (half or 1.0)
        found.append((float(shift), claim, line["verdict"], theirs[claim]["verdict"]))
    return sorted(found, reverse=True)


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print rows as a Markdown table."""
    print("\n" + "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)))


def main() -> int:
    """Judge, print the tables, and tell whether a verdict changed."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    asked.add_argument("--out", type=Path, default=Path("build/numerics"))
    asked.add_argument("more", nargs="*", help="options for pytest, behind --")
    given = asked.parse_args()
    out: Path = given.out.resolve()
    plain, changed = judge(PLAIN, out, given.more), 0
    rows: list[list[str]] = []
    arrays: dict[str, dict[str, tuple[float, int]]] = {}
    for setting in (name for name in given.settings if name != PLAIN):
        if refused := SETTINGS[setting].refused():
            print(f"{setting}: not judged, {refused}")
            continue
        other = judge(setting, out, given.more)
        moved = shifts(plain, other)
        flipped = [f"{claim}: {before}, {after}" for _, claim, before, after in moved if before != after]
        changed += len(flipped)
        print("\n".join(f"{setting}: {line}" for line in flipped))
        shift, claim, *_ = moved[0]
        rows.append([setting, SETTINGS[setting].meaning, f"{len(flipped)} of {len(moved)}", f"{shift:.1e}", claim])
        arrays[setting] = farthest(plain, other)
    table(["setting", "meaning", "verdicts that differ", "largest shift of an effect, half-widths", "of"], rows)
    by_probe = []
    for probe in sorted({probe for found in arrays.values() for probe in found}):
        counted = [found[probe] for found in arrays.values()]
        by_probe.append([probe, str(counted[0][1]), *(f"{worst:.0e}" for worst, _ in counted)])
    table(["probe", "arrays", *arrays], by_probe)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
