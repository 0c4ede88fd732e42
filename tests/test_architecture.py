"""Imports go one way, and importing jacprobe stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "jacprobe").rglob("*.py"))
ONLY_HERE = {
    "pytest": {"jacprobe/plugin.py"},
    "allure_commons": {"jacprobe/report/allure.py"},
    "state": {"jacprobe/models/state.py"},
    "huggingface_hub": {"jacprobe/hub.py"},
}
# The parts of the package from left to right: none imports what stands to its right.
ORDER = (
    *("models", "jacobian", "probes", "store", "stats", "verdicts", "kept_chunks", "evidence", "kept_estimates"),
    *("judging", "report", "commands", "plugin", "cli"),
)
# What a study offers for notebooks reaches to the right, when it is called.
CALLED_FOR = {("studies", "judged")}


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names of all modules that a file imports, wherever in the file, but for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def imports_of_parts() -> dict[str, set[str]]:
    """What each package and module right below jacprobe imports of the others."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE:
        own = path.relative_to(ROOT / "jacprobe").parts[0].removesuffix(".py")
        parts = {name.split(".")[1] for name in imported(path) if name.startswith("jacprobe.")}
        found.setdefault(own, set()).update(parts - {own})
    found.pop("__init__")  # names of the public interface, imported when asked for
    return {own: parts & found.keys() for own, parts in found.items()}


@pytest.mark.parametrize("library", ONLY_HERE)
def test_each_foreign_library_is_imported_in_one_place(library):
    importers = {
        str(path.relative_to(ROOT)) for path in PACKAGE if library in {name.split(".")[0] for name in imported(path)}
    }
    # The demo's training runs arc-state's own command in a process of its own.
    assert importers - {"jacprobe/demo/train.py"} <= ONLY_HERE[library]


def test_statistics_and_verdicts_never_see_torch_or_a_model():
    for part in ("stats", "verdicts"):
        for path in (ROOT / "jacprobe" / part).rglob("*.py"):
            heads = {name.split(".")[0] for name in imported(path)}
            assert not heads & {"torch", "state"}, path
            assert not {name for name in imported(path) if name.startswith("jacprobe.models")}, path


def test_nothing_on_the_left_imports_what_stands_to_its_right():
    parts = imports_of_parts()
    assert set(ORDER) <= parts.keys()
    for position, part in enumerate(ORDER):
        wrong = parts[part] & set(ORDER[position + 1 :])
        assert not wrong, f"{part} imports {wrong}"


def test_no_part_is_imported_by_what_it_imports():
    """Of all packages and modules of jacprobe, imports inside functions included."""
    left = {part: found - {of for by, of in CALLED_FOR if by == part} for part, found in imports_of_parts().items()}
    while free := {part for part, found in left.items() if not found & left.keys()}:
        left = {part: found for part, found in left.items() if part not in free}
    assert not left, f"among these is a circle: {left}"


def test_what_is_called_for_is_there_and_makes_a_circle():
    parts = imports_of_parts()
    for by, of in CALLED_FOR:
        reached, new = set(), {of}
        while new:
            reached |= new
            new = {name for part in new for name in parts[part]} - reached
        assert of in parts[by], f"{by} no longer imports {of}"
        assert by in reached, f"{by} may import {of} like any other"


def test_only_the_models_know_what_a_state_model_is():
    """Everything else takes models as the adapters give them; the demo trains State's, and doctor looks into them."""
    of_state = {f"jacprobe.models.{name}" for name in ("state", "adapter", "arc_state", "state_identity", "run_folder")}
    knowing = {
        str(path.relative_to(ROOT))
        for path in PACKAGE
        if path.parent.name not in ("models", "demo") and imported(path) & of_state
    }
    # The plan reckons the products of State's own rules beforehand.
    assert knowing <= {"jacprobe/plan.py"}


@pytest.mark.parametrize("module", ["jacprobe", "jacprobe.plugin", "jacprobe.cli", "jacprobe.stats"])
def test_importing_takes_no_heavy_library(module):
    heavy = "{'torch', 'scipy', 'statsmodels', 'xarray', 'state', 'zarr', 'matplotlib', 'anndata'}"
    program = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_file_is_over_400_lines():
    long = {
        str(p.relative_to(ROOT)): n
        for p in ROOT.rglob("*.py")
        if ".venv" not in str(p) and (n := len(p.read_text().splitlines())) > 400
    }
    assert long == {}
