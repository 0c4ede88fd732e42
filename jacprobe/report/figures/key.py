"""The key figure of a claim, drawn from its ledger line alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.report.figures import style
from jacprobe.report.figures.cache import kept
from jacprobe.report.figures.reading import controls, drawn_nulls, draws, finite, interval, parts, sesoi
from jacprobe.report.regions import region
from jacprobe.report.words import number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from jacprobe.report.figures.reading import Control, DrawnNull, Interval, Part

    Draw = Callable[[Axes, float], None]

LEFT, GUTTER, RIGHT = 0.14, 2.28, 0.16  # inches: where names of rows begin, where axes do, the right margin
TOP, TICKS, LINE = 0.1, 0.28, 0.145  # inches: the upper margin, numbers under an axis, one line of small text
NAME, LABEL = GUTTER - LEFT - 0.08, style.WIDTH - GUTTER - RIGHT  # inches: a line of a row's name, and under the axes
REACH = 1.5  # how far beyond null, interval and criterion the axis may go for other marks, in spans of those
MARK: dict[str, tuple[str, str]] = {
    "trained": ("D", style.EFFECT),
    "replicate": ("s", style.REPLICATE),
    "random": ("o", style.QUIET),
    "reference": ("d", style.PUBLISHED),
}


@dataclass(frozen=True)
class Row:
    """A row of a figure: its name and a quieter line below, its height in inches, and what draws it."""

    name: str
    note: str
    height: float
    draw: Draw


def key_figure(line: Mapping[str, Any]) -> bytes | None:
    """Return the key figure of a ledger line as PNG, or None where nothing is random (rule O, composites, errors).

    From above: each null distribution that the effect was compared with; the effect with its 95 % and 90 % intervals
    and its draws; its parts where it has several; where the criterion wants it; the published effect. Below, on an axis
    of its own, the trained model beside randomised copies and further trainings.
    """
    drawn = draw(line)
    return None if drawn is None else style.png(drawn)


def key_figures(lines: Sequence[Mapping[str, Any]], out: Path) -> dict[str, bytes]:
    """Return the key figures of all lines by claim id; those that `out` holds already are not drawn again.

    Parameters
    ----------
    lines
        Ledger lines.
    out
        Folder of the report, whose `figures/` keeps each figure under its claim's id and the hash of what it shows.

    Raises
    ------
    JacprobeError
        If the folder cannot be written.
    """
    found: dict[str, bytes] = {}
    for line in lines:
        if not is_drawn(line):
            continue
        shown = {name: value for name, value in line.items() if name not in ("provenance", "seconds", "expected")}
        png = kept(out, line["id"], shown, lambda line=line: key_figure(line) or b"")
        found[line["id"]] = png
    return found


def is_drawn(line: Mapping[str, Any]) -> bool:
    """Tell whether a line has something to draw: chance, or controls beside its effect."""
    if finite(line["effect"]) is None:
        return False
    ci = interval(line["ci"])
    return (ci is not None and ci[0] < ci[1]) or bool(drawn_nulls(line) or controls(line))


def draw(line: Mapping[str, Any]) -> style.Sheet | None:
    """Return the key figure of a line, drawn and not yet encoded; None where there is nothing to draw."""
    effect = finite(line["effect"])
    if effect is None or not is_drawn(line):
        return None
    nulls, several, beside = drawn_nulls(line), parts(line), controls(line)
    limits = axis_limits(line, nulls, several)
    rows = [_null_row(null) for null in nulls]
    through = sum(row.height for row in rows)
    rows += [_effect_row(line, effect), *(_part_row(part) for part in several), *_wanted_rows(line)]
    label = style.wrapped(line["statistic"], LABEL, 3)
    below = [_control_row(control) for control in beside]
    tall, low = (sum(row.height for row in group) for group in (rows, below))
    under = TOP + tall + TICKS + LINE * len(label)
    drawn = style.sheet(under + (0.16 + low + TICKS + LINE if below else 0.0) + 0.08)
    axes = _rows(drawn, TOP, rows, limits)
    if nulls:
        style.line(axes, [effect] * 2, [0, through + 0.17], color=style.EFFECT, lw=1.0, zorder=4)
    _shade(axes, line, tall)
    drawn.write(GUTTER, TOP + tall + TICKS, "\n".join(label))
    if below:
        _rows(drawn, under + 0.16, below, control_limits(beside))
        drawn.write(GUTTER, under + 0.16 + low + TICKS, _quantity(line), color=style.QUIET)
    return drawn


def axis_limits(line: Mapping[str, Any], nulls: Sequence[DrawnNull], several: Sequence[Part]) -> Interval:
    """Return the range of the axis: null, effect, interval and criterion whole, others as far as is legible."""
    effect = finite(line["effect"])
    core = [value for value in (effect, *(interval(line["ci"]) or ())) if value is not None]
    core += [end for end in (region(line) or ()) if math.isfinite(end)]
    for null in nulls:
        shape = (null.low, null.high) if null.counts else null.middle or ()
        core += [end for end in shape if end is not None]
    low, high = _spread(core)
    far = [value for part in several for value in (part.effect, *(part.ci or ()))] + list(draws(line))
    published = finite(line["diagnostics"].get("published_effect"))
    far += [] if published is None else [published]
    reach = REACH * (high - low)
    wide = [min(max(value, low - reach), high + reach) for value in far]
    return _spread([*core, *wide])


def control_limits(beside: Sequence[Control]) -> Interval:
    """Return the range of controls; with 0 where they differ little, so that little looks little."""
    values = [value for one in beside for value in one.values]
    narrow = max(values) - min(values) < 0.5 * max(map(abs, values))
    return _spread([*values, 0.0] if narrow else values)


def _quantity(line: Mapping[str, Any]) -> str:
    """Return what the axis of the controls shows: the effect's quantity, or what the effect is the difference of."""
    if "untrained_folds" in line["diagnostics"]:
        return "mean |J| of the pathway's knockdowns over that of the controls"
    given = line["diagnostics"].get("controls")
    over = [one.get("kds") for one in given.values() if isinstance(one, dict)] if isinstance(given, dict) else []
    kds = next((n for n in over if isinstance(n, int)), None)
    return "what is compared, in each model" + (f", over {kds} knockdowns" if kds is not None else "")


def _spread(values: Sequence[float]) -> Interval:
    low, high = min(values), max(values)
    pad = 0.05 * (high - low) or 0.1 * abs(low) or 1.0
    return low - pad, high + pad


def _rows(on: style.Sheet, top: float, rows: Sequence[Row], limits: Interval) -> Axes:
    height = sum(row.height for row in rows)
    axes = style.panel(on, (GUTTER, top, style.WIDTH - GUTTER - RIGHT, height), limits, (height, 0))
    style.line(axes, [0, 0], [0, height], color=style.QUIET, lw=0.6, ls=(0, (2, 2)), zorder=1)
    y = 0.0
    for row in rows:
        row.draw(axes, y)
        name = style.wrapped(row.name, NAME, 3 if row.height > 0.4 else 1)
        text_height = LINE * (len(name) + bool(row.note))
        start = top + y + max(0.0, (row.height - text_height) / 2)
        on.write(LEFT, start, "\n".join(name))
        if row.note:
            on.write(LEFT, start + LINE * len(name), style.wrapped(row.note, NAME, 1)[0], color=style.QUIET)
        y += row.height
    return axes


def _null_row(null: DrawnNull) -> Row:
    lines = len(style.wrapped(null.name, NAME, 3))
    height = max(0.46, LINE * (lines + 1) + 0.1)

    def histogram(axes: Axes, y: float) -> None:
        bottom = y + height - 0.05
        if null.counts and null.low is not None and null.high is not None:
            n, tallest = len(null.counts), max(null.counts)
            edges = [null.low + (null.high - null.low) * i / n for i in range(n + 1)]
            tops = [bottom - (height - 0.1) * count / tallest for count in null.counts]
            style.steps(axes, tops, edges, bottom, style.NULL, zorder=2)
        elif null.middle is not None:
            middle = bottom - 0.15
            style.line(axes, null.middle, [middle] * 2, color=style.NULL, lw=5, zorder=2)
            style.line(axes, [sum(null.middle) / 2], [middle], "|", color=style.QUIET, ms=7, zorder=3)

    drawn = f"{null.draws:,} draws" if null.counts else "exact: mean ± sd"
    p = "" if null.p is None else f", p = {number(null.p, 2)}"
    return Row(f"null: {null.name}", f"{drawn}{p}", height, histogram)


def _effect_row(line: Mapping[str, Any], effect: float) -> Row:
    ci, ci90, each = interval(line["ci"]), interval(line["diagnostics"].get("ci90")), draws(line)

    def bar(axes: Axes, y: float) -> None:
        middle = y + 0.17
        if ci is not None:
            style.line(axes, ci, [middle] * 2, color=style.EFFECT, lw=1.6, zorder=5)
        if ci90 is not None:
            style.line(axes, ci90, [middle] * 2, color=style.EFFECT, lw=3.6, zorder=5)
        style.line(axes, each, [middle + 0.1] * len(each), "|", color=style.QUIET, ms=4, mew=0.7, ls="", zorder=6)
        style.line(axes, [effect], [middle], "o", color=style.EFFECT, mec=style.PAPER, mew=0.8, ms=6.5, zorder=7)

    shown = f"effect {number(effect)}" + (", 95 % and 90 % CI" if ci is not None and ci90 is not None else "")
    n, unit = line["n"], line["diagnostics"].get("unit", "")
    return Row(shown, f"n = {number(n)} {unit}" if n is not None else "", 0.34, bar)


def _part_row(part: Part) -> Row:
    def bar(axes: Axes, y: float) -> None:
        middle = y + 0.09
        if part.ci is not None:
            style.line(axes, part.ci, [middle] * 2, color=style.EFFECT, lw=1.2, alpha=0.75, zorder=3)
        _inside(axes, part.effect, middle, "o", style.EFFECT, hollow=True)

    n = f", n = {number(part.n)}" if part.n is not None else ""
    name = part.name.replace("_", " ")
    return Row(f"{name}{n}" if style.length(name + n) <= NAME else name, "", 0.18, bar)


def _wanted_rows(line: Mapping[str, Any]) -> list[Row]:
    """Return the rows of the criterion's region and of the published effect."""
    wanted, least = region(line), sesoi(line)
    published = finite(line["diagnostics"].get("published_effect"))
    rows = []

    def claimed(axes: Axes, y: float) -> None:
        left, right = axes.get_xlim()
        low, high = max(wanted[0], left), min(wanted[1], right)  # pyright: ignore[reportOptionalSubscript] - drawn if there
        if low < high:
            style.line(axes, [low, high], [y + 0.09] * 2, color=style.CLAIMED, lw=4, zorder=3)
        elif low == high:
            style.line(axes, [low], [y + 0.09], "|", color=style.CLAIMED, ms=8, mew=2, zorder=3)
        if least is not None and left < least < right:
            style.line(axes, [least], [y + 0.09], "|", color=style.INK, ms=7, mew=0.9, zorder=4)

    def marked(axes: Axes, y: float) -> None:
        _inside(axes, published, y + 0.09, "D", style.PUBLISHED)  # pyright: ignore[reportArgumentType] - drawn if there

    if wanted is not None:
        rows.append(Row(f"claimed: {line['criterion']}", "", 0.18, claimed))
    if published is not None:
        rows.append(Row(f"published: {number(published)}", "", 0.18, marked))
    return rows


def _control_row(control: Control) -> Row:
    marker, color = MARK[control.kind]

    def dots(axes: Axes, y: float) -> None:
        many = len(control.values) > 1
        style.line(
            axes, control.values, [y + 0.09] * len(control.values), marker, color=color, ms=4.5 if many else 5.5,
            alpha=0.55 if many else 1.0, mec=style.PAPER, mew=0.4, ls="", zorder=3,
        )  # fmt: skip

    return Row(control.name, "", 0.18, dots)


def _inside(axes: Axes, x: float, y: float, marker: str, color: str, *, hollow: bool = False) -> None:
    """Mark x; where it lies beyond the axis, an arrow at the edge points to it."""
    left, right = axes.get_xlim()
    beyond = ">" if x > right else "<" if x < left else None
    style.line(
        axes, [min(max(x, left), right)], [y], beyond or marker, color=color, ms=5,
        mfc=style.PAPER if hollow else color, clip_on=False, zorder=5,
    )  # fmt: skip


def _shade(axes: Axes, line: Mapping[str, Any], height: float) -> None:
    wanted = region(line)
    if wanted is None or wanted[0] == wanted[1]:
        return
    left, right = axes.get_xlim()
    low, high = max(wanted[0], left), min(wanted[1], right)
    if low < high:
        style.block(axes, (low, high), (0, height), style.CLAIMED, alpha=0.08, zorder=0)
