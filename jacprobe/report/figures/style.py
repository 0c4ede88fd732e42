"""The one style of all figures: colours, sizes, and how a drawn figure becomes a small PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import inert
from jacprobe.report.words import typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Span = tuple[float, float]
# Okabe and Ito (2008): told apart by colour-blind readers. Marks of different meaning differ in shape too.
EFFECT, PUBLISHED, CLAIMED, REPLICATE = "#d55e00", "#0072b2", "#009e73", "#cc79a7"
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
# Figures stand on paper of their own with a hairline around it, so that they read alike on light and dark pages.
PAPER, RULE, INK, QUIET, NULL = "#fcfcfa", "#d8d8d2", "#222222", "#5c5c5c", "#b4bfc9"

WIDTH = 6.4  # inches: 640 pixels of a page
DPI = 200  # twice the pixels of a page, for dense screens
LARGE, SMALL = 8.0, 7.0  # points
_TICK = 0.035  # inches
COLOURS = 64  # of a PNG's palette


@dataclass(frozen=True)
class Words:
    """Words at a place, in inches from the left upper corner; `anchor` as of Pillow ("la": left, ascender)."""

    left: float
    top: float
    text: str
    size: float = SMALL
    color: str = INK
    anchor: str = "la"
    upright: bool = False


@dataclass
class Sheet:
    """A figure with the words around its axes, which Pillow writes ten times as fast as matplotlib."""

    figure: Figure
    words: list[Words] = field(default_factory=list)

    def write(
        self, left: float, top: float, text: str, size: float = SMALL, color: str = INK, anchor: str = "la"
    ) -> None:
        """Add words at a place in inches from the left upper corner."""
        self.words.append(Words(left, top, text, size, color, anchor))

    def upright(self, left: float, middle: float, text: str) -> None:
        """Add words that run upwards, their middle at a height."""
        self.words.append(Words(left, middle, text, anchor="lm", upright=True))


def sheet(height: float, width: float = WIDTH) -> Sheet:
    """Return an empty figure of `width` x `height` inches on its paper."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, edgecolor=RULE, linewidth=1.0)
    FigureCanvasAgg(empty)
    return Sheet(empty)


def panel(
    on: Sheet,
    box: tuple[float, float, float, float],
    x: Span,
    y: Span,
    *,
    x_marked: bool = True,
    y_marked: bool = False,
) -> Axes:
    """Return axes of a sheet whose scales are drawn by hand, which takes a third of the time of matplotlib's own.

    Parameters
    ----------
    on
        The sheet.
    box
        Left, top, width and height in inches from the sheet's left upper corner.
    x, y
        What stands at left and right, and at bottom and top.
    x_marked, y_marked
        Whether the scale is drawn.
    """
    left, top, width, height = box
    total_width, total_height = on.figure.get_size_inches()
    axes = on.figure.add_axes(
        (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    )
    axes.set_axis_off()
    axes.set_xlim(x)
    axes.set_ylim(y)
    if x_marked:
        end = y[0] - _TICK * (y[1] - y[0]) / height
        path: list[tuple[float, float]] = [(x[0], y[0])]
        for tick in ticks(x, most=max(3, round(width / 0.55))):
            path += [(tick, y[0]), (tick, end), (tick, y[0])]
            place = left + width * (tick - x[0]) / (x[1] - x[0])
            on.write(place, top + height + _TICK + 0.03, _shown(tick), anchor="ma")
        _path(axes, [*path, (x[1], y[0])])
    if y_marked:
        end = x[0] - _TICK * (x[1] - x[0]) / width
        path = [(x[0], y[0])]
        for tick in ticks(y, most=max(2, round(height / 0.5))):
            path += [(x[0], tick), (end, tick), (x[0], tick)]
            place = top + height * (y[1] - tick) / (y[1] - y[0])
            on.write(left - _TICK - 0.03, place, _shown(tick), anchor="rm")
        _path(axes, [*path, (x[0], y[1])])
    return axes


def _path(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    line(axes, [x for x, _ in points], [y for _, y in points], color=QUIET, lw=0.7, clip_on=False, zorder=2)


def line(axes: Axes, x: Sequence[float], y: Sequence[float], marker: str = "", **how: Any) -> None:
    """Draw a line, or with `ls=""` its markers alone, without the search for limits that `Axes.plot` does."""
    from matplotlib.lines import Line2D

    clip = how.pop("clip_on", True)
    drawn = Line2D(list(x), list(y), marker=marker, **{"solid_capstyle": "butt", "mec": how.get("color"), **how})
    axes.add_artist(drawn)
    drawn.set_clip_on(clip)


def block(axes: Axes, x: Span, y: Span, color: str, **how: Any) -> None:
    """Draw a filled rectangle."""
    from matplotlib.patches import Rectangle

    axes.add_artist(Rectangle((x[0], y[0]), x[1] - x[0], y[1] - y[0], facecolor=color, edgecolor="none", **how))


def steps(axes: Axes, heights: Sequence[float], edges: Sequence[float], base: float, color: str, **how: Any) -> None:
    """Draw a filled histogram."""
    from matplotlib.patches import StepPatch

    axes.add_artist(StepPatch(heights, edges, baseline=base, fill=True, facecolor=color, edgecolor="none", **how))


def ticks(span: Span, most: int) -> list[float]:
    """Return round numbers within a span, about `most` of them."""
    from matplotlib.ticker import MaxNLocator

    low, high = min(span), max(span)
    found = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in found if low <= tick <= high]


def _shown(tick: float) -> str:
    return typeset(f"{tick:.10g}" if abs(tick) < 1e6 else f"{tick:.3g}")


def wrapped(words: str, width: float, most: int, size: float = SMALL) -> list[str]:
    """Return words in at most so many lines of `width` inches, the last one ending in dots where there were more."""
    lines: list[str] = []
    rest = typeset(inert(words, 500)).split()
    while rest and len(lines) < most:
        taken = 1
        while taken < len(rest) and length(" ".join(rest[: taken + 1]), size) <= width:
            taken += 1
        lines.append(" ".join(rest[:taken]))
        rest = rest[taken:]
    return [_cut(line, width, size, dots=bool(rest) and line is lines[-1]) for line in lines]


def _cut(words: str, width: float, size: float, *, dots: bool) -> str:
    end = "\N{HORIZONTAL ELLIPSIS}" if dots or length(words, size) > width else ""
    while words and length(words + end, size) > width:
        words = words[:-1]
    return words + end


@lru_cache(maxsize=8192)  # names of nulls and claims come again in each figure
def length(words: str, size: float = SMALL) -> float:
    """Return how long words are, in inches."""
    return float(_font(size).getlength(words)) / DPI


def png(drawn: Sheet) -> bytes:
    """Return a figure as PNG with a palette: a quarter of the bytes, and the same bytes each time."""
    from PIL import Image, ImageDraw

    canvas: Any = drawn.figure.canvas
    canvas.draw()
    size = canvas.get_width_height()
    image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1).convert("RGB")
    pen = ImageDraw.Draw(image)
    for words in drawn.words:
        place = (words.left * DPI, words.top * DPI)
        if words.upright:
            _write_upright(image, words)
            continue
        pen.text(place, words.text, words.color, _font(words.size), words.anchor, spacing=0.45 * words.size * DPI / 72)
    buffer = io.BytesIO()
    palette = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette.save(buffer, "PNG", compress_level=6, dpi=(DPI, DPI))
    return buffer.getvalue()


def _write_upright(image: Image, words: Words) -> None:
    from PIL import Image, ImageDraw

    font = _font(words.size)
    _, _, right, bottom = font.getbbox(words.text)
    turned = Image.new("L", (round(right) + 2, round(bottom) + 2))
    ImageDraw.Draw(turned).text((0, 0), words.text, 255, font)
    turned = turned.transpose(Image.Transpose.ROTATE_90)
    left, top = round(words.left * DPI), round(words.top * DPI - turned.height / 2)
    image.paste(words.color, (left, top), turned)


@cache
def _font(size: float) -> FreeTypeFont:
    """Return matplotlib's own font, which is there wherever matplotlib is."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size * DPI / 72)
