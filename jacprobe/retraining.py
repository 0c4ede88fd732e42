"""An earlier run's models, opened again from its ledger, to be compared with others unit by unit (rule M).

Nothing is computed from a model here: what the evidence store does not hold leaves a comparison unpaired, with the
reason. The command in a ledger line says how the run was given its study; hashes say whether that is still what it was.
"""

from __future__ import annotations

import argparse
import math
import shlex
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from jacprobe.errors import EvidenceMissingError, InputError, JacprobeError
from jacprobe.estimate import Estimate
from jacprobe.hub import is_reference
from jacprobe.opening import open_study
from jacprobe.studies import Study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jacprobe.judging import Judging
    from jacprobe.verdicts.claim import Claim
    from jacprobe.verdicts.ledger import Entry

_CLOSE = 1e-9


class FromStore(Study):
    """A study whose evidence is only read: what its store lacks is missing."""

    def model(self, role: str, mask: Literal["model", "causal"] = "model") -> Any:  # noqa: ARG002 - the study's signature
        """Refuse to load a model.

        Raises
        ------
        EvidenceMissingError
            Always.
        """
        raise EvidenceMissingError(f"evidence of {role} is not in the store", "all of it", "Judge the study again.")


@dataclass
class Earlier:
    """The models of one ledger.

    Attributes
    ----------
    lines
        The ledger's lines.
    rows
        The claims, by id.
    store, shared
        Where the evidence is looked for; the user's own store where None.
    code
        Digest of the code that measures: estimates kept under it are not measured again.
    """

    lines: Sequence[Entry]
    rows: Mapping[str, Claim]
    store: str | Path | None = None
    shared: Sequence[str | Path] = ()
    code: str = ""
    _judgings: dict[str, Judging] = field(default_factory=dict, repr=False)

    def difference(self, line: Entry, new: Estimate) -> Estimate | str:
        """Return the paired difference of a later estimate from this ledger's line, or in words why there is none."""
        from jacprobe.stats import paired_difference

        old = self.estimate(line)
        if isinstance(old, str):
            return old
        try:
            return paired_difference(old, new)
        except InputError as error:
            return str(error)

    def estimate(self, line: Entry) -> Estimate | str:
        """Return the estimate behind a line of this ledger, from the evidence in the store, or why it is not there."""
        claim = self.rows.get(line["id"])
        if claim is None or claim.criterion_hash != line["criterion_hash"]:
            return "the claim is another one now"
        try:
            judging = self._judging(line)
            other = changed(judging.study, line)
            found: Any = other or judging.estimate(claim)
        except JacprobeError as error:
            return str(error)
        if isinstance(found, EvidenceMissingError):
            return str(found)
        if isinstance(found, Estimate) and not math.isclose(
            found.effect, line["effect"], rel_tol=_CLOSE, abs_tol=_CLOSE
        ):
            return f"the evidence now gives {found.effect:.6g}, not the {line['effect']:.6g} of the ledger"
        return found

    def _judging(self, line: Entry) -> Judging:
        """Return the judging of the study as a line's command gives it, opened once."""
        from jacprobe.judging import Judging

        given = options_of(line)
        key = repr(sorted(given.items()))
        if key not in self._judgings:
            study = open_study(store=self.store, shared=self.shared, **given)
            read = FromStore(**{item.name: getattr(study, item.name) for item in fields(study)})
            self._judgings[key] = Judging(read, self.rows, code=self.code)
        return self._judgings[key]


def changed(study: Study, line: Entry) -> str | None:
    """Return what of a study is another thing now than when a line was judged, or None."""
    provenance = line["provenance"]
    if study.sha256 != provenance.get("study_sha256"):
        return f"the data of the study {study.name} are others now"
    for role, model in provenance.get("models", {}).items():
        found = study.identity(role).provenance.get("weights_sha256") if role in study.roles else None
        if found != model.get("weights_sha256"):
            return f"the model of {role} is not there any more, or is another one now"
    return None


def options_of(line: Entry) -> dict[str, Any]:
    """Return the arguments of `open_study` that a ledger line's command stands for.

    Raises
    ------
    InputError
        Where the line has no command, or none that gives a study.
    """
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
    for name in ("--study", "--models", "--data", "--evidence"):
        parser.add_argument(name)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", default="first")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", action="append", default=[])
    try:
        given = vars(parser.parse_known_args(shlex.split(str(line["provenance"].get("command", ""))))[0])
    except (argparse.ArgumentError, ValueError) as error:
        raise InputError(f"a command that cannot be read: {error}", "one of pytest", where=line["id"]) from error
    if given["study"] is None:
        raise InputError("a line without the command of its run", "provenance with `command`", where=line["id"])
    model = dict(text.partition("=")[::2] for text in given.pop("model"))
    asked = [text for text in (given["models"], given["data"], *model.values()) if text and is_reference(text)]
    if asked:
        raise InputError(
            f"a run on {asked[0]}",
            "one on folders: a ledger's word starts no download",
            "Download it, and judge the study again with --models, --model and --data.",
            line["id"],
        )
    return {"name": given.pop("study"), "model": model, **given}
