"""Measures of NB03's panels: is a target more sensitive to a regulator under the knockdowns of their pathway."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jacprobe.errors import EvidenceMissingError
from jacprobe.estimate import Alternative, Estimate
from jacprobe.stats import published
from jacprobe.stats.contrasts import panel_contrast, vector_contrast
from jacprobe.stats.labels import Labelled, common, locate, rows
from jacprobe.stats.ranks import outranks, percentile_rank
from jacprobe.stats.reproduction import reproduces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVEL = 0.05
ALONE = (
    "only the panel's knockdowns are there: {} against {} controls, exactly relabelled; the primary test is against "
    "all other knockdowns and needs J under them"
)
Group = Literal["pathway_kds", "control_kds"]


def panel_sensitivity(
    J: Any,
    panel: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
    *,
    clusters: Any = None,
    replicate: Any = None,
    untrained: Sequence[Any] | None = None,
    group: Group = "pathway_kds",
    against: Group | None = None,
    absolute: bool = True,
    alternative: Alternative = "greater",
) -> Estimate:
    """Return how much larger a panel's sensitivity is under one group of its knockdowns (KDs) than under all others.

    `panel_contrast` over the panel's regulators and targets, in units of the mean |J| over all KDs. With response
    clusters, p and interval allow for clusters that differ at random: four KDs of one pathway share a state.

    Parameters
    ----------
    J
        dY[target] / dX[regulator], a DataArray of shape (kd, regulator, target). Regulators that the panel does not
        name are controls, and reported.
    panel
        Its regulators, pathway_kds and control_kds.
    rng
        Draws the sets.
    clusters
        Response cluster of each KD; None where there is none, which is flagged.
    replicate
        J of another training of the same line, over these or fewer KDs, or None. An effect that it does not show bars a
        verdict that there is one.
    untrained
        J of copies with re-drawn weights, over the panel's KDs at least, or None.
    group, against
        Whose mean is taken, and the group it is compared with: all other KDs where None, or the panel's controls if J
        is of no others.
    absolute
        Mean of |J|, else of signed J.
    alternative
        The side of p.

    Returns
    -------
    Estimate
        The published test over triples as published; the panel's KDs one by one, the same contrast of the other
        regulators, of the replicate and of the untrained copies in the diagnostics.

    Raises
    ------
    InputError, EvidenceMissingError
        As in `panel_contrast`.
    """

    def contrast(array: Any, regulators: Sequence[str], spread: Any = None) -> Estimate:
        return panel_contrast(
            array.sel(regulator=list(regulators)),
            panel[group],
            rng,
            controls=None if against is None else panel[against],
            absolute=absolute,
            clusters=spread,
            alternative=alternative,
        )

    means = _means(J, panel)
    alone = against is None and len(means) == J.sizes["kd"]
    if alone:
        against = "control_kds"
    own = list(panel["regulators"])
    others = [str(name) for name in J["regulator"].values if str(name) not in own]
    estimate, caution = contrast(J, own, clusters), None
    beside: dict[str, Any] = {"mean_abs_j": means}
    flags = list(estimate.flags)
    if clusters is None:
        flags.append("no response clusters: knockdowns of one pathway are taken as independent")
    if alone:
        flags.append(ALONE.format(*(len(_known(J, panel[part])) for part in ("pathway_kds", "control_kds"))))
    if others:
        beside["other_regulators"] = _short(contrast(J, others, clusters))
    if replicate is not None:
        again = contrast(replicate, own)
        beside["seed_replicate"] = _short(again)
        flags.append(f"another training of the same line: {again.effect:+.2f}")
        caution = _unrepeated(estimate, again)
    if untrained is not None:
        beside["untrained_folds"] = [_fold(_means(copy, panel), panel) for copy in untrained]
        beside["fold"] = _fold(means, panel)
    signed = {part: J.sel(regulator=own, kd=_known(J, panel[part])).values for part in ("pathway_kds", "control_kds")}
    return replace(
        estimate,
        caution=caution,
        flags=tuple(flags),
        as_published={"nb03_triples": published.mann_whitney_over_triples(*signed.values())},
        diagnostics={**estimate.diagnostics, **beside},
    )


def controls_are_neutral(
    J: Any,
    panel: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
    *,
    clusters: Any = None,
    replicate: Any = None,
    alternative: Alternative = "two-sided",
) -> Estimate:
    """Return mean |J| of a panel's control knockdowns (KDs) minus that of all others, in units of the all-KD mean.

    Parameters
    ----------
    J
        The derivative of one target by one regulator, shape (kd,).
    panel
        Its pathway_kds and control_kds.
    rng
        Draws the sets.
    clusters, replicate, alternative
        As in `panel_sensitivity`.
    """

    def contrast(given: Any, spread: Any = None) -> tuple[Estimate, Labelled]:
        vector = rows(given, "J", ndim=1)
        scaled = Labelled(np.abs(vector.values) / np.abs(vector.values).mean(), vector.names)
        found = vector_contrast(scaled, panel["control_kds"], rng, clusters=spread, alternative=alternative)
        return found, scaled

    estimate, scaled = contrast(J, clusters)
    vector = rows(J, "J", ndim=1)
    whole = float(vector.values.mean())
    folds = {part: float(vector.take(_known(J, panel[part])).mean()) / whole for part in ("control_kds", "pathway_kds")}
    each = {name: float(scaled.take([name])[0]) for name in _known(J, panel["control_kds"])}
    again = None if replicate is None else contrast(replicate)[0]
    beside = {"controls": each} if again is None else {"controls": each, "seed_replicate": _short(again)}
    flag = () if clusters is not None else ("no response clusters: knockdowns are taken as independent",)
    return replace(
        estimate,
        caution=None if again is None else _unrepeated(estimate, again),
        flags=estimate.flags + flag,
        as_published={"nb03_over_all": folds},
        diagnostics={**estimate.diagnostics, **beside},
    )


def rank_over_draws(
    draws: Sequence[Any],
    kd: str,
    rng: np.random.Generator,
    *,
    control: Any = None,
    replicate: Any = None,
    looked_at: int = 1,
    alternative: Literal["less", "greater"] = "less",
) -> Estimate:
    """Return the percentile of one knockdown, rank 1 the largest, over control-cell draws (rule F).

    Parameters
    ----------
    draws
        One number per knockdown from each draw, each (n,); one draw gives a rank without an interval.
    kd
        The knockdown's name.
    rng
        Not used.
    control
        The control's own value, shape (1,), for the published rank that counted it as a knockdown; None if not there.
    replicate
        One number per knockdown in another training of the same line, shape (n,), whose percentile is shown beside; a
        rank is a fact of one checkpoint. Or None.
    looked_at, alternative
        As in `percentile_rank`.
    """
    table = _table(draws)
    estimate = percentile_rank(
        Labelled(table.values[0], table.names),
        kd,
        table if len(draws) > 1 else None,
        rng,
        looked_at=looked_at,
        control=_number(control),
        alternative=alternative,
    )
    if replicate is None:
        return estimate
    again = percentile_rank(replicate, kd).effect
    return replace(
        estimate,
        flags=(*estimate.flags, f"percentile in another training of the same line: {again:.3f}"),
        diagnostics={**estimate.diagnostics, "seed_replicate": again},
    )


def rank_reproduces(
    draws: Sequence[Any], kd: str, published: str, rng: np.random.Generator, *, control: Any = None
) -> Estimate:
    """Return whether a knockdown's percentile comes out as published (rule N).

    Parameters
    ----------
    draws, kd, control
        As in `rank_over_draws`.
    published
        Rank over knockdowns, as printed.
    rng
        Not used.
    """
    ranks = [percentile_rank(draw, kd, control=_number(control) if i == 0 else None) for i, draw in enumerate(draws)]
    estimate = reproduces([rank.effect for rank in ranks], published, rng)
    shown = {"ranks": [rank.diagnostics["ranks"][kd] for rank in ranks], "of": ranks[0].n}
    return replace(estimate, as_published=ranks[0].as_published, diagnostics={**estimate.diagnostics, **shown})


def outranks_over_draws(draws: Sequence[Any], kd: str, others: Sequence[str], rng: np.random.Generator) -> Estimate:
    """Return the least chance over control-cell draws that one knockdown stands above each of others (rule F).

    Parameters
    ----------
    draws
        One number per knockdown from each draw, each (n,).
    kd, others
        Names.
    rng
        Not used.

    Raises
    ------
    EvidenceMissingError
        If a name is not there.
    """
    table = _table(draws)
    return outranks(table, kd, others, rng, normal=True)


def _table(draws: Sequence[Any]) -> Labelled:
    """Return draws as a table (draw, kd) that carries the knockdowns' names, matched by name."""
    if not draws:
        raise EvidenceMissingError("no control-cell draw", "at least one", where="draws")
    sides = {f"draw {i}": rows(draw, f"draw {i}", ndim=1) for i, draw in enumerate(draws)}
    names, _ = common(sides, 2)
    return Labelled(np.array([side.take(names) for side in sides.values()]), names)


def _means(J: Any, panel: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return mean |J| over pairs of each of the panel's KDs, whose regulators alone count."""
    known = _known(J, [*panel["pathway_kds"], *panel["control_kds"]])
    values = np.abs(J.sel(kd=known, regulator=list(panel["regulators"])).values).mean(axis=(1, 2))
    return {name: float(value) for name, value in zip(known, values, strict=True)}


def _fold(means: Mapping[str, float], panel: Mapping[str, Sequence[str]]) -> float:
    """Return mean |J| of the pathway's KDs over that of the controls."""
    sides = [[means[name] for name in panel[part] if name in means] for part in ("pathway_kds", "control_kds")]
    return float(np.mean(sides[0]) / np.mean(sides[1]))


def _known(J: Any, names: Sequence[str]) -> list[str]:
    place = [str(name) for name in J["kd"].values]
    return list(locate(names, place, 1, "kd").names)


def _unrepeated(estimate: Estimate, again: Estimate) -> str | None:
    """Return why an effect of one training is no effect of the pathway: another training of the line lacks it."""
    if again.p is not None and again.p <= LEVEL and again.effect * estimate.effect > 0:
        return None
    return f"another training of the same line does not show it ({again.effect:+.2f} against {estimate.effect:+.2f})"


def _short(estimate: Estimate) -> dict[str, Any]:
    return {"effect": estimate.effect, "ci90": estimate.ci90, "p": estimate.p}


def _number(control: Any) -> float | None:
    return None if control is None else float(np.ravel(getattr(control, "values", control))[0])
