"""Figures of evidence, each a pure function of labelled arrays: similarities, layouts, components, knockouts."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError
from jacprobe.report.figures import style
from jacprobe.report.words import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

LEFT, TOP, GAP = 0.62, 0.42, 0.62  # inches
BINS, DECILES = 60, 10
MOST_CELLS = 156  # along a side of a heatmap, of five pixels each; more are averaged
LEVELS = 9  # of a heatmap's colours, an odd number so that one of them means 0


def pairs(first: xr.DataArray, second: xr.DataArray) -> tuple[FloatArray, FloatArray]:
    """Return the values of two similarity matrices over all pairs i < j of the knockdowns that both have."""
    there = set(second[second.dims[0]].values.tolist())
    names = [name for name in first[first.dims[0]].values.tolist() if name in there]
    upper = np.triu_indices(len(names), 1)
    x, y = (
        np.asarray(matrix.sel(dict.fromkeys(matrix.dims, names)).values, dtype=np.float64)[upper]
        for matrix in (first, second)
    )
    return x, y


def deciles(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return, for each tenth of the pairs by x, the median of x and the median and quartiles (2, 10) of y."""
    parts = np.array_split(np.argsort(x, kind="stable"), DECILES)
    middle = np.array([np.median(x[part]) for part in parts])
    quartiles = np.array([np.quantile(y[part], (0.25, 0.5, 0.75)) for part in parts]).T
    return middle, quartiles[1], quartiles[[0, 2]]


def scatter(panels: Mapping[str, tuple[xr.DataArray, xr.DataArray]], r: Mapping[str, float | None]) -> style.Sheet:
    """Return the density of pairs of knockdowns by similarity of responses and of Jacobians, with deciles over it.

    Parameters
    ----------
    panels
        Cosines of Jacobians and of responses, shape (n, n), by the name of the model.
    r
        The correlation that stands in the ledger, by the same names.
    """
    width = (style.WIDTH - LEFT - 0.16 - GAP * (len(panels) - 1)) / len(panels)
    height = min(2.6, width)
    sheet = style.sheet(TOP + height + 0.48)
    found = {name: pairs(*matrices) for name, matrices in panels.items()}
    spans = tuple(_padded(np.concatenate([pair[axis] for pair in found.values()])) for axis in (1, 0))
    for place, (name, (y, x)) in enumerate(found.items()):
        left = LEFT + place * (width + GAP)
        axes = style.panel(sheet, (left, TOP, width, height), *spans, y_marked=True)
        counts = np.histogram2d(x, y, bins=BINS, range=spans)[0].T
        shades = np.ma.masked_equal(np.round(8 * np.log1p(counts) / np.log1p(counts.max())), 0)
        axes.imshow(
            shades, cmap="Blues", vmin=-1, vmax=8, extent=(*spans[0], *spans[1]), origin="lower", aspect="auto",
            interpolation="nearest", zorder=1,
        )  # fmt: skip
        at, middle, (low, high) = (part.tolist() for part in deciles(x, y))
        for each in zip(at, low, high, strict=True):
            style.line(axes, [each[0]] * 2, each[1:], color=style.EFFECT, lw=1.2, zorder=3)
        style.line(axes, at, middle, "o", color=style.EFFECT, lw=1.2, ms=4.5, mec=style.PAPER, mew=0.6, zorder=4)
        n, correlation = len(panels[name][1]), r.get(name)
        about = "" if correlation is None else f", r = {number(correlation)}"
        sheet.write(left, 0.1, f"{name}\nn = {n} knockdowns, {len(x):,} pairs{about}")
        sheet.write(left + width / 2, TOP + height + 0.24, "cosine of responses (dY)", anchor="ma")
        if place == 0:
            sheet.upright(0.12, TOP + height / 2, "cosine of Jacobians (dY/dpert)")
    return sheet


def heatmap(similarity: xr.DataArray, labels: xr.DataArray) -> style.Sheet:
    """Return similarities of responses, shape (n, n), in the order of their clusters, which are set apart by lines."""
    names = [name for name in labels[labels.dims[0]].values.tolist() if name in set(similarity.kd.values.tolist())]
    cluster = labels.sel({labels.dims[0]: names}).values
    order = np.argsort(cluster, kind="stable")
    axis = [names[i] for i in order]
    values = np.asarray(similarity.sel(dict.fromkeys(similarity.dims, axis)).values, dtype=np.float64)
    n, side = len(values), 3.9
    shown = _averaged(values, MOST_CELLS)
    most = float(np.quantile(np.abs(values[~np.eye(n, dtype=bool)]), 0.99)) if n > 1 else 1.0
    sheet = style.sheet(0.34 + side + 0.16)
    sheet.write(0.14, 0.1, f"cosine of responses (dY) of {n} knockdowns, ordered by their {len(set(cluster))} clusters")
    axes = style.panel(sheet, (1.0, 0.34, side, side), (0, n), (n, 0), x_marked=False)
    levels = np.clip(np.round(shown / most * (LEVELS // 2)), -(LEVELS // 2), LEVELS // 2)
    axes.imshow(
        levels, cmap="PuOr_r", vmin=-(LEVELS // 2), vmax=LEVELS // 2, extent=(0, n, n, 0), interpolation="nearest"
    )
    ordered = cluster[order]
    ends = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), n]
    last = -1.0
    for start, end in pairwise(ends):
        style.line(axes, [0, n], [end, end], color=style.PAPER, lw=0.6)
        style.line(axes, [end, end], [0, n], color=style.PAPER, lw=0.6)
        middle = 0.34 + side * (start + end) / 2 / n
        if middle - last >= 0.11:  # names that would touch the one above are left out
            sheet.write(0.94, middle, f"cluster {ordered[start]} ({end - start})", 6.0, anchor="rm")
            last = middle
    _colour_key(sheet, (5.25, 0.34 + side / 2 - 0.9, 0.16, 1.8), most)
    return sheet


def umap(rows: FloatArray, neighbours: int = 15) -> FloatArray:
    """Return a UMAP of rows by cosine distance, shape (n, 2), the same each time.

    Raises
    ------
    EvidenceMissingError
        Where umap-learn is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own habits: no Tensorflow, a fixed seed takes one thread
        try:
            from umap import UMAP
        except ImportError as error:
            mend = "pip install 'jacprobe[umap]'"
            raise EvidenceMissingError("umap-learn is not installed", "it, for this figure", mend) from error
        layout = UMAP(n_neighbors=neighbours, metric="cosine", random_state=0, n_jobs=1)
        return np.asarray(layout.fit_transform(rows))


def two_maps(place: FloatArray, cluster: Sequence[Any], family: Sequence[str | None]) -> style.Sheet:
    """Return a layout of knockdowns, shape (n, 2), coloured by response cluster and by gene family."""
    width = height = 2.85
    sheet = style.sheet(0.38 + height + 0.66)
    sizes = {name: list(family).count(name) for name in dict.fromkeys(family) if name is not None}
    for left, title in ((0.16, "by response cluster"), (0.16 + width + 0.38, "by gene family")):
        sheet.write(left, 0.1, f"{title}, n = {len(place)} knockdowns")
    x, y = _padded(place[:, 0], 0.06), _padded(place[:, 1], 0.06)
    first = style.panel(sheet, (0.16, 0.34, width, height), x, y, x_marked=False)
    numbers = np.asarray(cluster)
    for order, name in enumerate(np.unique(numbers).tolist()):
        _dots(first, place[numbers == name], style.SERIES[order % len(style.SERIES)], "osD^v"[order // 7 % 5])
        # By its number too: more clusters than colours can be told apart.
        x_middle, y_middle = map(float, np.median(place[numbers == name], axis=0))
        first.text(x_middle, y_middle, str(name), fontsize=6.5, ha="center", va="center", bbox=_HALO, zorder=6)
    second = style.panel(sheet, (0.16 + width + 0.38, 0.34, width, height), x, y, x_marked=False)
    members = np.array([one or "" for one in family])
    _dots(second, place[members == ""], style.NULL, "o", 2.6)
    for order, (name, size) in enumerate(sizes.items()):
        colour, marker = style.SERIES[order % 7], "osD^vPX"[order % 7]
        _dots(second, place[members == name], colour, marker)
        column, row = order % 3, order // 3
        _legend(sheet, 0.16 + column * 2.08, 0.34 + height + 0.12 + 0.17 * row, f"{name} ({size})", colour, marker)
    row = (len(sizes) + 2) // 3
    sheet.write(0.16, 0.34 + height + 0.12 + 0.17 * row, _NO_UNIT, color=style.QUIET)
    return sheet


def shares(found: Mapping[str, tuple[float, FloatArray]], copies: Mapping[str, FloatArray], published: float | None,
           n: int) -> style.Sheet:  # fmt: skip
    """Return the first component's share of variance with each knockdown left out once.

    Parameters
    ----------
    found
        The share over all knockdowns and those without each, by how the Jacobians were scaled.
    copies
        Shares in randomised copies, by the same kind of name.
    published
        The published share.
    n
        Knockdowns.
    """
    rows: list[tuple[str, FloatArray, float | None]] = [
        (name, without, full) for name, (full, without) in found.items()
    ]
    rows += [(name, values, None) for name, values in copies.items()]
    most = max(*(float(np.max(values)) for _, values, _ in rows), published or 0.0)
    names = [*rows, *([("published", np.array([published]), None)] if published is not None else [])]
    label = f"share of variance of the first component; each tick leaves out one of {n} knockdowns, or is one copy"
    return _strips(names, (0.0, 1.12 * most), label, published)


def knockouts(r: Mapping[str, FloatArray], published: float | None, threshold: float | None) -> style.Sheet:
    """Return distributions of r over silenced genes: across lines, of mismatched genes, of a seed replicate, of draws.

    Parameters
    ----------
    r
        Correlations by what is compared.
    published, threshold
        The published mean across lines, and the claim's bound.
    """
    height, base = 0.5, 0.34
    sheet = style.sheet(base + height * len(r) + 0.5)
    low = min(-0.4, *(float(values.min()) for values in r.values()))
    axes = style.panel(sheet, (2.28, base, style.WIDTH - 2.44, height * len(r)), (low, 1.0), (height * len(r), 0))
    edges = np.linspace(low, 1.0, 71)
    for place, (name, values) in enumerate(r.items()):
        counts = np.histogram(np.clip(values, low, 1.0), edges)[0]  # r of 1 may be more by rounding
        bottom = height * (place + 1)
        tops = bottom - (height - 0.08) * counts / max(1, counts.max())
        colour = style.EFFECT if place == 0 else style.NULL
        style.steps(axes, tops.tolist(), edges.tolist(), bottom, colour, alpha=0.85)
        style.line(axes, [float(values.mean())] * 2, [bottom - height + 0.04, bottom], color=style.INK, lw=1.2)
        sheet.write(0.14, base + bottom - height + 0.1, name)
        sheet.write(0.14, base + bottom - height + 0.245, f"mean {number(float(values.mean()))}, n = {len(values):,}",
                    color=style.QUIET)  # fmt: skip
    whole = [0.0, height * len(r)]
    span = axes.get_xlim()
    bounds = ((published, style.PUBLISHED, "published mean", "ra"), (threshold, style.CLAIMED, "bound", "la"))
    for value, colour, words, anchor in bounds:
        if value is not None:
            style.line(axes, [value] * 2, whole, color=colour, lw=1.2, ls=(0, (3, 2)), zorder=4)
            at = 2.28 + (style.WIDTH - 2.44) * (value - span[0]) / (span[1] - span[0])
            sheet.write(at, 0.14, f"{words} {number(value)}", color=colour, anchor=anchor)
    sheet.write(2.28, base + height * len(r) + 0.28, "Spearman r over output genes, a silenced gene at a time")
    return sheet


def _strips(
    rows: Sequence[tuple[str, FloatArray, float | None]], span: tuple[float, float], label: str,
    published: float | None,
) -> style.Sheet:  # fmt: skip
    height = 0.34
    lines = style.wrapped(label, style.WIDTH - 2.44, 3)
    sheet = style.sheet(0.12 + height * len(rows) + 0.3 + 0.15 * len(lines))
    axes = style.panel(sheet, (2.28, 0.1, style.WIDTH - 2.44, height * len(rows)), span, (height * len(rows), 0))
    for place, (name, values, full) in enumerate(rows):
        middle = height * (place + 0.5)
        if name == "published":
            style.line(axes, values.tolist(), [middle], "D", color=style.PUBLISHED, ms=5)
            style.line(axes, [float(values[0])] * 2, [0, middle], color=style.PUBLISHED, lw=0.8, ls=(0, (3, 2)))
            sheet.write(0.14, 0.1 + middle, f"published: {number(published)}", anchor="lm")
            continue
        style.line(
            axes, list(values), [middle + 0.07] * len(values), "|", color=style.QUIET, ms=6, mew=0.6, ls="", alpha=0.6
        )
        if full is not None:
            style.line(axes, [full], [middle - 0.05], "o", color=style.EFFECT, ms=6.5, mec=style.PAPER, mew=0.8)
        about = f"{number(full)}, least {number(float(values.min()))}" if full is not None else f"{len(values)} copies"
        sheet.write(0.14, 0.1 + middle - 0.13, name)
        sheet.write(0.14, 0.1 + middle + 0.01, about, color=style.QUIET)
    sheet.write(2.28, 0.1 + height * len(rows) + 0.26, "\n".join(lines))
    return sheet


_NO_UNIT = "UMAP of dY, cosine distance: near is alike, axes have no unit"
_HALO = {"boxstyle": "round,pad=0.12", "facecolor": style.PAPER, "edgecolor": "none", "alpha": 0.75}


def _dots(axes: Axes, place: FloatArray, colour: str, marker: str, size: float = 3.6) -> None:
    style.line(
        axes, place[:, 0].tolist(), place[:, 1].tolist(), marker, color=colour, ms=size, mec=style.PAPER, mew=0.3,
        ls="", zorder=3,
    )  # fmt: skip


def _legend(sheet: style.Sheet, left: float, top: float, words: str, colour: str, marker: str) -> None:
    key = style.panel(sheet, (left, top - 0.02, 0.15, 0.15), (-1, 1), (-1, 1), x_marked=False)
    style.line(key, [0], [0], marker, color=colour, ms=4.5)
    sheet.write(left + 0.19, top, style.wrapped(words.replace("_", " "), 1.85, 1)[0])


def _colour_key(sheet: style.Sheet, box: tuple[float, float, float, float], most: float) -> None:
    left, top, width, height = box
    axes = style.panel(sheet, box, (0, 1), (0, LEVELS), x_marked=False)
    ramp = np.arange(LEVELS)[:, None] - LEVELS // 2
    axes.imshow(ramp, cmap="PuOr_r", extent=(0, 1, 0, LEVELS), origin="lower", aspect="auto", interpolation="nearest")
    for share, words in ((0.0, f"≥ {number(most, 2)}"), (0.5, "0"), (1.0, f"≤ {number(-most, 2)}")):
        sheet.write(left + width + 0.06, top + share * height, words, anchor="lm")
    sheet.write(left, top - 0.22, "cosine")


def _averaged(values: FloatArray, most: int) -> FloatArray:
    """Return a square matrix with at most so many rows, neighbours averaged."""
    n = len(values)
    if n <= most:
        return values
    starts = np.linspace(0, n, most, endpoint=False).astype(int)
    sizes = np.diff([*starts, n])
    summed = np.add.reduceat(np.add.reduceat(values, starts, axis=0), starts, axis=1)
    mean: FloatArray = summed / np.outer(sizes, sizes)
    return mean


def _padded(values: FloatArray, share: float = 0.03) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = share * (high - low) or 1.0
    return low - pad, high + pad
