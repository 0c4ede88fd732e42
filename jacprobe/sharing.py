"""Which claims had better be judged by one process: those that would wait for each other in two."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jacprobe.verdicts.claim import Claim


def shared_work(rows: Iterable[Claim]) -> dict[str, str]:
    """Return a group for each claim, named by its first member: claims of one family or on the same evidence.

    A family is judged whole, and what two claims rest on is computed once: in two processes one would wait. Evidence
    that is shared in part forms no group, or most claims would be in one; the store has it computed once all the same.
    """
    first: dict[object, str] = {}
    group: dict[str, str] = {}
    for claim in rows:
        ties: list[object] = [claim.family] if claim.family is not None else []
        if claim.evidence:
            ties.append(frozenset(claim.evidence.values()))
        own = claim.id
        for tie in ties:
            joined = group[first[tie]] if tie in first else own
            # Two groups that a claim ties together become one.
            group = {name: joined if there == own else there for name, there in group.items()}
            own = joined
        group[claim.id] = own
        for tie in ties:
            first.setdefault(tie, claim.id)
    return group
