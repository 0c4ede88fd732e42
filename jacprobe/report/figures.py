"""Figures of a verdict, drawn from its ledger line alone."""

from __future__ import annotations

import io
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

# Okabe and Ito (2008): told apart by colour-blind readers.
INK, NULL, EFFECT, PUBLISHED = "#333333", "#9ecae1", "#d55e00", "#009e73"


def key_figure(line: Mapping[str, Any]) -> bytes | None:
    """Return the key figure of a ledger line as PNG, or None where nothing is random (rule O, composites, errors).

    Above, each null distribution that the effect was compared with; below, the effect with its 95 % interval. One
    axis, in the unit of the statistic.
    """
    interval = line["ci"]
    if line["effect"] is None or interval is None or interval[0] == interval[1]:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    nulls = [null for null in line["diagnostics"].get("nulls", ()) if "histogram" in null]
    figure = Figure(figsize=(6.4, 1.5 + 0.95 * len(nulls)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(nulls) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for axis, null in zip(axes, nulls, strict=False):
        _draw_null(axis, null, line["effect"])
    _draw_effect(axes[-1], line)
    for axis in axes:
        axis.spines[["left", "right", "top"]].set_visible(False)
        axis.set_yticks([])
        axis.tick_params(colors=INK, labelsize=8)
    axes[-1].set_xlabel(_wrapped(line["statistic"]), color=INK, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_null(axis: Axes, null: Mapping[str, Any], effect: float) -> None:
    shape = null["histogram"]
    counts, low, high = shape["counts"], shape["low"], shape["high"]
    width = (high - low) / len(counts)
    axis.bar([low + width * i for i in range(len(counts))], counts, width=width, align="edge", color=NULL)
    axis.axvline(effect, color=EFFECT, lw=1.5)
    draws = f"{null['draws']:,} draws" if null["draws"] else "exact"
    axis.set_title(_wrapped(f"null: {null['name']} ({draws}, p = {null['p']:.2g})"), loc="left", fontsize=8, color=INK)


def _draw_effect(axis: Axes, line: Mapping[str, Any]) -> None:
    low, high = line["ci"]
    axis.plot([low, high], [0, 0], color=EFFECT, lw=2.5, solid_capstyle="butt")
    axis.plot(line["effect"], 0, "o", color=EFFECT, ms=6)
    axis.axvline(0, color=INK, lw=0.8, ls=":")
    axis.set_ylim(-1, 1)
    axis.set_title(f"effect and 95 % interval (n = {line['n']})", loc="left", fontsize=8, color=INK)


def _wrapped(words: str) -> str:
    return "\n".join(wrap(words, 88))
