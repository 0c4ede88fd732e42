"""Draw the site's diagrams: python docs/diagrams.py. They stand inline and take the colours of the page."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

IMAGES = Path(__file__).parent / "images"
INK, DIM, LINE, FILL = (
    f"var(--color-{name})"
    for name in ("foreground-primary", "foreground-secondary", "brand-primary", "background-secondary")
)
STYLE = f"""<style>
.diagram {{ width: 100%; max-width: 40rem; height: auto; font: 15px var(--font-stack, sans-serif); margin: 1rem 0 }}
.diagram text {{ fill: {INK}; text-anchor: middle }} .diagram .dim {{ fill: {DIM}; font-size: 13px;
  paint-order: stroke; stroke: var(--color-background-primary); stroke-width: 3px }}
.diagram .left {{ text-anchor: start }} .diagram rect {{ fill: {FILL}; stroke: {LINE} }}
.diagram .claimed {{ stroke: none; opacity: .9 }}
.diagram line, .diagram path {{ stroke: {INK}; fill: none; stroke-width: 1.5 }} .diagram circle {{ fill: {INK} }}
</style>"""


class Step(NamedTuple):
    """A box: its name, what it is, and what leads on from it."""

    name: str
    note: str
    onward: str


PIPELINE = (
    Step("run folder", "weights, names", "adapter"),
    Step("model", "shared Jacobian core", "probe"),
    Step("evidence", "labelled arrays, kept", "measure"),
    Step("estimate", "effect, interval, p", "criterion"),
    Step("verdict", "one of four words", "recorded"),
    Step("ledger", "and its reports", ""),
)


def pipeline() -> str:
    """Return the way from a run folder to the ledger, in two rows of three boxes."""
    width, step, height = 136, 202, 58
    parts = []
    for i, box in enumerate(PIPELINE):
        x, y = 2 + step * (i % 3), 4 + 118 * (i // 3)
        middle = x + width / 2
        parts += [
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>',
            f'<text x="{middle}" y="{y + 25}">{box.name}</text>',
            f'<text class="dim" x="{middle}" y="{y + 45}">{box.note}</text>',
        ]
        if i % 3 < 2:
            tip, level = x + step - 3, y + height / 2
            parts += [
                f'<path d="M{x + width + 3} {level}H{tip}m-7 -4l7 4l-7 4"/>',
                f'<text class="dim" x="{middle + step / 2}" y="{level - 8}">{box.onward}</text>',
            ]
        elif box.onward:
            down, first = y + height, 2 + width / 2
            parts += [
                f'<path d="M{middle} {down + 3}v26H{first}V{down + 57}m-4 -7l4 7l4 -7"/>',
                f'<text class="dim" x="{(middle + first) / 2}" y="{down + 23}">{box.onward}</text>',
            ]
    return drawn(parts, 544, 184, "Run folder, model, evidence, estimate, verdict, ledger, one from the other")


# Verdict, interval (left, effect, right) in the diagram's own units, and why.
INTERVALS = (
    ("SUPPORTED", (330, 370, 410), "all of it in the claimed region"),
    ("REFUTED", (150, 185, 220), "all of it outside"),
    ("INCONCLUSIVE", (200, 290, 380), "on both sides of the border"),
)


def verdicts() -> str:
    """Return how an interval and the claimed region make a verdict."""
    border, right = 270, 460
    parts = [
        f'<rect class="claimed" x="{border}" y="20" width="{right - border}" height="150"/>',
        f'<line x1="{border}" x2="{border}" y1="14" y2="172" stroke-dasharray="3 3"/>',
        f'<text class="dim" x="{(border + right) / 2}" y="14">claimed</text>',
    ]
    for i, (word, (low, effect, high), why) in enumerate(INTERVALS):
        y = 44 + 48 * i
        parts += [
            f'<text class="left" x="0" y="{y + 5}">{word}</text>',
            f'<line x1="{low}" x2="{high}" y1="{y}" y2="{y}"/><circle cx="{effect}" cy="{y}" r="4.5"/>',
            f'<text class="dim" x="{effect}" y="{y + 20}">{why}</text>',
        ]
    return drawn(parts, 480, 176, "Intervals inside, outside and across the border of the claimed region")


def drawn(parts: list[str], width: int, height: int, title: str) -> str:
    """Return an inline SVG of the parts."""
    head = f'<svg class="diagram" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">'
    return "\n".join([STYLE, head, *parts, "</svg>", ""])


if __name__ == "__main__":
    (IMAGES / "pipeline.svg").write_text(pipeline(), encoding="utf-8")
    (IMAGES / "verdicts.svg").write_text(verdicts(), encoding="utf-8")
