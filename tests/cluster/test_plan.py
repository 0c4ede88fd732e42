"""The plan: arithmetic by the formulas, what is missing, and hours that hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from bench import jacobian_parts
from jacprobe.opening import open_study
from jacprobe.plan import Sizes, gflop, plan, sizes
from tests.cluster.conftest import ONE_THREAD, ROOT, SMALL

PUBLISHED = Sizes(cells=64, genes=2000, width=328, layers=8, heads=12, key_heads=12, head_dim=64, inner=3072)
COLLECT = """
import sys, time
from jacprobe.cli import app
begun = time.process_time()
app(sys.argv[1:], standalone_mode=False)
print(time.process_time() - begun)
"""


def test_products_are_counted_as_the_benchmark_counts_them():
    assert gflop("jacobian", PUBLISHED) == pytest.approx(jacobian_parts.local_gflop())
    for probe in ("delta", "knockout"):
        assert gflop(probe, PUBLISHED) == pytest.approx(jacobian_parts.forward_gflop())


def test_sizes_are_those_of_the_run_folder(small_study, tmp_path):
    found = sizes(open_study(small_study, store=tmp_path), "small")
    assert found == Sizes(
        SMALL.cell_set_len, SMALL.genes, SMALL.hidden, SMALL.layers, SMALL.heads, SMALL.heads, SMALL.head_dim,
        SMALL.intermediate,
    )  # fmt: skip


@pytest.mark.slow
def test_bytes_are_those_that_are_written_and_nothing_is_left_to_plan(jacprobe, small_study, tmp_path):
    planning = ("plan", small_study, "--probe", "delta", "--probe", "jacobian", "--store", tmp_path, "--json")
    before = jacprobe(*planning)
    assert before.returncode == 0, before.stderr
    assert not list(tmp_path.iterdir()), "planning keeps nothing"
    planned = json.loads(before.stdout)
    assert planned["missing"] == 22
    assert {item["how"] for item in planned["items"]} == {"measured"}
    assert jacprobe(*("collect", *planning[1:-1])).returncode == 0
    assert planned["nbytes"] == sum(path.stat().st_size for path in tmp_path.glob("*/values/c/**/*") if path.is_file())
    after = json.loads(jacprobe(*planning).stdout)
    assert (after["missing"], after["gflop"], after["nbytes"], after["hours"]) == (0, 0, 0, 0)
    table = jacprobe(*planning[:-1]).stdout
    assert "jacobian small draw 0" in table
    assert "0/11" in table


def test_workers_share_the_work_but_each_reads_the_weights(small_study, tmp_path):
    from dataclasses import replace

    from jacprobe.collect import tasks

    study = open_study(small_study, store=tmp_path)
    assert study.store is not None
    found = plan(study, tasks(study, ["delta"]), study.store, probe_seconds=0.5)
    alone = replace(found, loading_seconds=0.0)
    assert replace(alone, workers=4).hours == pytest.approx(alone.hours / 4)
    assert replace(found, workers=4).hours - replace(alone, workers=4).hours == pytest.approx(
        found.loading_seconds / 3600
    )


def test_what_does_not_fit_into_the_probe_is_left_to_arithmetic(small_study, tmp_path):
    from jacprobe.collect import tasks

    study = open_study(small_study, store=tmp_path)
    assert study.store is not None
    found = plan(study, tasks(study, ["jacobian"]), study.store, probe_seconds=0.0)
    assert {item.how for item in found.items} == {"arithmetic"}
    assert found.items[0].cpu_hours > 0


@pytest.mark.slow
def test_hours_on_the_demo_hold_within_a_factor_of_one_and_a_half(tmp_path):
    # By processor seconds: those of the clock are of whatever else the machine does.
    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", COLLECT, *arguments, "demo", "--store", str(tmp_path / "store")]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=True, timeout=1800
        )
        return done.stdout

    printed = run("plan", "--json")
    planned = 3600 * json.loads(printed[: printed.rindex("}") + 1])["cpu_hours"]
    taken = float(run("collect"))
    assert 1 / 1.5 < planned / taken < 1.5, f"planned {planned:.0f} s, took {taken:.0f} s"
