"""Every code block of the documentation is run, in the order of its page, as a reader would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import Block, blocks

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "claims/README.md", "bench/README.md")),
    ROOT / "bench" / "STATISTICS.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCKS = {str(page.relative_to(ROOT)): blocks(page, ROOT) for page in PAGES}
# How many blocks of a page cannot be run here; each says why in a comment above it, in words that begin so.
NOT_RUN = {
    "CONTRIBUTING.md": 1,
    "README.md": 3,
    "bench/README.md": 3,
    "bench/STATISTICS.md": 1,
    "docs/cluster.md": 9,
    "docs/demo.md": 1,
    "docs/numerics.md": 1,
    "docs/published.md": 2,
    "docs/regression.md": 1,
    "docs/report.md": 2,
    "docs/statistics.md": 1,
    "docs/tutorial.md": 1,
    "docs/worlds.md": 1,
}
REASONS = (
    "needs the public checkpoints",
    "needs a cluster",
    "needs an object store",
    "needs a study of the reader",
    "needs the network",
    "takes minutes",
    "done by .ci/run",
)
# Half of what a run of one claim takes is importing; no claim uses this plugin of the tests.
NO_PLUGIN = "-p no:hypothesispytest"
SUITE = ("claims", "fixtures", "conftest.py", "pytest.ini")


def test_every_block_says_what_it_is_written_in():
    languages = {"sh", "python", "toml", "yaml", "text"}
    assert [block.where for page in BLOCKS.values() for block in page if block.language not in languages] == []


def test_blocks_that_are_not_run_say_why_and_are_counted():
    excused = [block for page in BLOCKS.values() for block in page if block.not_run]
    assert [block.where for block in excused if not block.not_run.startswith(REASONS)] == []
    assert dict(sorted(Counter(block.where.partition(":")[0] for block in excused).items())) == NOT_RUN


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One evidence store for all pages and workers, so that nothing is computed twice."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache-of-docs"


@pytest.fixture(scope="session")
def one_claim(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of a run of one claim, for pages that look at results."""
    clone = tmp_path_factory.mktemp("one-claim")
    copy_suite(clone)
    shell("pytest claims/ --claim nb02-splicing-coherent", "the run behind $ONE_CLAIM", clone, reader(cache))
    return clone / "results"


@pytest.fixture
def clone(tmp_path: Path, cache: Path, one_claim: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the suite to work in, as a reader's clone."""
    copy_suite(tmp_path)
    for name, value in {**reader(cache), "ONE_CLAIM": str(one_claim)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copy_suite(folder: Path) -> None:
    """Copy what commands of the documentation find in a clone."""
    for name in SUITE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)


def reader(cache: Path) -> dict[str, str]:
    """Return the environment of a reader: commands at hand, a store of their own, no network."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(cache),
        "OMP_NUM_THREADS": "1",
        "npm_config_offline": "true",
    }


def shell(source: str, where: str, folder: Path, settings: dict[str, str]) -> None:
    """Run shell commands, each of which has to succeed."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    outside["PYTEST_ADDOPTS"] = NO_PLUGIN
    command = ["bash", "-euo", "pipefail", "-c", source]
    run = subprocess.run(command, cwd=folder, env=outside | settings, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, f"{where}\n{source}\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, found in BLOCKS.items() if found])
def test_the_blocks_of_a_page_run(page: str, clone: Path):
    names: dict[str, object] = {}
    for block in BLOCKS[page]:
        if block.first:
            shell(block.first, block.where, clone, {})
        if block.file:
            path = clone / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.source, encoding="utf-8")
        if not block.not_run:
            run(block, clone, names)


def run(block: Block, clone: Path, names: dict[str, object]) -> None:
    """Run a block, or read it where there is nothing to run."""
    if block.language == "sh":
        shell(block.source, block.where, clone, {})
    elif block.language == "python" and not block.file:
        exec(compile(block.source, block.where, "exec"), names)
    elif block.language == "toml":
        tomllib.loads(block.source)
    elif block.language == "yaml":
        yaml.safe_load(block.source)


@pytest.mark.slow
def test_the_workflow_of_the_page_runs(clone: Path):
    (workflow,) = (block for block in BLOCKS["docs/retraining-in-ci.md"] if block.language == "yaml")
    told = yaml.safe_load(workflow.source)
    shutil.copytree(os.environ["ONE_CLAIM"], clone / "results")
    shell('jacprobe accept results/verdicts.jsonl --reason "a first run"', workflow.where, clone, {})
    # One claim stands for all, and the runner's own variables are set.
    settings = told["env"] | {
        "PYTEST_ADDOPTS": f"{NO_PLUGIN} --claim nb02-splicing-coherent",
        "GITHUB_STEP_SUMMARY": str(clone / "summary.md"),
    }
    for step in told["jobs"]["claims"]["steps"]:
        if "run" in step and step["name"] != "Install":
            shell(step["run"].replace("-n auto", "-n 1"), f"{workflow.where}, {step['name']}", clone, settings)
    assert "nb02-splicing-coherent" in (clone / "summary.md").read_text(encoding="utf-8")
