"""Collecting on Dask at the published shape: two workers against one, and what the scheduler holds.

    python -m bench.cluster --json out.json          both parts
    python -m bench.cluster --parts workers --kds 8  more knockdowns; --layers 2 for less of a model
    python -m bench.cluster --study DIR              only write the study, to collect it at length

Workers are warm, each has read the weights and chosen its engine, before the clock starts. Speed-up is given by the
clock, which other work on the machine distorts, and by processor seconds, which say what free cores would do.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fixtures.random_study import write_random_study
from fixtures.run_folders import PUBLISHED, Shape

ROOT = Path(__file__).resolve().parent.parent
# Small enough that what is measured is the handing out of blocks.
TINY = dataclasses.replace(Shape(), perturbations=2024)
STEPS = (200, 1000, 2023)


def part_workers(kds: int, layers: int) -> dict[str, float]:
    """Collect the same Jacobians by one worker and by two."""
    from jacprobe.cluster.distribute import distribute
    from jacprobe.cluster.schedulers import Local, connected
    from jacprobe.cluster.work import Work
    from jacprobe.collect import tasks

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        study = write_random_study(
            Path(folder) / "published", dataclasses.replace(PUBLISHED, layers=layers), ("model",)
        )
        for count in (1, 2):
            work = Work(str(study), str(Path(folder) / f"store-{count}"))
            (task,) = tasks(work.open(), ["jacobian"])
            warming, timed = task.names[:count], task.names[count : count + kds]
            with connected(Local(count)) as client:
                client.wait_for_workers(count)
                # A block goes to whichever worker is free: with as many as workers, one to each.
                distribute(client, work, [dataclasses.replace(task, names=warming)])
                before: Any = client.run(time.process_time)
                begun = time.perf_counter()
                distribute(client, work, [dataclasses.replace(task, names=timed)])
                found[f"wall_s_{count}"] = time.perf_counter() - begun
                after: Any = client.run(time.process_time)
            found[f"cpu_s_{count}"] = sum(after.values()) - sum(before.values())
            found[f"busiest_cpu_s_{count}"] = max(after[worker] - before[worker] for worker in after)
    found |= {"kds": kds, "layers": layers}
    return found


def part_scheduler() -> dict[str, float]:
    """Collect ever more knockdowns of a tiny model, and read the memory of a scheduler in a process of its own."""
    from jacprobe.cluster.distribute import distribute
    from jacprobe.cluster.schedulers import Remote, connected
    from jacprobe.cluster.work import Work
    from jacprobe.collect import tasks

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        study = write_random_study(Path(folder) / "tiny", TINY, ("model",))
        file = Path(folder) / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        scheduler = _start("distributed.cli.dask_scheduler", *options)
        while not file.exists() or not file.read_text().strip():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        worker = _start("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        try:
            with connected(Remote(address)) as client:
                work = Work(str(study), str(Path(folder) / "store"))
                (task,) = tasks(work.open(), ["jacobian"])
                for kds in STEPS:
                    distribute(client, work, [dataclasses.replace(task, names=task.names[:kds])])
                    found[f"scheduler_mib_{kds}"] = _resident_mib(scheduler.pid)
        finally:
            for process in (worker, scheduler):
                process.terminate()
                process.wait(timeout=60)
    return found


def _start(module: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (Dask's own commands)


def _resident_mib(pid: int) -> float:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return float(lines["VmRSS"].split()[0]) / 1024


PARTS = ("workers", "scheduler")


def main() -> None:
    """Run the parts and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kds", type=int, default=4, help="Jacobians by one worker and by two")
    parser.add_argument("--layers", type=int, default=PUBLISHED.layers, help="cut the model to so many layers")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--study", type=Path, help="write the study of the published shape here, and nothing else")
    given = parser.parse_args()
    if given.study:
        print(write_random_study(given.study, PUBLISHED, ("model",)))
        return
    found: dict[str, dict[str, float]] = {}
    if "scheduler" in given.parts:
        found["scheduler"] = part_scheduler()
    if "workers" in given.parts:
        found["workers"] = part_workers(given.kds, given.layers)
        w = found["workers"]
        print(f"{given.kds} Jacobians, two workers against one, by the clock: {w['wall_s_1'] / w['wall_s_2']:.2f} x")
        print(f"the same by processor seconds of the busier: {w['cpu_s_1'] / w['busiest_cpu_s_2']:.2f} x")
    for name, value in found.get("scheduler", {}).items():
        print(f"{name}: {value:.0f}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    main()
