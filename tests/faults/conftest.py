"""A small disk of its own, and a folder that can only be read; where the system permits neither, the tests skip."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def mount(*arguments: str) -> bool:
    """Mount something, and tell whether the system permits it."""
    program = shutil.which("mount")
    return program is not None and subprocess.run([program, *arguments], capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a disk of 300 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)):
        pytest.skip("mounting a small disk is not permitted here: it takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Yield a function that lets nobody write in a folder."""
    done: list[Path] = []

    def close(folder: Path) -> None:
        if os.getuid() == 0:  # to whom permissions mean nothing
            if not mount("--bind", str(folder), str(folder)):
                pytest.skip("a mount that can only be read is not permitted here")
            done.append(folder)
            assert mount("-o", "remount,ro,bind", str(folder))
        else:
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o555 if path.is_dir() else 0o444)

    yield close
    for folder in done:
        subprocess.run(["umount", "-l", str(folder)], check=True)
