"""The suite's own files: where `claims/` and `fixtures/` are, all rows of all modules, and tables in TOML."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jacprobe import texts
from jacprobe.errors import ClaimError, StudyError, unknown_names
from jacprobe.verdicts.criteria import AllOf

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from jacprobe.verdicts.claim import Claim


def suite_root() -> Path:
    """Return the folder of `claims/` and `fixtures/`: a clone around the working directory, else the wheel's own."""
    here = Path.cwd()
    packaged = Path(__file__).parent / "_suite"
    clone = Path(__file__).parent.parent
    for root in (here, *here.parents, clone, packaged):
        if (root / "claims").is_dir() and (root / "fixtures" / "studies").is_dir():
            return root
    raise StudyError(
        f"no claims/ and fixtures/studies/ at or above {here}",
        "a clone of jacprobe or its wheel",
        "Reinstall jacprobe.",
    )


@cache
def load_rows(folder: Path) -> Mapping[str, Claim]:
    """Return every claim row under `folder` by id, in the order of modules and rows.

    Raises
    ------
    ClaimError
        Where an id is used twice or a composite names an id that no row has.
    """
    rows: dict[str, Claim] = {}
    for path in sorted(folder.glob("test_*.py")):
        for claim in getattr(_module(path), "CLAIMS", ()):
            if claim.id in rows:
                raise ClaimError(f"claim id {claim.id} used twice", "each id once", where=path.name)
            rows[claim.id] = claim
    for claim in rows.values():
        if isinstance(claim.criterion, AllOf):
            missing = [part for part in claim.criterion.ids if part not in rows]
            if missing:
                raise unknown_names("claim id", missing, list(rows), where=claim.id)
    return MappingProxyType(rows)


def _module(path: Path) -> ModuleType:
    """Return the claim module at `path`, or say why it cannot be imported."""
    try:
        return _imported(f"{path.parent.name}.{path.stem}", path)
    except ClaimError:
        raise
    except Exception as error:
        raise ClaimError(
            f"cannot be imported ({type(error).__name__}: {error})",
            "a module of claim rows",
            "See where with: pytest --collect-only",
            path,
        ) from error


def _imported(name: str, path: Path) -> ModuleType:
    """Return the module at `path`, the one that pytest has or will have under the same name."""
    loaded = sys.modules.get(name)
    if loaded is not None and Path(str(loaded.__file__)) == path:
        return loaded
    try:
        module = import_module(name)
        if Path(str(module.__file__)) == path:
            return module
    except ModuleNotFoundError:
        pass
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ClaimError(f"{path} is no Python module", "a claim module", where=path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, or say which line of which file is wrong."""
    try:
        return texts.read_toml(path)
    except (OSError, ValueError) as error:
        raise StudyError(f"not readable as TOML: {error}", "a TOML file", where=path) from error
