"""A verdict in one's hands: the claim, what was measured, why; to be shown, and to be judged again otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from jacprobe.errors import InputError, JacprobeError, unknown_names
from jacprobe.estimate import Estimate
from jacprobe.judging import Judging
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import AllOf, Criterion
from jacprobe.verdicts.expectations import Expectation, study_expectations
from jacprobe.verdicts.judge import Judgement, Multiplicity, Verdict, judge
from jacprobe.verdicts.ledger import Entry, entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacprobe.cells import BatchRule
    from jacprobe.studies import Study


@dataclass(frozen=True)
class Judged:
    """The verdict on one claim of a study.

    Attributes
    ----------
    claim
        The row, with the criterion that it was judged by.
    judgement
        Verdict, reason and remarks.
    estimate
        What was measured; None of composites, and where something was missing.
    multiplicity
        What the claim's family made of its p; None where no p was needed.
    expectation
        What the study expects of the claim; anything, of one that was judged otherwise than the study does.
    study
        What it was judged on.
    """

    claim: Claim
    judgement: Judgement
    estimate: Estimate | None
    multiplicity: Multiplicity | None
    expectation: Expectation
    study: Study
    _judging: Judging = field(repr=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """SUPPORTED, REFUTED, INCONCLUSIVE or NOT EVALUATED."""
        return self.judgement.verdict

    @property
    def reason(self) -> str:
        """Why it is that verdict."""
        return self.judgement.reason

    @property
    def expected(self) -> bool:
        """Whether the study expects it."""
        return self.expectation.admits(self.verdict)

    @property
    def line(self) -> Entry:
        """What the ledger of a run would say of it, as plain data, without provenance."""
        return entry(
            self.claim,
            self.judgement,
            self.expectation,
            study=self.study.name,
            models=self._judging.models(self.claim),
            provenance={"seed": self.study.seed, "batch": self.study.batch, "n_cells": self.study.n_cells},
            estimate=self.estimate,
            multiplicity=self.multiplicity,
        )

    def judged(
        self,
        criterion: Criterion | None = None,
        *,
        sesoi: float | None = None,
        batch: BatchRule | None = None,
        draw: int | None = None,
    ) -> Judged:
        """Return the verdict by another criterion, batch rule or draw of control cells.

        By another criterion nothing is measured: the same estimate is judged. For another batch rule or draw its
        evidence is taken from the store where it is there, and computed once where it is not.

        Parameters
        ----------
        criterion
            In place of the claim's own.
        sesoi
            The claim's own criterion with another smallest effect size of interest.
        batch
            "first" or "own".
        draw
            Which of the disjoint draws of control cells, for the whole family.

        Raises
        ------
        InputError
            Where nothing else is asked for, a composite is to have a criterion, a criterion has no SESOI, or a claim
            reads no draw of its own.
        """
        if criterion is not None and sesoi is not None:
            raise InputError("a criterion and a sesoi", "one of them", where=self.claim.id)
        if sesoi is not None:
            criterion = _with_sesoi(self.claim, sesoi)
        if batch is None and draw is None:
            if criterion is None:
                raise InputError("nothing to judge by", "criterion, sesoi, batch or draw", where=self.claim.id)
            return self._by(criterion)
        study = self.study if batch in (None, self.study.batch) else with_batch(self.study, batch)
        rows = self._judging.rows if draw is None else at_draw(self._judging.rows, self.claim, draw)
        again = verdict_on(
            replace(self._judging, study=study, rows=rows, expectations={}, _estimates={}), self.claim.id
        )
        return again if criterion is None else again._by(criterion)

    def _by(self, criterion: Criterion) -> Judged:
        """Return the verdict on the same estimate by another criterion."""
        if isinstance(self.claim.criterion, AllOf) or isinstance(criterion, AllOf):
            raise InputError("a criterion for a composite", "its parts, judged by others", where=self.claim.id)
        family = self.claim.family if criterion.uses_p else None
        claim = replace(self.claim, criterion=criterion, family=family)
        judgement = self.judgement if self.estimate is None else judge(criterion, self.estimate, self.multiplicity)
        return replace(self, claim=claim, judgement=judgement, expectation=Expectation())

    def __repr__(self) -> str:
        """Return a line that reads alone."""
        from jacprobe.terminal import verdict_line

        return verdict_line(self.line) if self.expectation != Expectation() else _plain_line(self.line)

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows."""
        from jacprobe.report.card import card

        return card(self.line)


def verdict_on(judging: Judging, claim_id: str) -> Judged:
    """Return the verdict on a claim, judged with its whole family."""
    claim = judging.rows[claim_id]
    _measure(judging, claim)
    judgement, multiplicity = judging.judge(claim)
    measured = None if isinstance(claim.criterion, AllOf) else judging.estimate(claim)
    estimate = measured if isinstance(measured, Estimate) else None
    return Judged(claim, judgement, estimate, multiplicity, judging.expectation(claim), judging.study, judging)


def _measure(judging: Judging, claim: Claim) -> None:
    """Measure what a claim is judged by, showing how far it is."""
    from jacprobe.progress import working

    rows = judging.rows
    needed = [
        row for row in rows.values() if row.measure is not None and (row.id == claim.id or _together(row, claim, rows))
    ]
    with working(claim.id) as progress:
        for number, row in enumerate(needed):
            progress(number, len(needed), row.id)
            judging.estimate(row)


def judging_of(study: Study, rows: Mapping[str, Claim]) -> Judging:
    """Return the judging of a study's claims, with estimates kept as in a run of pytest."""
    from jacprobe.kept_estimates import code_digest
    from jacprobe.suite import suite_root

    stated = study_expectations(study.folder, rows)
    return Judging(study, rows, stated, code_digest(suite_root() / "claims"))


def with_batch(study: Study, batch: BatchRule) -> Study:
    """Return a study by another batch rule, the same one each time."""
    key = ("batch", batch)
    if key not in study._cache:
        if batch not in ("first", "own"):
            raise InputError(f"batch {batch!r}", "'first' or 'own'", where="batch")
        study._cache[key] = study.reopened(batch=batch)
    again: Study = study._cache[key]
    return again


def at_draw(rows: Mapping[str, Claim], claim: Claim, draw: int) -> dict[str, Claim]:
    """Return the rows with a claim, its family and its parts over another draw of control cells."""
    if draw < 0:
        raise InputError(f"draw {draw}", "0 or more", where=claim.id)
    moved = {row.id: _moved(row, draw) for row in rows.values() if row.id == claim.id or _together(row, claim, rows)}
    if draw and all(rows[name].evidence == row.evidence for name, row in moved.items()):
        raise InputError(
            "a claim that reads no single draw of control cells",
            "one that does",
            "It has draws of its own, or none.",
            claim.id,
        )
    return {**rows, **moved}


def _together(row: Claim, claim: Claim, rows: Mapping[str, Claim]) -> bool:
    """Whether a row is judged together with a claim: in its family, or as a part of it and in the part's."""
    from jacprobe.judging import leaves

    families = {rows[part].family for part in leaves(claim, rows)} | {claim.family}
    return row.id in leaves(claim, rows) or (row.family is not None and row.family in families)


def _moved(row: Claim, draw: int) -> Claim:
    return replace(row, evidence={name: request.at_draw(draw) for name, request in row.evidence.items()})


def _with_sesoi(claim: Claim, sesoi: float) -> Criterion:
    criterion: Any = claim.criterion
    if "sesoi" not in {item.name for item in fields(criterion)} or criterion.sesoi is None:
        raise InputError(f"a sesoi for {criterion}", "a criterion that has one", "Give a criterion.", claim.id)
    changed: Criterion = replace(criterion, sesoi=sesoi)
    return changed


def _plain_line(line: Entry) -> str:
    from jacprobe.terminal import verdict_line

    return verdict_line({**line, "expected": ["anything"]}).rpartition(". Expected ")[0]


def known_claim(rows: Mapping[str, Claim], claim: Claim | str) -> Claim:
    """Return a claim given by itself or by its id.

    Raises
    ------
    UnknownNameError
        Where no row has the id.
    JacprobeError
        Where it is neither.
    """
    if isinstance(claim, Claim):
        return claim
    if not isinstance(claim, str):
        raise JacprobeError(f"a {type(claim).__name__}", "a claim or its id", where="claim")
    if claim not in rows:
        raise unknown_names("claim id", [claim], list(rows), where="claim")
    return rows[claim]
