"""The verdict page: one HTML file that asks nothing of any other, made from a ledger."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import inert
from jacprobe.verdicts.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment
    from markupsafe import Markup

    from jacprobe.report.figures import EvidenceFigure
    from jacprobe.report.overview import Overview
    from jacprobe.verdicts.ledger import Entry

TEMPLATES = Path(__file__).parent / "templates"
# Of more claims than this, figures are left out and what a row opens to is unpacked when it is opened: a browser takes
# seconds to read that much. A block is what is unpacked at once.
MANY, BLOCK = 600, 100
LONGEST = 5000  # characters of one text of a ledger
MEANINGS = {
    Verdict.SUPPORTED: "the interval lies where the claim says, and every null is beaten",
    Verdict.REFUTED: "the interval lies elsewhere",
    Verdict.INCONCLUSIVE: "it straddles the border, or only a confounded null is beaten",
    Verdict.NOT_EVALUATED: "something that the claim needs is not there",
    Verdict.ERROR: "no verdict: the claim's test raised or its process died",
}
PLANTED = "the truth of this study is planted: a verdict says what is in it, and nothing of the published models"
_SPOKEN = {
    Verdict.SUPPORTED: ("holds", "hold"),
    Verdict.REFUTED: ("is refuted", "are refuted"),
    Verdict.INCONCLUSIVE: ("stays undecided", "stay undecided"),
    Verdict.NOT_EVALUATED: ("was not evaluated", "were not evaluated"),
    Verdict.ERROR: ("ended in an error", "ended in an error"),
}


def page(
    view: Overview,
    *,
    sha256: str,
    cut: str | None = None,
    figures: Mapping[str, bytes] | None = None,
    gallery: Sequence[EvidenceFigure] = (),
    remarks: Sequence[str] = (),
) -> str:
    """Return the verdict page of a ledger as HTML.

    Parameters
    ----------
    view
        The ledger's overview.
    sha256
        Hash of the ledger's bytes, by which a reader finds the ledger again.
    cut
        What was lost of the ledger, if something was.
    figures
        PNG of each claim's key figure by claim id; left out of a page of more than `MANY` claims.
    gallery
        Figures of the evidence that claims share.
    remarks
        What else a reader must know of the page, such as why a figure is missing.
    """
    from markupsafe import Markup

    environment = _environment()
    packed = len(view.rows) > MANY
    shown = {} if packed else dict(figures or {})
    template, body = environment.get_template("claim.html"), environment.get_template("body.html")
    claims: dict[str, Markup] = {}
    blocks: list[dict[str, str]] = []
    for position, row in enumerate(view.rows):
        name = row.line["id"]
        found = {"row": row, "png": shown.get(name), "seen": [figure for figure in gallery if name in figure.claims]}
        block = position // BLOCK if packed else None
        claims[name] = Markup(template.render(**found, block=block))  # noqa: S704 - a template's own output
        if block is not None:
            blocks += [{}] * (block == len(blocks))
            blocks[block] = {**blocks[block], name: body.render(**found)}

    return environment.get_template("page.html").render(
        view=view,
        sha256=sha256,
        cut=cut,
        gallery=gallery,
        remarks=[*remarks, *([f"Figures of claims are left out: these are over {MANY} claims."] if packed else [])],
        lines={row.line["id"]: row.line for row in view.rows},
        meanings=MEANINGS,
        planted=PLANTED,
        claims=claims,
        blocks=[_packed(block) for block in blocks],
        version=version("jacprobe"),
        css=_trusted("page.css"),
        script=_trusted("page.js"),
    )


def spoken(counts: Mapping[str, int]) -> str:
    """Return counts by verdict as people say them: 3 hold, 1 is refuted."""
    return ", ".join(f"{count:,} {_SPOKEN[Verdict(word)][count != 1]}" for word, count in counts.items())


@cache
def _environment() -> Environment:
    """Return the templates' environment: every text is made inert and escaped, and an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"spoken": spoken, "slug": _slug, "inline": _inline, "deciding": deciding}
    return environment


def deciding(parts: Sequence[tuple[str, Entry | None]], verdict: str) -> list[tuple[str, Entry | None]]:
    """Return the parts that decided a composite: those of its own verdict, which are all where it is SUPPORTED."""
    return [(name, part) for name, part in parts if part is not None and part["verdict"] == verdict]


def _finalize(value: Any) -> Any:
    if value is None:
        return ""
    return inert(value, LONGEST) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _slug(word: str) -> str:
    return word.lower().replace(" ", "-")


def _inline(png: bytes) -> Markup:
    from markupsafe import Markup

    return Markup("data:image/png;base64,{}").format(base64.b64encode(png).decode("ascii"))


def _packed(block: Mapping[str, str]) -> Markup:
    from markupsafe import Markup

    packed = gzip.compress(json.dumps(block).encode(), mtime=0)
    return Markup(base64.b64encode(packed).decode("ascii"))  # noqa: S704 - base64 has no markup


def _trusted(name: str) -> Markup:
    """Return a file of this package that goes into the page as it is."""
    from markupsafe import Markup

    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - no text of a ledger is in it
