"""The code blocks of a Markdown page, and what the comment above each says is to be done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_COMMENT = re.compile(r"<!-- (file|not run|run first):\s*(.*?)\s*-->\s*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes
    ----------
    where
        Page and line.
    language
        Of the fence; "" for an indented block, which says none.
    source
        The code.
    file
        Path that the page tells the reader to save it under.
    not_run
        Why it cannot be run here.
    first
        Shell commands that stand for what the reader has done before.
    """

    where: str
    language: str
    source: str
    file: str = ""
    not_run: str = ""
    first: str = ""


def blocks(page: Path, root: Path) -> list[Block]:
    """Return the code blocks of a page in their order; directives of the site ("{include}") are none."""
    found: list[Block] = []
    above: dict[str, str] = {}
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            above = dict(_COMMENT.findall(token.content))
            continue
        if token.type in ("fence", "code_block") and not token.info.startswith("{"):
            where = f"{page.relative_to(root)}:{token.map[0] + 1 if token.map else 0}"
            told = (above.get(kind, "") for kind in ("file", "not run", "run first"))
            found.append(Block(where, token.info, token.content, *told))
        above = {}
    return found
