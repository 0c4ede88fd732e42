"""Judging the claims of a study: estimates are obtained once, families whole, composites from their parts."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from jacprobe.errors import ClaimError, EvidenceMissingError
from jacprobe.estimate import Estimate
from jacprobe.kept_estimates import BusyError, obtain
from jacprobe.requests import EveryRole, IfThere
from jacprobe.roles import trainings
from jacprobe.streams import stream
from jacprobe.suite import suite_root
from jacprobe.verdicts.comparison import Outcome, compare, to_pair
from jacprobe.verdicts.criteria import AllOf, Exactly, Reproduces
from jacprobe.verdicts.expectations import Expectation
from jacprobe.verdicts.families import adjust
from jacprobe.verdicts.judge import Judgement, Multiplicity, Verdict, judge, judge_parts
from jacprobe.verdicts.ledger import Entry, entry, is_expected

if TYPE_CHECKING:
    import numpy as np

    from jacprobe.retraining import Earlier
    from jacprobe.studies import Study
    from jacprobe.verdicts.claim import Claim

CHANGED = "criterion changed"


@dataclass
class Judging:
    """The claims `rows` on `study`.

    Attributes
    ----------
    rows
        All rows of the suite by id, whatever was selected: families and composites reach beyond a selection.
    expectations
        Expectations by claim id; a claim without one may come out any way.
    code
        Digest of the code that measures (`jacprobe.kept_estimates.code_digest`), under which estimates are kept in the
        study's store; none are kept where it is empty.
    earlier
        The models of the run that `expectations` are taken from, for paired differences; None where there is none.
    """

    study: Study
    rows: Mapping[str, Claim]
    expectations: Mapping[str, Expectation] = field(default_factory=dict)
    code: str = ""
    earlier: Earlier | None = None
    _estimates: dict[str, Estimate | EvidenceMissingError] = field(default_factory=dict, repr=False)

    def stream(self, claim: Claim) -> np.random.Generator:
        """Return the random stream of a claim, always at its beginning."""
        return stream(self.study.seed, claim.id)

    def estimate(
        self, claim: Claim, measure: Callable[[], object] | None = None, *, wait: bool = True
    ) -> Estimate | EvidenceMissingError:
        """Return the estimate of a claim, or what was missing for it; measured once.

        `measure` measures it in place of the row's own measure, as a test of the row does. Where there is to be no
        waiting, `jacprobe.kept_estimates.BusyError` says that another process is measuring it.
        """
        if claim.id not in self._estimates:
            try:
                if claim.measure is None:
                    raise ClaimError("a composite has no estimate of its own", "its parts' verdicts", where=claim.id)
                first = self._obtain(claim, self.study, measure, wait=wait)
                self._estimates[claim.id] = self._over_trainings(claim, first)
            except EvidenceMissingError as missing:
                self._estimates[claim.id] = missing
        return self._estimates[claim.id]

    def _obtain(
        self, claim: Claim, study: Study, measure: Callable[[], object] | None = None, *, wait: bool = True
    ) -> Estimate:
        """Return what a claim's measure makes of a study's evidence, kept or measured now."""

        def measured() -> Estimate:
            with study.sources.noting() as read:
                if measure is not None:
                    found = checked(claim, measure())
                else:
                    found = checked(claim, claim.measure(**study.evidence(claim), rng=self.stream(claim)))
            return replace(found, sources=dict(sorted(read.items())))

        return obtain(claim, study, self.code, measured, wait=wait)

    def record(self, claim: Claim) -> Entry:
        """Return the ledger line of a claim, judged."""
        begun, stated = time.perf_counter(), self.expectation(claim)
        line = self._line(claim, stated)
        if stated.earlier is not None and not is_expected(line):
            line = self._line(claim, *self._by_rule_m(claim, stated))
        line["seconds"] = time.perf_counter() - begun
        return line

    def _line(self, claim: Claim, expectation: Expectation, flags: tuple[str, ...] = ()) -> Entry:
        """Return the ledger line of a claim by an expectation."""
        judgement, multiplicity = self.judge(claim)
        measured = self._estimates.get(claim.id)
        return entry(
            claim,
            replace(judgement, flags=(*judgement.flags, *flags, *self._remarks(claim))),
            expectation,
            study=self.study.name,
            models=self.models(claim),
            provenance=self.provenance(claim),
            estimate=measured if isinstance(measured, Estimate) else None,
            multiplicity=multiplicity,
        )

    def _by_rule_m(self, claim: Claim, stated: Expectation) -> tuple[Expectation, tuple[str, ...]]:
        """Return what is expected of a claim whose verdict is another than an earlier run's, and the remark on it.

        Without a flip the new verdict is as good as the old one, and both are expected.
        """
        parts = [self.rows[part] for part in leaves(claim, self.rows)]
        now = [self._line(row, Expectation()) for row in (*parts, claim)]
        before = [self.expectations.get(row.id, Expectation()).earlier for row in (*parts, claim)]
        earlier = [line for line in before if line is not None]
        differences = {new["id"]: self._difference(old, new) for old, new in to_pair(earlier, now)}
        change = next(one for one in compare(earlier, now, differences).changes if one.id == claim.id)
        said = f"{change.outcome}: {change.why}"
        admitted = (Verdict(now[-1]["verdict"]),) if change.outcome is Outcome.MOVED else ()
        because = f"{stated.reason} ({said})"
        return replace(stated, verdicts=(*stated.verdicts, *admitted), reason=because), (said,)

    def _difference(self, old: Entry, new: Entry) -> Estimate | str:
        """Return the paired difference of a claim from an earlier run, or why there is none."""
        measured = self._estimates.get(new["id"])
        if self.earlier is None or not isinstance(measured, Estimate):
            return "no earlier model at hand"
        return self.earlier.difference(old, measured)

    def expectation(self, claim: Claim) -> Expectation:
        """Return what is expected of a claim; nothing of a quick look, nor by a criterion that has changed since."""
        stated = self.expectations.get(claim.id, Expectation())
        return Expectation() if self.study.quick or self._outdated(claim) else stated

    def error(self, claim_id: str, reason: str, seconds: float = 0.0) -> Entry:
        """Return the ledger line of a claim that raised, or whose process died: no verdict, and why."""
        return entry(
            self.rows[claim_id],
            Judgement(Verdict.ERROR, reason),
            self.expectation(self.rows[claim_id]),
            study=self.study.name,
            models=self.models(self.rows[claim_id]),
            provenance={"seed": self.study.seed, "quick": self.study.quick},
            seconds=seconds,
        )

    def judge(self, claim: Claim) -> tuple[Judgement, Multiplicity | None]:
        """Return the judgement of a claim and the multiplicity that its family gave it."""
        if isinstance(claim.criterion, AllOf):
            parts = {part: self.judge(self.rows[part])[0].verdict for part in claim.criterion.ids}
            return judge_parts(claim.criterion, parts), None
        estimate = self.estimate(claim)
        if isinstance(estimate, EvidenceMissingError):
            return Judgement(Verdict.NOT_EVALUATED, str(estimate)), None
        multiplicity = self._multiplicity(claim, estimate) if claim.criterion.uses_p else None
        return judge(claim.criterion, estimate, multiplicity), multiplicity

    def models(self, claim: Claim) -> list[str]:
        """Return the roles that a claim is judged on; of what is not needed, those that the study has."""
        found: dict[str, None] = {}
        for request in claim.evidence.values():
            present = [role for role in request.roles if role in self.study.roles]
            optional = isinstance(request, IfThere) or (isinstance(request, EveryRole) and present)
            found.update(dict.fromkeys(present if optional else request.roles))
        further = [f"{role}@{name}" for name in self.study.trainings for role in found]
        return [*found, *(role for role in further if role in self.study.models)]

    def provenance(self, claim: Claim) -> dict[str, Any]:
        """Return what the verdict stands on: weights, mask, batch, versions, seed, and the command that repeats it."""
        study = self.study
        return {
            "models": {
                role: dict(study.identity(role).provenance) for role in self.models(claim) if role in study.roles
            },
            **self._files(claim),
            **self._entries(claim),
            "study_sha256": study.sha256,
            "batch": study.batch,
            "n_cells": study.n_cells,
            "seed": study.seed,
            "quick": study.quick,
            "versions": dict(versions()),
            "command": self._command(claim),
        }

    def _command(self, claim: Claim) -> str:
        """Return the command that judges this claim again, as it was judged here."""
        study = self.study
        shipped = (suite_root() / "fixtures" / "studies" / study.name).resolve() == study.folder
        name = study.name if shipped else str(study.folder)
        words = ["pytest", "claims/", "--study", name, "--seed", str(study.seed), "--claim", claim.id]
        batch = [] if study.batch == "first" else ["--batch", study.batch]
        device = [] if study.device == "auto" else ["--device", study.device]
        return shlex.join([*words, *batch, *device, *study.options])

    def _entries(self, claim: Claim) -> dict[str, dict[str, str]]:
        """Return the entries of the evidence store that a claim was measured on, with their checksums."""
        measured = self._estimates.get(claim.id)
        return {"entries": dict(measured.sources)} if isinstance(measured, Estimate) and measured.sources else {}

    def _files(self, claim: Claim) -> dict[str, dict[str, str]]:
        """Return the files of stored evidence that a claim is judged on, with their hashes; nothing without any."""
        stored = self.study.stored
        if stored is None:
            return {}
        return {
            "evidence": {
                name: sha256 for request in claim.evidence.values() for name, sha256 in stored.files(request).items()
            }
        }

    def _of_stored(self, claim: Claim) -> tuple[str, ...]:
        """Return what stored evidence does not have, or has otherwise, where a claim is judged on some."""
        stored, requests = self.study.stored, list(claim.evidence.values())
        if stored is None or isinstance(self._estimates.get(claim.id), EvidenceMissingError):
            return ()
        from jacprobe.stored.evidence import MIXED, mixed

        found = [remark for request in requests for remark in stored.remarks(request)]
        return tuple(dict.fromkeys((*found, *((MIXED,) if mixed(requests, stored, self.study.models) else ()))))

    def _over_trainings(self, claim: Claim, first: Estimate) -> Estimate:
        """Return the estimate over all trainings of the claim's models, where the study has several."""
        further = trainings(self.models(claim))
        if not further:
            return first
        from jacprobe.stats.trainings import over_trainings

        found = {"the first": first} | {name: self._obtain(claim, self.study.training(name)) for name in further}
        criterion = claim.criterion
        if isinstance(criterion, Exactly):
            joined = max(found.values(), key=lambda one: abs(one.effect - criterion.value))
        else:
            joined = over_trainings(found, further=isinstance(criterion, Reproduces))
        return replace(joined, sources={name: of for one in found.values() for name, of in one.sources.items()})

    def _remarks(self, claim: Claim) -> tuple[str, ...]:
        """Return what a reader must know of this run beside the verdict."""
        stored = self._of_stored(claim)
        if self.study.quick:
            return (f"quick look: at most {self.study.quick} knockdowns a probe, no verdict on the study", *stored)
        return stored + tuple(
            f"{CHANGED}{f' of {part.id}' if part is not claim else ''}: expected by "
            f"{self.expectations[part.id].criterion}, now {part.criterion_hash}"
            for part in self._outdated(claim)
        )

    def _outdated(self, claim: Claim) -> list[Claim]:
        """Return the claims, this one or parts of it, whose criterion is another than their expectation's."""
        stated = self.expectations.get(claim.id, Expectation()).criterion
        own = [claim] if stated and stated != claim.criterion_hash else []
        parts = claim.criterion.ids if isinstance(claim.criterion, AllOf) else ()
        return own + [changed for part in parts for changed in self._outdated(self.rows[part])]

    def _multiplicity(self, claim: Claim, estimate: Estimate) -> Multiplicity | None:
        if claim.family is None:
            return None if estimate.p is None else Multiplicity(estimate.p, estimate.least_p)
        members = [row for row in self.rows.values() if row.family == claim.family]
        for row in members:
            # What another process is measuring now is taken from it later.
            with suppress(BusyError):
                self.estimate(row, wait=False)
        family = {row.id: self.estimate(row) for row in members}
        return adjust({i: e if isinstance(e, Estimate) else None for i, e in family.items()}, claim.id)


def leaves(claim: Claim, rows: Mapping[str, Claim]) -> list[str]:
    """Return the ids of what a composite is made of in the end; nothing of any other claim."""
    if not isinstance(claim.criterion, AllOf):
        return []
    found = [leaf for part in claim.criterion.ids for leaf in leaves(rows[part], rows) or [part]]
    return list(dict.fromkeys(found))


def checked(claim: Claim, measured: object) -> Estimate:
    """Return what a measure returned, or say that it is no estimate."""
    if not isinstance(measured, Estimate):
        raise ClaimError(f"a {type(measured).__name__}", "an Estimate, returned by the claim's test", where=claim.id)
    return measured


@cache
def versions() -> dict[str, str]:
    """Return the versions that a number can depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in ("jacprobe", "torch", "numpy", "scipy", "arc-state", "transformers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
