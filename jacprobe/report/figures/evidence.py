"""The evidence of claims, as figures ask for it: by claim and argument, opened when first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError, JacprobeError
from jacprobe.requests import GeneSet, IfThere

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jacprobe.report.figures.held import HeldStudy
    from jacprobe.verdicts.claim import Claim

_FAMILIES = "nb01-"  # the claims whose gene sets colour a map


class Evidence:
    """What claims of a ledger were judged on, as far as the store holds it."""

    def __init__(self, lines: Sequence[Mapping[str, Any]], store: str | Path | None) -> None:
        self._lines, self._store = lines, store

    def of(self, claim: str, argument: str) -> Any:
        """Return the evidence behind an argument of a claim.

        Raises
        ------
        EvidenceMissingError
            Where the store does not hold it, or the study cannot be opened.
        """
        found = self.beside(claim, argument)
        if found is None:
            raise EvidenceMissingError(f"no {argument} of {claim}", "what it was judged on", where="figures")
        return found

    def beside(self, claim: str, argument: str) -> Any:
        """Return the evidence behind an argument, or None where it is no longer one, or optional and not there."""
        request = self._rows[claim].evidence.get(argument) if claim in self._rows else None
        if request is None:
            return None
        try:
            return self._study.resolve(request.of if isinstance(request, IfThere) else request)
        except EvidenceMissingError:
            if isinstance(request, IfThere):
                return None
            raise
        except JacprobeError as error:
            raise EvidenceMissingError(str(error), "evidence that can be read", where="figures") from error

    def has(self, claim: str, *arguments: str) -> bool:
        """Tell whether all the arguments of a claim can be had."""
        try:
            return all(self.of(claim, argument) is not None for argument in arguments)
        except EvidenceMissingError:
            return False

    def families(self) -> dict[str, tuple[str, ...]]:
        """Return the members of the gene sets that claims of representation are about, by the set's name."""
        requests = [row.evidence.get("members") for name, row in self._rows.items() if name.startswith(_FAMILIES)]
        sets = dict.fromkeys(one.name for one in requests if isinstance(one, GeneSet))
        return {name: self._study.gene_set(name) for name in sets}

    @cached_property
    def _rows(self) -> Mapping[str, Claim]:
        from jacprobe.suite import load_rows, suite_root

        return load_rows(suite_root() / "claims")

    @property
    def _study(self) -> HeldStudy:
        if isinstance(self._opened, JacprobeError):
            raise EvidenceMissingError(f"the study cannot be opened: {self._opened}", "it as judged", where="figures")
        return self._opened

    @cached_property
    def _opened(self) -> HeldStudy | JacprobeError:
        from jacprobe.report.figures.held import held_study

        try:
            return held_study(self._lines, self._store)
        except JacprobeError as error:
            return error
