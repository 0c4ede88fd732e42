"""Rule J: who stands nearest to a knockdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import InputError
from jacprobe.estimate import Estimate
from jacprobe.stats import intervals, moments, nulls
from jacprobe.stats.labels import Labelled, locate, square
from jacprobe.stats.ranks import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.stats.labels import FloatArray, IntArray

LEAST_MEMBERS = 5
LEAST_MEMBERS_NULL = 10


def neighbours(
    similarity: Any,
    query: str,
    family: Any,
    rng: np.random.Generator,
    *,
    top: int = 15,
    excess: bool = True,
    permutations: int = 9999,
) -> Estimate:
    """Return how many of a family are among the `top` nearest neighbours of a query, beyond relabelled families.

    Two nulls, the larger p judged: random families, and families matched on hubness (how often a knockdown (KD) is
    among the top neighbours of others). The interval is the exact binomial one over family members, less the matched
    null's mean. The query is not its own neighbour.

    Parameters
    ----------
    similarity
        Similarities, control left out, shape (n, n).
    query
        The KD asked about, fixed in advance.
    family
        The KDs counted; unknown ones are dropped and named.
    rng
        Draws the families.
    top
        Length of the neighbour list.
    excess
        False: the plain count, a fact of this checkpoint without an interval ("exclusively": `top` of `top`).
    permutations
        Draws B of each null.

    Returns
    -------
    Estimate
        The neighbours, nearest first, stand in the diagnostics.

    Raises
    ------
    InputError
        If `top` is not below the number of KDs.
    EvidenceMissingError
        If the query or every member is unknown.
    """
    S, place = _asked(similarity, query, top)
    others = tuple(name for name in S.names if name != S.names[place])
    members = tuple(str(name) for name in getattr(family, "members", family) if str(name) != S.names[place])
    found = locate(members, others, 1, "family")
    order = _order(S.values, place)
    hit = np.isin(np.delete(np.arange(len(S.names)), place), order[:top])
    count, k = int(hit[found.index].sum()), len(found.index)
    hubness = np.delete(_k_occurrence(S.values, top), place)
    plain, matched = _relabelled_families(hit.astype(float), hubness, found.index, k, rng, permutations)
    centre = float(matched[1].mean()) if excess else 0.0
    effect = count - centre
    drawn = tuple(nulls.from_draws(name, effect, samples - centre, "greater") for name, samples in (plain, matched))
    ci: tuple[float, float] = (effect, effect)
    ci90, flags = ci, found.flags
    if excess:
        ci, ci90 = (
            (k * low - centre, k * high - centre) for low, high in (clopper_pearson(count, k, q) for q in (0.95, 0.90))
        )
    else:
        flags += ("a count of one checkpoint: no interval",)
    sd = max(null.sd for null in drawn)
    return Estimate(
        effect,
        k,
        ci,
        ci90,
        max(null.p for null in drawn),
        "greater",
        drawn,
        intervals.minimum_detectable(sd, max(k - 1, 1), "greater"),
        LEAST_MEMBERS if excess else 1,
        LEAST_MEMBERS_NULL if excess else 1,
        dropped=found.unknown,
        flags=flags,
        diagnostics={
            "count": count,
            "neighbours": {S.names[i]: float(S.values[place, i]) for i in order[:top]},
            "in_family": [S.names[i] for i in order[:top] if S.names[i] in set(found.names)],
        },
    )


def neighbour_rank(
    similarity: Any,
    query: str,
    partner: str,
    rng: np.random.Generator,
    *,
    top: int = 15,
    permutations: int = 9999,
) -> Estimate:
    """Return the rank of a partner among a query's neighbours; 1 is the nearest.

    Nulls: any other KD in the partner's place, and any of equal hubness. A rank is a fact of one checkpoint: it has no
    interval, and is read beside a replicate with another training seed.

    Parameters
    ----------
    similarity
        Similarities, control left out, shape (n, n).
    query, partner
        Names.
    rng
        Draws from the partner's hubness class.
    top
        Neighbour list by which hubness is counted.
    permutations
        Draws B of the second null.

    Raises
    ------
    EvidenceMissingError
        If query or partner is unknown.
    """
    nulls.check_draws(permutations)
    S, place = _asked(similarity, query, top)
    found = locate([partner], S.names, 1, "partner")
    if int(found.index[0]) == place:
        raise InputError(f"{query} as its own partner", "another KD", where="partner")
    order = _order(S.values, place)
    rank = np.empty(len(S.names))
    rank[order] = np.arange(1, len(order) + 1)
    effect = float(rank[found.index[0]])
    everyone = nulls.from_all(f"any of {len(order)} KDs as the partner", effect, rank[order], "less")
    hubness = _k_occurrence(S.values, top)
    strata = nulls.quantile_strata([hubness], _hub_bins(len(hubness)))
    pool = np.flatnonzero((strata == strata[found.index[0]]) & (np.arange(len(rank)) != place))
    matched = nulls.from_draws(
        "KDs of equal hubness as the partner", effect, rng.choice(rank[pool], permutations), "less"
    )
    return Estimate(
        effect,
        len(order),
        (effect, effect),
        (effect, effect),
        max(everyone.p, matched.p),
        "less",
        (everyone, matched),
        flags=("a rank of one checkpoint: no interval",),
        diagnostics={
            "similarity": float(S.values[place, found.index[0]]),
            "nearest": [S.names[i] for i in order[:5]],
            "hubness": int(hubness[found.index[0]]),
        },
    )


def neighbourhood_purity(
    similarity: Any,
    family: Any,
    rng: np.random.Generator,
    *,
    top: int = 15,
    permutations: int = 9999,
) -> Estimate:
    """Return the family's mean share among its members' top neighbours, beyond that of hub-matched families.

    Nulls as in `neighbours`; the interval is the delete-one-member jackknife with Student's t(k - 1).

    Parameters
    ----------
    similarity
        Similarities, control left out, shape (n, n).
    family
        The KDs that should form an island.
    rng
        Draws the families.
    top
        Length of each neighbour list.
    permutations
        Draws B of each null.

    Raises
    ------
    InputError
        If `top` is not below the number of KDs.
    EvidenceMissingError
        If fewer than three members are known.
    """
    nulls.check_draws(permutations)
    S = square(similarity)
    _check_top(top, len(S.names))
    found = locate(family, S.names, 3, "family")
    listed = _listed(S.values, top)
    k, both_ways = len(found.index), (listed + listed.T) / 2
    # Over ordered pairs, sum listed[i, j] = k (k - 1) times the mean of the symmetrised matrix within the family.
    scale = (k - 1) / top
    purity = scale * moments.mean_off_diagonal(both_ways[np.ix_(found.index, found.index)])
    strata = nulls.quantile_strata([listed.sum(axis=0)], _hub_bins(len(S.names)))
    plain = scale * moments.mean_within(both_ways, nulls.random_subsets(rng, len(S.names), k, permutations))
    matched = scale * moments.mean_within(both_ways, nulls.matched_subsets(rng, strata, found.index, permutations))
    centre = float(matched.mean())
    effect = purity - centre
    drawn = (
        nulls.from_draws(f"random families of {k} KDs", effect, plain - centre, "greater"),
        nulls.from_draws(f"families of {k} KDs matched on hubness", effect, matched - centre, "greater"),
    )
    # A family of k - 1 could show a purity of (k - 2) / top at most; at the scale of k the replicates are comparable.
    without = scale * moments.leave_one_out(both_ways[np.ix_(found.index, found.index)])
    se = intervals.jackknife_se(without)
    ci, ci90 = intervals.t_intervals(effect, se, k - 1)
    mde = intervals.minimum_detectable(max(se, drawn[1].sd), k - 1, "greater")
    return Estimate(
        effect, k, ci, ci90, max(null.p for null in drawn), "greater", drawn, mde, LEAST_MEMBERS, LEAST_MEMBERS_NULL,
        dropped=found.unknown, flags=found.flags, diagnostics={"purity": purity, "matched_null_purity": centre},
        replicates=intervals.named(found.names, without),
    )  # fmt: skip


def neighbourhood_recall(
    similarity: Any,
    partners: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    top: int = 15,
    permutations: int = 9999,
) -> Estimate:
    """Return how near partners stand to their queries.

    Mean over queries of (1 - rank percentile of the partners) - 1/2: 0 is what chance gives, 1/2 the best there is.
    Null: partners replaced by KDs of equal hubness. The interval is
    Student's t over queries.

    Parameters
    ----------
    similarity
        Similarities, control left out, shape (n, n).
    partners
        Per query its partner, or partners.
    rng
        Draws the replacements.
    top, permutations
        As in `neighbours`.

    Raises
    ------
    InputError
        On fewer than two queries.
    EvidenceMissingError
        If a query, or all partners of one, are unknown.
    """
    nulls.check_draws(permutations)
    S = square(similarity)
    if len(partners) < 2:
        raise InputError(f"{len(partners)} query", "at least two, fixed in advance", where="partners")
    hubness = _k_occurrence(S.values, top)
    strata = nulls.quantile_strata([hubness], _hub_bins(len(S.names)))
    per_query, drawn, dropped = [], np.zeros(permutations), []
    for query, names in partners.items():
        _, place = _asked(S, query, top)
        order = _order(S.values, place)
        nearness = np.full(len(S.names), np.nan)
        nearness[order] = 0.5 - (np.arange(len(order)) + 0.5) / len(order)
        wanted = [names] if isinstance(names, str) else list(getattr(names, "members", names))
        found = locate([name for name in wanted if str(name) != str(query)], S.names, 1, f"partners[{query}]")
        dropped += found.unknown
        per_query.append(float(nearness[found.index].mean()))
        pools = strata.copy()
        pools[place] = -1  # the query can replace nobody
        drawn += nearness[nulls.matched_subsets(rng, pools, found.index, permutations)].mean(axis=1)
    values = np.array(per_query)
    q, effect = len(values), float(values.mean())
    null = nulls.from_draws("partners replaced by KDs of equal hubness", effect, drawn / q, "greater")
    se = float(values.std(ddof=1)) / math.sqrt(q)
    ci, ci90 = intervals.t_intervals(effect, se, q - 1)
    mde = intervals.minimum_detectable(max(se, null.sd), q - 1, "greater")
    nearness_of = dict(zip(map(str, partners), values.tolist(), strict=True))
    return Estimate(
        effect, q, ci, ci90, null.p, "greater", (null,), mde, 2, 2, dropped=tuple(dropped), diagnostics=nearness_of
    )


def _asked(similarity: Any, query: str, top: int) -> tuple[Labelled, int]:
    S = similarity if isinstance(similarity, Labelled) else square(similarity)
    _check_top(top, len(S.names))
    return S, int(locate([query], S.names, 1, "query").index[0])


def _check_top(top: int, n: int) -> None:
    if not 1 <= top < n - 1:
        raise InputError(f"the {top} nearest of {n} KDs", "fewer than the others", where="top")


def _order(S: FloatArray, place: int) -> IntArray:
    """Return all other nodes, most similar first."""
    order = np.argsort(-S[place], kind="stable")
    return order[order != place]


def _listed(S: FloatArray, top: int) -> FloatArray:
    """Return 1 where j is among the top neighbours of i, shape (n, n)."""
    masked = -S.copy()
    np.fill_diagonal(masked, np.inf)
    nearest = np.argpartition(masked, top - 1, axis=1)[:, :top]
    out = np.zeros_like(S)
    np.put_along_axis(out, nearest, 1.0, axis=1)
    return out


def _k_occurrence(S: FloatArray, top: int) -> FloatArray:
    """Return how often each node is among the top neighbours of others (Radovanović et al. 2010)."""
    return _listed(S, top).sum(axis=0)


def _hub_bins(n: int) -> int:
    return int(np.clip(n // 20, 2, 10))


def _relabelled_families(
    hit: FloatArray, hubness: FloatArray, members: IntArray, k: int, rng: np.random.Generator, permutations: int
) -> tuple[tuple[str, FloatArray], tuple[str, FloatArray]]:
    nulls.check_draws(permutations)
    strata = nulls.quantile_strata([hubness], _hub_bins(len(hubness)))
    plain = hit[nulls.random_subsets(rng, len(hit), k, permutations)].sum(axis=1)
    matched = hit[nulls.matched_subsets(rng, strata, members, permutations)].sum(axis=1)
    return (f"random families of {k} KDs", plain), (f"families of {k} KDs matched on hubness", matched)
