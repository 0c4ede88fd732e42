"""Figures over many claims, from ledger lines alone: all effects beside published ones, models beside controls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacprobe.report.figures import style
from jacprobe.report.figures.key import MARK
from jacprobe.report.figures.reading import controls, finite, interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    Line = Mapping[str, Any]

NAMES, ROW = 3.1, 0.165  # inches: width of names, height of a row
UNIT = 1.5  # effects and intervals within this of 0 share an axis: correlations, cosines, shares
MOST_ROWS = 22  # of a figure; more stand in several
VERDICTS = {"SUPPORTED": ("o", True), "REFUTED": ("s", True), "INCONCLUSIVE": ("o", False)}


def forest_lines(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that a forest can show: those with an effect and an interval."""
    return [line for line in lines if finite(line["effect"]) is not None and interval(line["ci"]) is not None]


def forest(lines: Sequence[Line]) -> style.Sheet:
    """Return a forest of all effects with their 95 % intervals and the published effects.

    Effects of correlations, cosines and shares stand on one axis; others, of z or counts, on one below.
    """
    shown = forest_lines(lines)
    near = [line for line in shown if max(map(abs, _marks(line))) <= UNIT]
    groups = [group for group in (near, [line for line in shown if line not in near]) if group]
    height = 0.36 + sum(ROW * len(group) + 0.5 for group in groups)
    sheet = style.sheet(height)
    _key(sheet)
    top = 0.36
    for group in groups:
        tall = ROW * len(group)
        marks = [value for line in group for value in _marks(line)]
        span = _span(marks)
        axes = style.panel(sheet, (NAMES, top, style.WIDTH - NAMES - 0.16, tall), span, (tall, 0))
        style.line(axes, [0, 0], [0, tall], color=style.QUIET, lw=0.6, ls=(0, (2, 2)))
        for place, line in enumerate(group):
            _one(axes, line, ROW * (place + 0.5))
            name = style.wrapped(line["id"].partition("-")[2] or line["id"], NAMES - 0.74, 1)
            n = f"n = {line['n']}" if line["n"] is not None else ""
            sheet.write(0.14, top + ROW * (place + 0.5), name[0], anchor="lm")
            sheet.write(NAMES - 0.12, top + ROW * (place + 0.5), n, color=style.QUIET, anchor="rm")
        unit = "effect, in the unit of each claim's statistic" + (", wider axis" if group is not groups[0] else "")
        sheet.write(NAMES, top + tall + 0.2, unit, color=style.QUIET)
        top += tall + 0.5
    return sheet


def control_lines(lines: Sequence[Line]) -> list[Line]:
    """Return the lines in which a trained model stands beside randomised copies, on the scale of 0 to 1."""
    found = []
    for line in lines:
        beside = controls(line)
        values = [abs(value) for one in beside for value in one.values]
        if any(one.kind == "random" for one in beside) and max(values) <= UNIT:
            found.append(line)
    return found


def trained_against_random(lines: Sequence[Line]) -> style.Sheet:
    """Return, for each claim with controls, its quantity in the trained model, in copies and in a seed replicate."""
    shown = control_lines(lines)
    tall = ROW * len(shown)
    sheet = style.sheet(0.36 + tall + 0.5)
    values = [value for line in shown for one in controls(line) for value in one.values]
    axes = style.panel(sheet, (NAMES, 0.36, style.WIDTH - NAMES - 0.16, tall), _span(values), (tall, 0))
    style.line(axes, [0, 0], [0, tall], color=style.QUIET, lw=0.6, ls=(0, (2, 2)))
    for place, line in enumerate(shown):
        y = ROW * (place + 0.5)
        if place % 2:
            style.block(axes, axes.get_xlim(), (y - ROW / 2, y + ROW / 2), style.RULE, alpha=0.3, zorder=0)
        copies = 0
        for one in controls(line):
            marker, colour = MARK[one.kind]
            random = one.kind == "random"
            copies += len(one.values) if random else 0
            style.line(
                axes, one.values, [y] * len(one.values), marker, color=colour, ms=3.6 if random else 5, ls="",
                alpha=0.45 if random else 1.0, mec=style.PAPER, mew=0.3, zorder=3 if random else 5,
            )  # fmt: skip
        sheet.write(0.14, 0.36 + y, style.wrapped(line["id"], NAMES - 0.96, 1)[0], anchor="lm")
        sheet.write(NAMES - 0.12, 0.36 + y, f"{copies} copies", color=style.QUIET, anchor="rm")
    names = {
        "trained": "trained model",
        "random": "randomised copy",
        "replicate": "seed replicate",
        "reference": "other",
    }
    there = {one.kind for line in shown for one in controls(line)}
    _keys(sheet, [(*MARK[kind], True, words) for kind, words in names.items() if kind in there])
    sheet.write(NAMES, 0.36 + tall + 0.2, "what each claim compares, in each model", color=style.QUIET)
    return sheet


def _one(axes: Axes, line: Line, y: float) -> None:
    effect, ci = finite(line["effect"]), interval(line["ci"])
    left, right = axes.get_xlim()
    if ci is not None:
        style.line(axes, [max(ci[0], left), min(ci[1], right)], [y, y], color=style.EFFECT, lw=1.3, zorder=3)
    published = finite(line["diagnostics"].get("published_effect"))
    if published is not None:
        style.line(axes, [published], [y], "D", color=style.PUBLISHED, ms=4.2, mec=style.PAPER, mew=0.4, zorder=4)
    marker, filled = VERDICTS.get(line["verdict"], ("o", False))
    face = style.EFFECT if filled else style.PAPER
    style.line(axes, [effect or 0.0], [y], marker, color=style.EFFECT, mfc=face, ms=4.6, zorder=5)


def _key(sheet: style.Sheet) -> None:
    entries = [(marker, style.EFFECT, filled, verdict.lower()) for verdict, (marker, filled) in VERDICTS.items()]
    _keys(sheet, [*entries, ("D", style.PUBLISHED, True, "published")])


def _keys(sheet: style.Sheet, entries: Sequence[tuple[str, str, bool, str]]) -> None:
    left = NAMES - 0.02 if len(entries) < 4 else 2.35
    for marker, colour, filled, words in entries:
        axes = style.panel(sheet, (left, 0.09, 0.14, 0.14), (-1, 1), (-1, 1), x_marked=False)
        style.line(axes, [0], [0], marker, color=colour, mfc=colour if filled else style.PAPER, ms=4.6)
        sheet.write(left + 0.18, 0.16, words, anchor="lm")
        left += 0.32 + style.length(words)


def _marks(line: Line) -> list[float]:
    found = [finite(line["effect"]), finite(line["diagnostics"].get("published_effect")), *(interval(line["ci"]) or ())]
    return [value for value in found if value is not None]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(0.0, *values), max(0.0, *values)
    pad = 0.04 * (high - low)
    return (low - pad, high + pad) if pad and math.isfinite(pad) else (low - 1.0, high + 1.0)
