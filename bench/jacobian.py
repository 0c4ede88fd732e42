"""Cost of the Jacobian core at the published shape: CPU seconds, memory and accuracy, each beside a GEMM probe.

    python -m bench.jacobian                     all parts but the longest
    python -m bench.jacobian --full              the published call on all 2,000 rows too
    python -m bench.jacobian --parts local knockout --json out.json

Each part runs in a process of its own, on one thread, over a random model of the published shape. Ratios are between
CPU seconds of one run. Rates and memory are this machine's; arithmetic is the model's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from bench.jacobian_parts import (
    GENES,
    KDS,
    PARTS,
    REGULATORS,
    ROOT,
    TARGETS,
    TRIPLES,
    collect_as_worker,
    forward_gflop,
    gemm_rates,
    local_gflop,
)


def run_part(name: str, full: bool) -> dict[str, float]:
    """Run a part in a process of its own and return what it printed last."""
    command = [sys.executable, "-m", "bench.jacobian", "--one", name, *(["--full"] if full else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (this file, with its own arguments)
    if done.returncode:
        raise SystemExit(f"part {name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def environment() -> dict[str, str]:
    """Return what the figures depend on."""
    import numpy as np
    import torch

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": os.environ["OMP_NUM_THREADS"],
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def rows_of(found: dict[str, dict[str, float]]) -> list[tuple[str, str, str, str]]:
    """Return the table: what, measured, wanted, at which GEMM rate."""
    table = []

    def row(part: str, what: str, value: str, wanted: str) -> None:
        rate = max(rate for name, rate in found[part].items() if name.startswith("gemm_"))
        table.append((what, value, wanted, f"{rate:.0f}"))

    if "autograd" in found:
        a = found["autograd"]
        rows = int(a["rows"])
        said = "" if rows == GENES else f" ({rows} rows, scaled)"
        row("autograd", f"published call, CPU-s per KD{said}", f"{a['scaled_cpu_s']:.0f}", "")
        row(
            "autograd",
            f"published call, MiB above the model{'' if rows == GENES else f' for {rows} rows'}",
            f"{a['mib']:.0f}",
            "",
        )
    for engine, least, most in (("generic", 5, 300), ("local", 40, 400)):
        if engine in found:
            e = found[engine]
            row(engine, f"{engine}, CPU-s per KD", f"{e['cpu_s']:.1f}", "")
            row(engine, f"{engine}, MiB above the model", f"{e['mib']:.0f}", f"<= {most}")
            if "autograd" in found:
                ratio = found["autograd"]["scaled_cpu_s"] / e["cpu_s"]
                row(engine, f"{engine} against the published call", f"{ratio:.1f} x", f">= {least} x")
    if "local" in found:
        e = found["local"]
        rate = max(rate for name, rate in e.items() if name.startswith("gemm_"))
        floor = local_gflop() / rate
        row("local", f"local against its floor, {local_gflop():.0f} GFLOP", f"{e['cpu_s'] / floor:.2f} x", "<= 1.5 x")
        row("local", "three KDs against three times one", f"{e['three_kds_cpu_s'] / e['cpu_s'] / 3:.2f} x", "1 x")
    if "targeted" in found:
        t = found["targeted"]
        row("targeted", f"panel of 2,024 KDs x {TARGETS * REGULATORS} pairs, CPU-s", f"{t['cpu_s']:.0f}", "")
        ratio = t["triples_scaled_cpu_s"] / t["cpu_s"]
        row(
            "targeted",
            f"panel against one backward per triple ({TRIPLES} triples, scaled)",
            f"{ratio:.0f} x",
            ">= 100 x",
        )
    if "knockout" in found:
        k = found["knockout"]
        for what in ("knockout", "delta"):
            ratio = k["predict_step_cpu_s"] / k[f"{what}_cpu_s"]
            row("knockout", f"{what}, CPU-s each", f"{k[f'{what}_cpu_s']:.3f}", "")
            row("knockout", f"{what} against predict_step one by one", f"{ratio:.2f} x", ">= 2.5 x")
        floor = forward_gflop() / max(rate for name, rate in k.items() if name.startswith("gemm_"))
        row(
            "knockout",
            f"knockout against its floor, {forward_gflop():.1f} GFLOP",
            f"{k['knockout_cpu_s'] / floor:.2f} x",
            "",
        )
    if "accuracy" in found:
        a = found["accuracy"]
        row(
            "accuracy",
            f"fp32 against float64 ({int(a['rows_near_kink'])} rows left out)",
            f"{a['fp32_error']:.1e}",
            "<= 2e-6",
        )
        row("accuracy", "float64 local against generic", f"{a['float64_local_against_generic']:.1e}", "<= 1e-12")
    if "similarity" in found:
        e = found["similarity"]
        row("similarity", f"similarity of {KDS:,} KDs from disk, CPU-s", f"{e['cpu_s']:.0f}", "")
        row("similarity", f"similarity of {KDS:,} KDs from disk, MiB", f"{e['mib']:.0f}", "<= 2048")
    if "workers" in found:
        w = found["workers"]
        row(
            "workers",
            "two processes against one, by CPU seconds",
            f"{2 * w['cpu_s_1'] / w['cpu_s_2']:.2f} x",
            ">= 1.8 x",
        )
        row("workers", "two processes against one, by the clock", f"{w['wall_s_1'] / w['wall_s_2']:.2f} x", ">= 1.8 x")
    return table


def main() -> None:
    """Run parts, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--full", action="store_true", help="all 2,000 rows of the published call")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        collect_as_worker(given.worker)
        return
    if given.one:
        before = gemm_rates()
        result = PARTS[given.one](given.full)
        after = gemm_rates()
        print(json.dumps(result | {name: max(rate, after[name]) for name, rate in before.items()}))
        return
    found = {}
    for name in given.parts:
        found[name] = run_part(name, given.full)
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    table = [("what", "measured", "wanted", "GEMM GFLOP/s"), *rows_of(found)]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    for row in table:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if row is table[0]:
            print("| " + " | ".join("-" * width for width in widths) + " |")
    whole = {"environment": environment(), "parts": found}
    if given.json:
        given.json.write_text(json.dumps(whole, indent=1) + "\n")
    print(json.dumps(whole["environment"]))


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
