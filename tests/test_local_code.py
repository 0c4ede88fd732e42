"""Code without a version: found by what is imported, through other local modules, and told apart by its bytes."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from jacprobe import local_code
from jacprobe.kept_estimates import code_digest
from jacprobe.local_code import imported_names, installed_versions, local_digest

CLAIM = "from __future__ import annotations\n\ndef test_x():\n    from lab.measures import spread\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository whose claim module imports a package beside it, which imports a module beside both."""
    for name, text in {
        "claims/test_x.py": CLAIM,
        "lab/__init__.py": "",
        "lab/measures.py": "import numpy as np\nimport constants\nfrom . import other\n",
        "lab/other.py": "x = 1\n",
        "constants.py": "pi = 3\n",
        "unrelated.py": "x = 1\n",
        "conftest.py": "x = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(repository: Path) -> str:
    code_digest.cache_clear()
    return code_digest(repository / "claims")


@pytest.mark.parametrize("name", ["lab/measures.py", "lab/other.py", "constants.py", "conftest.py", "claims/test_x.py"])
def test_what_claims_import_is_part_of_the_code_that_measures(repository, name):
    before = digest(repository)
    assert digest(repository) == before
    with (repository / name).open("a") as file:
        file.write("changed = True\n")
    assert digest(repository) != before


@pytest.mark.parametrize("text", ["x = 2\n", "this is no Python"])
def test_what_nothing_imports_is_not(repository, text):
    before = digest(repository)
    (repository / "unrelated.py").write_text(text)
    assert digest(repository) == before


def test_a_local_module_that_does_not_parse_counts_by_its_bytes(repository):
    before = digest(repository)
    (repository / "constants.py").write_text("pi =")
    assert digest(repository) != before


def test_installed_packages_are_known_by_their_versions(repository, monkeypatch):
    assert local_digest(["numpy", "pytest", "json", "jacprobe", "no_such_module"], beside=repository) == ""
    assert installed_versions(["numpy", "json", "jacprobe", "no_such_module"]) == [f"numpy {version('numpy')}"]
    before = digest(repository)
    monkeypatch.setattr(local_code, "version", lambda _: "99")
    assert digest(repository) != before


def test_names_are_found_inside_functions_and_not_of_relative_imports(repository):
    assert imported_names([repository / "claims" / "test_x.py"]) == {"__future__", "lab"}
    assert imported_names([repository / "lab" / "measures.py"]) == {"numpy", "constants"}
