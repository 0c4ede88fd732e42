"""A verdict as a card for notebooks: one piece of HTML with its own style, every text escaped, nothing loaded."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from jacprobe.report.markdown import SHAPES
from jacprobe.report.strips import WIDTH, strip
from jacprobe.report.words import interval, number

if TYPE_CHECKING:
    from collections.abc import Mapping

# Light enough for dark pages, dark enough for light ones: 3 to 1 against both.
COLOURS = {
    "SUPPORTED": "#2e8b57",
    "REFUTED": "#3b78c4",
    "INCONCLUSIVE": "#9a5fb5",
    "NOT EVALUATED": "#96781e",
    "ERROR": "#cc3b3b",
}
_CARD = "border-left:4px solid {};padding:.4em .9em;max-width:46em;font-family:sans-serif;line-height:1.45"

_CELL = "text-align:left;vertical-align:top;border:0"


def card(line: Mapping[str, Any]) -> str:
    """Return the card of a ledger line."""
    verdict = str(line["verdict"])
    colour = COLOURS.get(verdict, "currentColor")
    head = (
        f'<div style="font-weight:600"><span style="color:{colour}">{SHAPES.get(verdict, "")} {escape(verdict)}</span> '
        f'<code style="font-size:.9em">{escape(str(line["id"]))}</code></div>'
    )
    rows = "".join(
        f'<tr style="background:none"><td style="{_CELL};opacity:.75;padding:0 1em 0 0;white-space:nowrap">{name}</td>'
        f'<td style="{_CELL};padding:0">{value}</td></tr>'
        for name, value in _facts(line)
    )
    return (
        f'<div role="group" aria-label="{escape(verdict)}: {escape(str(line["id"]))}" style="{_CARD.format(colour)}">'
        f'{head}<div style="margin:.2em 0 .4em">{escape(str(line["finding"]))}</div>{_drawn(line, colour)}'
        f'<table style="border:0;border-collapse:collapse;font-size:.9em;color:inherit">{rows}</table></div>'
    )


def _facts(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values, escaped, of what there is."""
    more, provenance = line["diagnostics"], line["provenance"]
    effect = f"{number(line['effect'])} {interval(line['ci'])}".strip() if line["effect"] is not None else ""
    p = f"{number(line['p_adjusted'])} adjusted in its family" if line["p_adjusted"] is not None else ""
    n = f"{number(line['n'])} {more['unit']}".strip() if line["n"] is not None else ""
    stated, of = list(line["expected"]), ": ".join(filter(None, (line["study"], ", ".join(line["models"]))))
    texts = {
        "claimed": f"{line['statistic']}: {line['criterion']}",
        "effect [95 % interval]": effect,
        "p": p,
        "n": n,
        "nulls": " and ".join(str(null["name"]) for null in more.get("nulls", ())),
        "parts": ", ".join(more.get("parts", ())),
        "why": line["reason"],
        "published": ", ".join(f"{one['value']} ({one['source']})" for one in line["published"]),
        "remarks": "; ".join(line["flags"]),
        "expected": f"{' or '.join(stated)}: {more['expected_because']}" if more.get("expected_because") else "",
        "of": f"{of}; seed {provenance['seed']}, batch {provenance['batch']}",
    }
    return [(escape(name), escape(str(text))) for name, text in texts.items() if text]


def _drawn(line: Mapping[str, Any], colour: str) -> str:
    """Return the interval beside the claimed region, empty where there is none."""
    marks = strip(line)
    if marks is None:
        return ""
    (low, high), (left, right) = marks.region, marks.ci
    published = "" if marks.published is None else _tick(marks.published, "currentColor")
    return (
        f'<svg viewBox="0 0 {WIDTH:g} 10" width="300" height="30" role="img" aria-label="interval and claimed region">'
        f'<rect x="{low}" y="1" width="{round(high - low, 1)}" height="8" fill="{colour}" opacity=".18"/>'
        f'<line x1="{left}" x2="{right}" y1="5" y2="5" stroke="{colour}" stroke-width="1.2"/>'
        f'{published}<circle cx="{marks.effect}" cy="5" r="1.7" fill="{colour}"/></svg>'
    )


def _tick(at: float, colour: str) -> str:
    return f'<line x1="{at}" x2="{at}" y1="2" y2="8" stroke="{colour}" stroke-width=".6"/>'
