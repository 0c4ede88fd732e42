"""A folder with a valid file for every reader, and memory in which no terabyte fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.security.readers import small_memory, write_valid

if TYPE_CHECKING:
    from collections.abc import Iterator

LINUX = Path("/proc/self/status").is_file()


@pytest.fixture(scope="session")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of valid files; whoever changes one puts it back."""
    return write_valid(tmp_path_factory.mktemp("valid") / "files")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a folder of valid files of the test's own."""
    return write_valid(tmp_path / "files")


@pytest.fixture
def one_gigabyte() -> Iterator[None]:
    """Let the test have one more gigabyte than the process holds: what allocates more fails at once."""
    if not LINUX:
        pytest.skip("limits memory as Linux does")
    with small_memory():
        yield
