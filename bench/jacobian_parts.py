"""The parts of the Jacobian benchmark: each sets up, measures and returns figures by name."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
ROWS = 100  # of the published call unless --full: its cost is one backward pass per row
KNOCKOUTS, ALONE, TRIPLES = 128, 32, 3  # a number of whole passes, beside the one of the unsilenced cells
TARGETS, REGULATORS = 4, 5
KDS, WORKER_KDS = 2023, 8

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
    found = measured(lambda: jacobian[0](model.perturbations[0]))
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
            for i in range(ALONE):
                model.predict_step(x, torch.tensor([i]), batch)

    alone = measured(one_by_one, times=2)
    return {
        "knockout_cpu_s": kos["cpu_s"] / KNOCKOUTS,
        "delta_cpu_s": kds["cpu_s"] / KNOCKOUTS,
        "predict_step_cpu_s": alone["cpu_s"] / ALONE,
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


def part_similarity() -> dict[str, float]:
    """Take the similarities of 2,023 Jacobians from disk: 5.3 GB of random numbers in a temporary store."""
    import numpy as np

    from jacprobe.probes.routing import similarity
    from jacprobe.store.store import Store

    labels = {"kd": [f"KD{i}" for i in range(KDS)], "gene": [f"G{i}" for i in range(GENES)], "latent": list(range(D))}
    with tempfile.TemporaryDirectory() as folder:
        entry = Store.at(folder).entry({"probe": "bench"}, labels, "float32", {})
        rng = np.random.default_rng(0)
        writing = measured(
            lambda: [entry.write(kd, rng.standard_normal((GENES, D), np.float32)) for kd in labels["kd"]]
        )
        reading = measured(lambda: [entry.has(kd) for kd in labels["kd"]])
        found = measured(lambda: similarity(entry.open()))
    return found | {"write_cpu_s": writing["cpu_s"], "check_cpu_s": reading["cpu_s"]}


def part_workers() -> dict[str, float]:
    """Collect the same Jacobians by one process and by two, of a model cut to two layers."""
    import numpy as np

    from fixtures.run_folders import PUBLISHED, write_run_folder

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        shape = dataclasses.replace(PUBLISHED, layers=2)
        write_run_folder(Path(folder) / "run", shape, rng=np.random.default_rng(0))
        for count in (1, 2):
            here = Path(folder) / str(count)
            here.mkdir()
            command = [sys.executable, "-m", "bench.jacobian", "--worker", str(here)]
            running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(count)]  # noqa: S603
            while len(list(here.glob("ready.*"))) < count:
                time.sleep(0.05)
            begun = time.perf_counter()
            (here / "go").touch()
            spent = [float(process.communicate()[0].splitlines()[-1]) for process in running]
            found |= {f"wall_s_{count}": time.perf_counter() - begun, f"cpu_s_{count}": sum(spent)}
    return found


def collect_as_worker(here: Path) -> None:
    """Fill a store beside other workers, and print the CPU seconds it took."""
    import numpy as np

    from fixtures.run_folders import PUBLISHED, random_cells
    from jacprobe.models.state import load_run
    from jacprobe.probes.routing import pert_jacobian
    from jacprobe.store.fill import fill
    from jacprobe.store.store import Store

    model = load_run(here.parent / "run")
    jacobian = pert_jacobian(model, random_cells(PUBLISHED, np.random.default_rng(1), S))
    labels = {"kd": list(model.perturbations), "gene": list(model.genes), "latent": list(range(D))}
    entry = Store.at(here / "store").entry({"probe": "bench"}, labels, "float32", {})
    (here / f"ready.{os.getpid()}").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    begun = time.process_time()
    fill(entry, jacobian, model.perturbations[:WORKER_KDS])
    print(time.process_time() - begun)


PARTS: dict[str, Callable[[bool], dict[str, float]]] = {
    "autograd": part_autograd,
    "generic": lambda _: part_engine("generic"),
    "local": lambda _: part_engine("local"),
    "targeted": lambda _: part_targeted(),
    "knockout": lambda _: part_knockout(),
    "accuracy": lambda _: part_accuracy(),
    "similarity": lambda _: part_similarity(),
    "workers": lambda _: part_workers(),
}
