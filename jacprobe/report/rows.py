"""A ledger line as the page shows it: what stands in the table, and what it opens to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.report.strips import Strip, strip
from jacprobe.report.words import facts, interval, number, typeset
from jacprobe.terminal import probability
from jacprobe.verdicts.judge import Verdict
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.verdicts.ledger import Entry

Facts = list[tuple[str, str]]
ANY = frozenset(word for word in Verdict if word is not Verdict.ERROR)
# Diagnostics that the page shows elsewhere, or that say nothing beside what it shows.
_SHOWN = ("unit", "expected_because", "published_effect", "alternative", "ci90", "nulls", "parts", "published")
_OWN_PLACE = ("models", "command", "versions", "schema")  # of provenance: shown elsewhere, or nothing to a reader
_CONTROL = re.compile(
    r"control|replicate|untrained|copies|ceiling|mismatched|trainings?$|surrogate|at_random|other_draw|random_"
)


@dataclass(frozen=True)
class Row:
    """A claim's row.

    Attributes
    ----------
    line
        The ledger line.
    published
        The figure to set beside the effect, and whether it is in the effect's unit.
    parts, wholes
        Lines that a composite consists of (None: not in this ledger), and the composites that this claim decides.
    """

    line: Entry
    parts: tuple[tuple[str, Entry | None], ...] = ()
    wholes: tuple[Entry, ...] = ()

    @property
    def expected(self) -> str:
        """What was expected, in a word or two."""
        if set(self.line["expected"]) >= ANY and self.line["verdict"] != Verdict.ERROR:
            return "open"
        return "expected" if is_expected(self.line) else "unexpected"

    @property
    def stated(self) -> str:
        """The verdicts that were expected, in words; empty where any was."""
        return "" if set(self.line["expected"]) >= ANY else " or ".join(self.line["expected"])

    @property
    def published(self) -> tuple[str, bool]:
        """The published figure to set beside the effect, and whether it is in the effect's unit."""
        effect = self.line["diagnostics"].get("published_effect")
        if effect is not None:
            return number(effect), True
        figures = [figure["value"] for figure in self.line["published"]]
        if not figures:
            return "", False
        first = figures[0]
        return (first if isinstance(first, str) else number(first)), False

    @property
    def figures(self) -> list[tuple[str, str]]:
        """All published figures, each with where it stands."""
        return [
            (value if isinstance(value := figure["value"], str) else number(value, 4), figure["source"])
            for figure in self.line["published"]
        ]

    @property
    def measured(self) -> str:
        """The effect; a dash where nothing was measured."""
        return number(self.line["effect"])

    @property
    def interval(self) -> str:
        """The 95 % interval of the effect."""
        return interval(self.line["ci"])

    @property
    def criterion(self) -> str:
        """The criterion in its own words, typeset."""
        return typeset(self.line["criterion"])

    @property
    def strip(self) -> Strip | None:
        """The interval beside the claimed region."""
        return strip(self.line)

    @property
    def test(self) -> Facts:
        """What this suite's own test says."""
        line, more = self.line, self.line["diagnostics"]
        found = [
            ("effect", f"{self.measured} {self.interval}".strip() if line["effect"] is not None else ""),
            ("90 % interval", interval(more.get("ci90"))),
            ("p", f"{probability(line['p'])} ({more.get('alternative', '')})" if line["p"] is not None else ""),
            ("p adjusted in the family", probability(line["p_adjusted"]) if line["p_adjusted"] is not None else ""),
            ("multiplicity family", line["family"] or ""),
            ("n", f"{line['n']} {more.get('unit', '')}".strip() if line["n"] is not None else ""),
            ("least detectable effect (80 % power)", number(line["mde"]) if line["mde"] is not None else ""),
            ("criterion", f"{self.criterion} ({line['kind']})"),
        ]
        return [(name, words) for name, words in found if words]

    @property
    def as_published(self) -> Facts:
        """What the publication's own statistic gives on the same evidence."""
        return facts(self.line["as_published"])

    @property
    def nulls(self) -> list[dict[str, str]]:
        """The null distributions, and how far the effect lies from each in its sd."""
        found = []
        for null in self.line["diagnostics"].get("nulls") or ():
            z = None
            if null.get("sd") and null.get("mean") is not None and self.line["effect"] is not None:
                z = (self.line["effect"] - null["mean"]) / null["sd"]
            found.append(
                {
                    "name": null["name"],
                    "draws": number(null["draws"]) if null.get("draws") else "exact",
                    "mean": number(null.get("mean")),
                    "sd": number(null.get("sd")),
                    "z": number(z),
                    "p": probability(null.get("p")),
                }
            )
        return found

    @property
    def controls(self) -> Facts:
        """Diagnostics of controls: untrained and random copies, other trainings, surrogates, ceilings."""
        return facts({key: value for key, value in self._diagnostics.items() if _CONTROL.search(key)})

    @property
    def diagnostics(self) -> Facts:
        """All other diagnostics."""
        return facts({key: value for key, value in self._diagnostics.items() if not _CONTROL.search(key)})

    @property
    def _diagnostics(self) -> dict[str, Any]:
        return {key: value for key, value in self.line["diagnostics"].items() if key not in _SHOWN}

    @property
    def models(self) -> list[tuple[str, Facts]]:
        """The models judged on, each with what identifies it."""
        known: Mapping[str, Any] = self.line["provenance"].get("models") or {}
        return [(role, identity(known.get(role) or {})) for role in self.line["models"]]

    @property
    def provenance(self) -> Facts:
        """What else the verdict stands on."""
        kept = {k: v for k, v in self.line["provenance"].items() if k not in _OWN_PLACE}
        if "study_sha256" in kept:
            kept["study_sha256"] = str(kept["study_sha256"])[:12]
        versions: Mapping[str, Any] = self.line["provenance"].get("versions") or {}
        packages = ", ".join(f"{name} {version}" for name, version in versions.items())
        return [
            *facts(kept),
            *([("versions", packages)] if packages else []),
            ("seconds", number(self.line["seconds"])),
        ]

    @property
    def command(self) -> str:
        """The command that judges this claim alone again."""
        return str(self.line["provenance"].get("command") or "")


def identity(model: Mapping[str, Any]) -> Facts:
    """Return what identifies a model, its weights by the first 12 hex digits of their hash."""
    weights = str(model.get("weights_sha256") or "")[:12]
    return facts({**{key: value for key, value in model.items() if key != "weights_sha256"}, "weights": weights})


def rows(lines: Sequence[Entry]) -> list[Row]:
    """Return the rows of a ledger in its order, composites and their parts joined."""
    known = {line["id"]: line for line in lines}
    parts = {line["id"]: tuple(line["diagnostics"].get("parts") or ()) for line in lines}
    wholes: dict[str, list[Entry]] = {}
    for whole, names in parts.items():
        for name in names:
            wholes.setdefault(name, []).append(known[whole])
    return [
        Row(line, tuple((name, known.get(name)) for name in parts[line["id"]]), tuple(wholes.get(line["id"], ())))
        for line in lines
    ]
