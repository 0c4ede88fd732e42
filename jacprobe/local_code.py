"""Code that no version number tells: what is imported from a clone or a folder, not from among installed packages."""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_INSTALLED = {"site-packages", "dist-packages"}


def local_digest(names: Iterable[str], *, beside: Path | None = None) -> str:
    """Return the digest over local modules, whatever local ones they import, and the versions of installed ones.

    It is empty where none of the names is local.

    Parameters
    ----------
    names
        Top-level names, such as "fixtures"; jacprobe and the standard library are left out.
    beside
        Folder that is looked into before Python's own path, as pytest puts the rootdir first.
    """
    digest, left, seen = hashlib.sha256(), sorted(set(names)), {"jacprobe", *sys.stdlib_module_names}
    found = False
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        place = _place(name, beside)
        if place is None:
            continue
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        for path in files:
            found = True
            digest.update(f"{name}/{path.relative_to(place)}".encode() + b"\0" + path.read_bytes() + b"\0")
        left = sorted({*left, *imported_names(files)})
    if not found:
        return ""
    digest.update("\n".join(installed_versions(seen)).encode())
    return digest.hexdigest()


def installed_versions(names: Iterable[str]) -> list[str]:
    """Return the installed packages, with their versions, that top-level names are of; jacprobe's own left out."""
    asked = set(names) - {"jacprobe", *sys.stdlib_module_names}
    homes = _homes() if asked else {}
    return sorted({f"{package} {version(package)}" for name in asked for package in homes.get(name, ())})


@cache
def _homes() -> Mapping[str, Sequence[str]]:
    """Return the installed packages of every top-level name: half a second, spent once."""
    return packages_distributions()


def imported_names(files: Sequence[Path]) -> set[str]:
    """Return the top-level names that Python files import, wherever in the file; none of a file that does not parse."""
    return {name.partition(".")[0] for path in files for name in _imports(path)}


def _imports(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # it cannot be imported either, and its bytes are in the digest
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _place(name: str, beside: Path | None) -> Path | None:
    """Return the folder or file of a local module; None for installed and built-in ones, and where there is none."""
    for there in () if beside is None else (beside / name, beside / f"{name}.py"):
        if there.is_file() or (there.is_dir() and any(there.rglob("*.py"))):
            return there
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    place = Path(folders[0]) if folders else Path(spec.origin or "")
    if _INSTALLED.intersection(place.parts) or not place.exists() or place == Path():
        return None
    return place
