"""Text files of strangers: TOML, JSON and YAML, bounded, so that none costs more than it weighs.

Whatever is wrong with a file is an OSError or a ValueError here; its reader says which file, and what was wanted.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 4 * 2**20  # bytes; the largest of the suite's own is 100 kB
_LARGEST_YAML = 2**18  # its parser is slower
_MOST_BRACKETS = 10_000
# The TOML parser takes time and memory by the square of the parts of one dotted key.
_MANY_PARTS = re.compile(r"""(?:(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")
_YAML = "tag:yaml.org,2002:"
_YAML_TEXTS = ("str", "int", "float", "bool", "timestamp", "merge", "value")


def read_text(path: Path, largest: int = LARGEST) -> str:
    """Return the text of a regular file of at most `largest` bytes.

    Raises
    ------
    OSError
        If it cannot be read; if it is a pipe or a device, which may never end.
    ValueError
        If it is larger, or no UTF-8.
    """
    require_regular(path)
    size = path.stat().st_size
    if size > largest:
        raise ValueError(f"{size:,} bytes, more than {largest:,}")
    return path.read_text(encoding="utf-8")


def require_regular(path: Path) -> None:
    """Raise OSError where a path is a pipe or a device, or is not there."""
    path.stat()
    if not path.is_file() and not path.is_dir():
        raise OSError(f"{path.name} is a pipe or a device, no file")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; errors as of `read_text`, ValueError too if it is none or nests too deep."""
    text = read_text(path)
    if _MANY_PARTS.search(text):
        raise ValueError("a key of more than 32 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def parse_json(text: str | bytes) -> Any:
    """Return what strict JSON holds.

    Raises
    ------
    ValueError
        If it is none, nests too deep or holds NaN or an infinity.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_yaml(path: Path) -> Any:
    """Return a YAML file as mappings and lists of texts, null as None; no number, date or object is made of anything.

    What an alias stands for is the same object again, so that aliases of aliases cost nothing.

    Raises
    ------
    OSError
        As `read_text`.
    ValueError
        As `read_text`; if it is no YAML, asks for an object, contains itself or nests too deep.
    """
    import yaml  # here, since most runs of the command line need none

    text = read_text(path, _LARGEST_YAML)
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise ValueError(f"more than {_MOST_BRACKETS:,} brackets")  # the parser's time goes by the square of open ones
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        return None if root is None else _plain(root, {})
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("nested too deep") from None


def _plain(node: Any, made: dict[int, Any]) -> Any:
    import yaml

    if id(node) in made:
        if made[id(node)] is made:
            raise ValueError("a part that contains itself")
        return made[id(node)]
    made[id(node)] = made  # stands for: begun
    kind = str(node.tag).removeprefix(_YAML)
    found: Any
    if isinstance(node, yaml.MappingNode) and kind == "map":
        found = {str(_plain(key, made)): _plain(value, made) for key, value in node.value if _is_text(key)}
    elif isinstance(node, yaml.SequenceNode) and kind == "seq":
        found = [_plain(item, made) for item in node.value]
    elif isinstance(node, yaml.ScalarNode) and kind in (*_YAML_TEXTS, "null"):
        found = None if kind == "null" else node.value
    else:
        raise ValueError(f"an object of the kind {node.tag}")
    made[id(node)] = found
    return found


def _is_text(node: Any) -> bool:
    if not isinstance(node.value, str):
        raise ValueError("a key that is no text")  # noqa: TRY004 - what is wrong is the file, not an argument
    return True


def _no_number(name: str) -> Any:
    raise ValueError(f"{name}, which JSON has not")
