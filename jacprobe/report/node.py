"""npm's `allure` at a pinned version, installed into the user's cache when that is asked for, and run with Node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.errors import JacprobeError, inert

if TYPE_CHECKING:
    from collections.abc import Sequence

PINNED = Path(__file__).parent / "npm"
VERSION: str = json.loads((PINNED / "package.json").read_text(encoding="utf-8"))["dependencies"]["allure"]
OLDEST_NODE = 20
_CLI = Path("node_modules", "allure", "cli.js")
INSTALL = "Run once: jacprobe report --install-allure (needs npm and a connection); later reports need neither."
_WANTED = f"Node {OLDEST_NODE} or newer, with npm"
_MEND = "Install nodejs and npm (https://nodejs.org); then, once, with a connection: jacprobe report --install-allure."
_PATIENCE = 300.0  # seconds for an installation, and for a report


class NoAllureError(JacprobeError):
    """Allure cannot be run here: Node or npm is absent, too old, or the package cannot be had."""


@dataclass(frozen=True)
class Allure:
    """Allure's command line.

    Attributes
    ----------
    node
        Node's program.
    cli
        The script it runs.
    """

    node: str
    cli: Path

    def __call__(self, *arguments: str | Path, where: Path) -> None:
        """Run a command of Allure in the folder `where`.

        Raises
        ------
        NoAllureError
            Where it fails, with the last line that it said.
        """
        _run([self.node, str(self.cli), *map(str, arguments)], where, f"allure {arguments[0]}")


def find_allure(cache: Path | None = None) -> Allure:
    """Return Allure's command line where it is installed; nothing is fetched.

    Parameters
    ----------
    cache
        Folder that holds installations; the user's cache by default.

    Raises
    ------
    NoAllureError
        Where Node is absent or too old, or Allure is not installed; one line that says what to do.
    """
    node = _node()
    home = _home(cache or _cache())
    if not _whole(home):
        raise NoAllureError(f"allure {VERSION} is not installed", mend=INSTALL)
    return Allure(node, home / _CLI)


def install_allure(cache: Path | None = None) -> Path:
    """Have npm fetch Allure from its registry, where it is not installed; return the folder that it is in.

    Parameters
    ----------
    cache
        Folder that holds installations; the user's cache by default.

    Raises
    ------
    NoAllureError
        Where Node or npm is absent or too old, npm cannot fetch the package, or the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    _node()
    npm = _program("npm")
    cache = cache or _cache()
    home = _home(cache)
    if not _whole(home):
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with FileLock(cache / "allure.lock", timeout=_PATIENCE):
                if not _whole(home):
                    _install(npm, home)
        except Timeout as error:
            raise NoAllureError(
                f"another process installs allure for more than {_PATIENCE:.0f} s", where=cache
            ) from error
        except OSError as error:
            raise NoAllureError(
                f"not writable: {error}", "a cache folder that can be written", "Set XDG_CACHE_HOME.", cache
            ) from error
    return home


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NoAllureError(f"no {name} on the PATH", _WANTED, _MEND)
    return found


def _node() -> str:
    node = _program("node")
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoAllureError(f"node does not run: {error}", _WANTED, _MEND) from error
    found = re.match(r"v(\d+)\.", said)
    if found is None or int(found.group(1)) < OLDEST_NODE:
        raise NoAllureError(f"Node {said.strip() or 'of no version'}", _WANTED, _MEND)
    return node


def _home(cache: Path) -> Path:
    return cache / f"allure-{VERSION}"


def _cache() -> Path:
    import platformdirs

    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) / "jacprobe" if given else Path(platformdirs.user_cache_path("jacprobe"))


def _whole(home: Path) -> bool:
    """Whether an installation is there: it gets its name when it is whole, and may have lost files since."""
    return (home / _CLI).is_file() and (home / "package-lock.json").is_file()


def _install(npm: str, home: Path) -> None:
    """Install what the lock file pins, under another name until it is whole; what earlier tries left is deleted."""
    for left in home.parent.glob(f".{home.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        for file in PINNED.glob("*.json"):
            shutil.copyfile(file, fresh / file.name)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")
        retries = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=60000")
        mend = "It needs a connection to npm's registry; later reports need none."
        _run([npm, "ci", *options, *retries], fresh, f"npm, which fetches allure {VERSION} once,", mend)
        if not _whole(fresh):
            raise NoAllureError("npm installed no allure", f"allure {VERSION}", "Install a newer npm.")
        if home.exists():
            shutil.rmtree(home)
        fresh.rename(home)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run(command: Sequence[str], where: Path, name: str, mend: str = "") -> None:
    try:
        done = subprocess.run(  # noqa: S603 - programs found on the PATH, arguments of our own
            command, cwd=where, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NoAllureError(f"{name} took more than {_PATIENCE:.0f} s") from error
    except OSError as error:
        raise NoAllureError(f"{name} does not run: {error}") from error
    if done.returncode:
        said = _reason(done.stderr) or _reason(done.stdout) or str(done.returncode)
        raise NoAllureError(f"{name} failed: {said}", mend=mend)


def _reason(said: str) -> str:
    """Return the line that says most: npm's first after its code, of others the last."""
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"npm (error|ERR!)", line)]
    told = [line for line in errors if re.match(r"npm (error|ERR!) (network|request|[A-Z]?\d{3}|[a-z]+ .*fail)", line)]
    return inert((told or errors or lines[-1:] or [""])[0])
