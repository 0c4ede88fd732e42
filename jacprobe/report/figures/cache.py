"""Figures that are kept beside a report, each under the hash of what it shows and of the code that drew it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import JacprobeError
from jacprobe.results import FIGURES

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = 12


def kept(out: Path, slug: str, shown: Any, draw: Callable[[], bytes]) -> bytes:
    """Return a figure from `out`/figures, drawn and kept there if it is not; what the slug had before is deleted.

    Parameters
    ----------
    out
        Folder of the report.
    slug
        Name of the figure.
    shown
        What the figure is made of, as JSON can hold it.
    draw
        Returns the figure as PNG.

    Raises
    ------
    JacprobeError
        If the folder cannot be written.
    """
    path = out / FIGURES / f"{safe(slug)}-{digest(shown)}.png"
    try:
        found = path.read_bytes()
        if found.endswith(b"IEND\xaeB`\x82"):
            return found
    except OSError:
        pass
    drawn = draw()
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = [
            old for old in path.parent.glob(f"{safe(slug)}-*.png") if _is_of(old.name, safe(slug)) and old != path
        ]
        partial.write_bytes(drawn)
        partial.replace(path)
        for old in {*before} - {path}:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise JacprobeError(
            f"not writable: {error}", "a folder that can be made and written", "Choose another with --out.", path.parent
        ) from error
    return drawn


def digest(shown: Any) -> str:
    """Return 12 hex digits over what a figure shows and the code that draws it."""
    text = json.dumps(shown, sort_keys=True, default=str)
    return hashlib.sha256(f"{_code()}\n{text}".encode()).hexdigest()[:_DIGITS]


def safe(slug: str) -> str:
    """Return a slug that is a file name and nothing else."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", slug).lstrip(".") or "figure"


def _is_of(name: str, slug: str) -> bool:
    return re.fullmatch(rf"{re.escape(slug)}-[0-9a-f]{{{_DIGITS}}}\.png", name) is not None


@cache
def _code() -> str:
    here = Path(__file__).parent
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))).hexdigest()
