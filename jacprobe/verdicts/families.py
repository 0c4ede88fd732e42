"""Multiplicity families: always judged whole, so that a selection of claims cannot change a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacprobe.verdicts.judge import Multiplicity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.estimate import Estimate


def adjust(family: Mapping[str, Estimate | None], claim_id: str) -> Multiplicity | None:
    """Return the Holm-adjusted p of one member and the least that adjusting could leave of it (Holm 1979).

    Parameters
    ----------
    family
        Estimates of all rows of the family by claim id; None for a row that could not be evaluated, which stays in
        the count with p = 1.
    claim_id
        The member to adjust.
    """
    from jacprobe.stats import holm

    own = family[claim_id]
    if own is None or own.p is None:
        return None
    ids = list(family)
    others = {i: 1.0 if (e := family[i]) is None or e.p is None else e.p for i in ids}
    place = ids.index(claim_id)
    best = [own.least_p if i == claim_id else others[i] for i in ids]
    return Multiplicity(float(holm([others[i] for i in ids])[place]), float(holm(best)[place]))
