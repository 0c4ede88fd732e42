"""The documentation site: sphinx-build -W docs build/docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "jacprobe"
author = "The jacprobe developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "jacprobe"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}

# What a browser would fetch from elsewhere; links that a reader may follow are none of it.
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|link)[^>]*(?:src|href)=["']((?:https?:)?//[^"']+)|@import[^;]*//[^;]+"""
)


def _report_requests(app: Sphinx, exception: Exception | None) -> None:
    """Warn, and so fail a strict build, of pages that would ask another host for something."""
    if exception is not None or app.builder.format != "html":
        return
    for page in sorted(Path(app.outdir).rglob("*.html")):
        for found in _FETCHED.finditer(page.read_text(encoding="utf-8")):
            logging.getLogger(__name__).warning("%s asks another host: %s", page.name, found[0])


def _escape_bars(_app: Sphinx, _what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Let |x| in docstrings be a magnitude: reStructuredText reads a substitution into it."""
    lines[:] = [re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or r"\|", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Check each built site, and read docstrings as they are meant."""
    app.connect("autodoc-process-docstring", _escape_bars, priority=900)
    app.connect("build-finished", _report_requests)
