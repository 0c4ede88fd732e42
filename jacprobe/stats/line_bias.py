"""Measures of NB01 on one model fed two lines' control cells: which knockdowns (KDs) look alike in both, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats.coherence import extended
from jacprobe.stats.labels import Labelled, axis_names, common, rows
from jacprobe.stats.ranks import percentile_rank
from jacprobe.stats.reproduction import reproduces
from jacprobe.stats.vectors import vector_correlation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacprobe.estimate import Estimate
    from jacprobe.stats.labels import FloatArray

LEVEL = 0.05


def less_alike_where_biased(
    home: Any,
    away: Any,
    bias_home: Any,
    bias_away: Any,
    rng: np.random.Generator,
    raw: tuple[Any, Any] | None = None,
    *,
    permutations: int = 1999,
) -> Estimate:
    """Return the correlation over KDs of their likeness in two lines with the line bias of the features they use.

    The likeness of a KD is the cosine of its features in the two lines' cells; its bias is the mean over features of
    |d|, weighted by the size of the KD's features in the first line. d is a feature's difference between the lines, in
    units of its sd over KDs (Cohen 1988). Both are made of the first line's features, so that besides the KDs' labels
    the features' are permuted (rule P). d is of another draw of cells, so that they share no noise.

    Parameters
    ----------
    home, away
        Control-centred features in the cells of either line, DataArrays (n, f).
    bias_home, bias_away
        Features of the other draw, not centred.
    rng
        Draws the permutations.
    raw
        Features of `home` and `away` without centring, as a sensitivity.
    permutations
        Draws B; each draw of features weighs all of them anew.
    """
    likeness, weights = _likeness(home, away), _weights(home)
    d = _effect_sizes(bias_home, bias_away)
    bias = Labelled(weights.values @ d, weights.names)
    shared = (home.copy(data=weights.values), Labelled(d, axis_names(home, 1)))
    estimate = vector_correlation(likeness, bias, rng, shared=shared, permutations=permutations, alternative="less")
    norms = Labelled(np.linalg.norm(rows(home, "home", ndim=2).values, axis=1), weights.names)
    shown: dict[str, Any] = {
        "mean_likeness": float(likeness.values.mean()),
        "mean_bias": float(bias.values.mean()),
        "r_given_log_norm": _partial(likeness, bias, np.log(norms.take(likeness.names))),
    }
    if raw is not None:
        shown["r_raw"] = _bias_correlation(*raw, d)
    flags = ()
    if shown["r_given_log_norm"] * estimate.effect <= 0:
        flags = (f"gone where the size of the features is held fixed: r = {shown['r_given_log_norm']:.2f}",)
    return extended(estimate, shown, flags)


def line_bias_reproduces(
    home: Sequence[Any],
    away: Sequence[Any],
    raw_home: Sequence[Any],
    raw_away: Sequence[Any],
    published: str | float,
    rng: np.random.Generator,
) -> Estimate:
    """Return the same correlation over draws of control cells, each with the line bias that the next one shows.

    Parameters
    ----------
    home, away
        Control-centred features in the cells of either line, one (n, f) for each draw.
    raw_home, raw_away
        The same without centring: the published correlation is of these, all of one draw.
    published
        The published value, as printed.
    rng
        Not used.
    """
    d = [_effect_sizes(here, there) for here, there in zip(raw_home, raw_away, strict=True)]
    following = [*d[1:], d[0]]
    draws, as_run = (
        [_bias_correlation(here, there, sizes) for here, there, sizes in zip(*sides, strict=True)]
        for sides in ((home, away, following), (raw_home, raw_away, d))
    )
    estimate = replace(reproduces(draws, published, rng), as_published={"nb01_spearman_of_raw_features": as_run})
    return extended(estimate, {"r_by_draw": draws})


def least_alike(
    home: Sequence[Any],
    away: Sequence[Any],
    rng: np.random.Generator,
    looked_at: Sequence[str] = (),
    raw: tuple[Any, Any] | None = None,
    *,
    kd: str,
) -> Estimate:
    """Return how low one KD stands among all by its likeness in two lines, rank / n (rule F).

    Where the rank is not low, corrected for the KDs looked at before this one was named, nothing is SUPPORTED.

    Parameters
    ----------
    home, away
        Control-centred features in the cells of either line, one (n, f) for each draw.
    rng
        Not used.
    looked_at
        The KDs that were looked at.
    raw
        Features of the first draw without centring, as a sensitivity.
    kd
        The KD.
    """
    draws = [_likeness(here, there) for here, there in zip(home, away, strict=True)]
    names = draws[0].names
    table = Labelled(np.stack([draw.take(names) for draw in draws]), names)
    estimate = percentile_rank(draws[0], kd, table, rng, descending=False, looked_at=max(1, len(looked_at)))
    value = dict(zip(names, draws[0].values, strict=True))
    shown: dict[str, Any] = {
        "likeness": value[kd],
        "mean_likeness": float(draws[0].values.mean()),
        "lower": [name for name in sorted(value, key=value.__getitem__) if value[name] < value[kd]][:20],
    }
    if raw is not None:
        bare = _likeness(*raw)
        shown["rank_raw"] = int(1 + np.count_nonzero(bare.values < bare.take([kd])[0]))
    caution = None
    if estimate.p is not None and estimate.p > LEVEL:
        caution = f"named after looking at {len(looked_at)} knockdowns: p = {estimate.p:.2g}"
    return extended(replace(estimate, caution=caution), shown)


def _likeness(home: Any, away: Any) -> Labelled:
    """Return the cosine of each KD's features in the two lines, over the KDs of both, shape (n,).

    Raises
    ------
    InputError
        If the features are of different number.
    EvidenceMissingError
        If a KD's features are all 0.
    """
    here, there = rows(home, "home", ndim=2), rows(away, "away", ndim=2)
    if here.values.shape[1] != there.values.shape[1]:
        raise InputError(f"{here.values.shape[1]} and {there.values.shape[1]} features", "one space", where="likeness")
    names, _ = common({"home": here, "away": there})
    a, b = here.take(names), there.take(names)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not (norms > 0).all():
        zero = [name for name, norm in zip(names, norms, strict=True) if not norm > 0]
        raise EvidenceMissingError(f"features that are 0: {', '.join(zero[:5])}", "rows with a direction")
    return Labelled((a * b).sum(axis=1) / norms, names)


def _weights(home: Any) -> Labelled:
    """Return the sizes of each KD's features, which sum to 1, shape (n, f)."""
    array = rows(home, "home", ndim=2)
    sizes = np.abs(array.values)
    return Labelled(sizes / sizes.sum(axis=1, keepdims=True), array.names)


def _effect_sizes(home: Any, away: Any) -> FloatArray:
    """Return |d| of each feature between lines, over the KDs of both, shape (f,); 0 of a feature that is constant."""
    here, there = rows(home, "home", ndim=2), rows(away, "away", ndim=2)
    names, _ = common({"home": here, "away": there})
    a, b = here.take(names), there.take(names)
    apart, sd = np.abs(a.mean(axis=0) - b.mean(axis=0)), np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
    d: FloatArray = np.divide(apart, sd, out=np.zeros_like(apart), where=sd > 0)
    return d


def _bias_correlation(home: Any, away: Any, d: FloatArray) -> float:
    """Return Spearman's r over KDs of likeness and line bias, given the features' effect sizes."""
    weights = _weights(home)
    return _spearman(_likeness(home, away), Labelled(weights.values @ d, weights.names))


def _ranks(x: Labelled, names: Sequence[str]) -> FloatArray:
    ranked: FloatArray = stats.rankdata(x.take(names))
    return ranked - ranked.mean()


def _spearman(x: Labelled, y: Labelled) -> float:
    a, b = _ranks(x, x.names), _ranks(y, x.names)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _partial(x: Labelled, y: Labelled, given: FloatArray) -> float:
    """Return Spearman's partial correlation of x and y given a third number per KD of x."""
    z = Labelled(given, x.names)
    xy, xz, yz = _spearman(x, y), _spearman(x, z), _spearman(Labelled(y.take(x.names), x.names), z)
    return (xy - xz * yz) / float(np.sqrt((1 - xz**2) * (1 - yz**2)))
