"""Cost of the Jacobian core at the published shape: CPU seconds, memory and accuracy, each beside a GEMM probe.

    python bench/jacobian.py                     all parts but the longest
    python bench/jacobian.py --full              the published call on all 2,000 rows too
    python bench/jacobian.py --parts local knockout --json out.json

Each part runs in a process of its own, on one thread, over a random model of the published shape. Ratios are between
CPU seconds of one run. Rates and memory are this machine's; arithmetic is the model's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

ROWS = 100  # of the published call unless --full: its cost is one backward pass per row
KNOCKOUTS, TRIPLES = 12, 3
TARGETS, REGULATORS = 4, 5

D, S, LAYERS, HEADS, HEAD, INNER, GENES = 328, 64, 8, 12, 64, 3072, 2000


def local_gflop() -> float:
    """Return the products of the local rules for one knockdown, in 1e9 operations; elementwise work is left out."""
    scores = HEADS * (2 * S + HEAD) * D * D
    mixing = HEADS * 2 * S * HEAD * D
    attention = scores + mixing + HEADS * HEAD * D * D
    mlp = D * INNER * D + D * D * D
    return 2e-9 * (S * (LAYERS * (attention + mlp) - scores) + S * GENES * D * D)


def forward_gflop(sets: int = 1) -> float:
    """Return the products of one prediction of S cells."""
    layer = 4 * HEADS * HEAD * D + 2 * S * HEADS * HEAD + 3 * D * INNER
    return 2e-9 * sets * S * (LAYERS * layer + D * GENES)


def published_model(dtype: str = "float32") -> tuple[Any, Any]:
    """Return a random model of the published shape and 64 control cells."""
    import numpy as np

    from fixtures.run_folders import PUBLISHED, random_cells, write_run_folder
    from jacprobe.models.state import load_run

    with tempfile.TemporaryDirectory() as folder:
        model = load_run(write_run_folder(Path(folder), PUBLISHED, rng=np.random.default_rng(0)), dtype=dtype)
    return model, random_cells(PUBLISHED, np.random.default_rng(1), S)


def measured(compute: Callable[[], object], times: int = 1) -> dict[str, float]:
    """Run and return CPU and wall seconds of one call (the least of `times`) and the peak memory above the start."""
    cpu, wall = [], []
    start_memory = _reset_peak()
    for _ in range(times):
        begun, process = time.perf_counter(), time.process_time()
        compute()
        cpu.append(time.process_time() - process)
        wall.append(time.perf_counter() - begun)
    return {"cpu_s": min(cpu), "wall_s": min(wall), "mib": (_peak() - start_memory) / 2**20}


def _reset_peak() -> float:
    """Start a new memory peak where Linux allows it, and return the memory held now, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> float:
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(field: str) -> float:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(lines[field].split()[0]) * 1024


def gemm_rates() -> dict[str, float]:
    """Return GFLOP/s and errors of every way to multiply, now."""
    from jacprobe.jacobian.gemm import probe

    probe.cache_clear()
    return {f"gemm_{g.way}": g.gflops for g in probe()} | {f"error_{g.way}": g.error for g in probe()}


def part_autograd(full: bool) -> dict[str, float]:
    """Time the published call."""
    import torch

    from jacprobe.jacobian.generic import jacobian_autograd
    from jacprobe.probes.sets import encode

    model, cells = published_model()
    prepared = encode(model, cells)
    rows = GENES if full else ROWS
    pert = prepared.vectors.narrow(0, 0, 1)
    given = (prepared.encoded.unsqueeze(0), pert, prepared.batch.unsqueeze(0))
    found = measured(lambda: jacobian_autograd(model.forward, *given, rows=slice(rows)))
    assert torch.get_num_threads() == 1
    return found | {"rows": rows, "scaled_cpu_s": found["cpu_s"] * GENES / rows}


def part_engine(engine: Literal["generic", "local"]) -> dict[str, float]:
    """Time one knockdown by one of our engines, after its preparation."""
    from jacprobe.probes.routing import pert_jacobian

    model, cells = published_model()
    jacobian: list[Any] = []
    preparing = measured(lambda: jacobian.append(pert_jacobian(model, cells, engine=engine)))
    found = measured(lambda: jacobian[0](model.perturbations[0]), times=3 if engine == "local" else 1)
    found |= {"prepare_cpu_s": preparing["cpu_s"], "prepare_mib": preparing["mib"]}
    if engine == "local":
        several = measured(lambda: [jacobian[0](kd) for kd in model.perturbations[1:4]])
        found |= {"three_kds_cpu_s": several["cpu_s"], "three_kds_mib": several["mib"]}
    return found


def part_targeted() -> dict[str, float]:
    """Time the panel of 2,024 knockdowns x 20 pairs against one backward pass per triple over repeated mean cells."""
    import torch

    from jacprobe.probes.sets import encode
    from jacprobe.probes.targeted import targeted_jacobian

    model, cells = published_model()
    regulators, targets = model.genes[:REGULATORS], model.genes[100 : 100 + TARGETS]
    panel = measured(lambda: targeted_jacobian(model, cells, regulators, targets, cells="mean"))
    prepared = encode(model, cells)
    index = [model.genes.index(gene) for gene in targets]

    def triple(kd: int) -> None:
        x = prepared.values.mean(dim=0).expand(S, -1).clone().requires_grad_()
        Y = model.forward(
            model.encode_cells(x.unsqueeze(0)), prepared.vectors[kd : kd + 1], prepared.batch.unsqueeze(0)
        )
        torch.autograd.grad(Y[0, :, index[kd % TARGETS]].mean(), x)

    one = measured(lambda: [triple(kd) for kd in range(TRIPLES)])
    triples = len(model.perturbations) * TARGETS * REGULATORS
    return panel | {"triple_cpu_s": one["cpu_s"] / TRIPLES, "triples_scaled_cpu_s": one["cpu_s"] / TRIPLES * triples}


def part_knockout() -> dict[str, float]:
    """Time knockouts and responses against the model's own `predict_step`, one by one."""
    import torch

    from jacprobe.probes.knockout import knockout
    from jacprobe.probes.response import delta

    model, cells = published_model()
    kos = measured(lambda: knockout(model, cells, model.genes[:KNOCKOUTS]), times=2)
    kds = measured(lambda: delta(model, cells, model.perturbations[:KNOCKOUTS]), times=2)
    x, batch = torch.tensor(cells, dtype=model.dtype).unsqueeze(0), torch.zeros(1, S, dtype=torch.long)

    def one_by_one() -> None:
        with torch.no_grad():
            for i in range(KNOCKOUTS):
                model.predict_step(x, torch.tensor([i]), batch)

    alone = measured(one_by_one, times=2)
    return {
        "knockout_cpu_s": kos["cpu_s"] / KNOCKOUTS,
        "delta_cpu_s": kds["cpu_s"] / KNOCKOUTS,
        "predict_step_cpu_s": alone["cpu_s"] / KNOCKOUTS,
        "mib": kos["mib"],
    }


def part_accuracy() -> dict[str, float]:
    """Compare fp32 with float64, and float64 local rules with forward mode along a few directions."""
    import torch

    from jacprobe.jacobian.blocks import recognise
    from jacprobe.jacobian.gemm import Gemm, choose
    from jacprobe.jacobian.generic import tangents
    from jacprobe.jacobian.local import local_jacobian
    from jacprobe.probes.sets import encode

    def sets(model: Any) -> tuple[Any, ...]:
        prepared = encode(model, cells)
        return prepared.encoded.unsqueeze(0), prepared.vectors.narrow(0, 0, 1), prepared.batch.unsqueeze(0)

    single, cells = published_model()
    ours = local_jacobian(recognise(single), choose(single.device, single.dtype), *sets(single))
    double = single.to(dtype="float64")
    exact = local_jacobian(recognise(double), Gemm(), *sets(double))
    keep = ~exact.near_kink[0]
    difference = (ours.jacobian[0].double() - exact.jacobian[0])[keep]
    directions = torch.randn(4, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, slopes = tangents(double.forward, *sets(double), directions=directions)
    local = exact.jacobian[0] @ directions.T
    return {
        "fp32_error": float(difference.norm() / exact.jacobian[0][keep].norm()),
        "rows_near_kink": int((~keep).sum()),
        "float64_local_against_generic": float((local - slopes.squeeze(1).T).norm() / local.norm()),
    }


PARTS: dict[str, Callable[[bool], dict[str, float]]] = {
    "autograd": part_autograd,
    "generic": lambda _: part_engine("generic"),
    "local": lambda _: part_engine("local"),
    "targeted": lambda _: part_targeted(),
    "knockout": lambda _: part_knockout(),
    "accuracy": lambda _: part_accuracy(),
}


def run_part(name: str, full: bool) -> dict[str, float]:
    """Run a part in a process of its own and return what it printed last."""
    command = [sys.executable, __file__, "--one", name, *(["--full"] if full else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (this file, with its own arguments)
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
    return table


def main() -> None:
    """Run parts, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--full", action="store_true", help="all 2,000 rows of the published call")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
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
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
