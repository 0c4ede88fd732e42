"""Gene sets: those that the suite ships, the study's own over them, terms of a GMT file; and who is a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError, StudyError, unknown_names
from jacprobe.patterns import compiled, fitting
from jacprobe.suite import read_toml, suite_root
from jacprobe.texts import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LARGEST_GMT = 2**28  # bytes; the whole of MSigDB is some 50 MB
_PANEL = ("regulators", "targets", "pathway_kds", "control_kds")


def gene_sets(own: Mapping[str, Any], gmt: Path | None = None) -> dict[str, Any]:
    """Return definitions by name.

    Parameters
    ----------
    own
        The study's own sets, which stand in place of shipped ones of their names; of those that hold nothing but
        `not_counted` (names picked after looking at these very models) the shipped members stay, these names left out.
    gmt
        File of terms. Every set with a `term` then has that term's genes and nothing else: a set that silently stayed
        the stand-in would be judged under the term's name.

    Raises
    ------
    StudyError
        If a set is no table, its `not_counted` no list of names of a shipped set, or a pattern of it no regular
        expression; if the file is not there, is no GMT file or lacks the term of a set.
    """
    odd = [name for name, one in own.items() if not isinstance(one, dict)]
    if odd:
        raise StudyError(f"[gene_sets] {', '.join(odd)}", "a table for each set, or gmt = a file", where="study.toml")
    shipped = read_toml(suite_root() / "fixtures" / "gene_sets" / "published.toml")
    less = {name: one for name, one in own.items() if set(one) == {"not_counted"}}
    if unknown := [name for name in less if name not in shipped]:
        raise unknown_names("gene set", unknown, list(shipped), where="study.toml")
    sets = {**shipped, **own, **{name: {**shipped[name], **one} for name, one in less.items()}}
    for name, one in sets.items():
        _require_usable(name, one)
    if gmt is None:
        return sets
    terms = read_gmt(gmt)
    wanted = {name: str(one["term"]) for name, one in sets.items() if "term" in one}
    lacking = {name: term for name, term in wanted.items() if term not in terms}
    if lacking:
        raise StudyError(
            unknown_names("term", lacking.values(), list(terms)).given,
            f"the terms of {', '.join(lacking)}",
            "Name them as the file does: [gene_sets.NAME] with kind and term.",
            where=gmt.name,
        )
    for name, term in wanted.items():
        sets[name] = {**sets[name], "patterns": [], "genes": terms[term]}
    return sets


def _require_usable(name: str, one: Mapping[str, Any]) -> None:
    """Refuse lists of names that are none, and patterns that are no regular expressions."""
    clean = one.get("clean", {})
    if not isinstance(clean, dict):
        raise StudyError(f"[gene_sets.{name}] clean = {clean!r}", "a table", where="study.toml")
    for key in ("patterns", "genes", "not_counted"):
        for part, listed in ((f"{name}", one.get(key, [])), (f"{name}.clean", clean.get(key, []))):
            if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
                raise StudyError(f"[gene_sets.{part}] {key} = {listed!r}", "a list of texts", where="study.toml")
            for pattern in listed if key == "patterns" else ():
                try:
                    compiled(pattern)
                except ValueError as error:
                    raise StudyError(
                        f"[gene_sets.{part}] pattern {pattern!r} ({error})",
                        "a regular expression without repeats in repeats",
                        where="study.toml",
                    ) from error


def defined(sets: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """Return the definition of a set of the study `where`.

    Raises
    ------
    EvidenceMissingError
        Where there is none of that name.
    """
    if name not in sets:
        raise EvidenceMissingError(str(unknown_names("gene set", [name], list(sets), where=where)))
    found: Mapping[str, Any] = sets[name]
    return found


def members(definition: Mapping[str, Any], variant: str, among: Sequence[str]) -> tuple[str, ...]:
    """Return the members of a set among some names, in their order.

    Names `not_counted` were picked after looking: they are no members of the cleaned definition, by which families
    are tested, though a pattern fits them; nor of the published one where there is no other.
    """
    chosen = _of_variant(definition, variant)
    counted_all = chosen is definition and "clean" in definition
    left_out = set() if counted_all else set(definition.get("not_counted", ()))
    listed, matching = set(chosen.get("genes", ())), fitting(chosen.get("patterns", ()), among)
    return tuple(name for name in among if (name in listed or name in matching) and name not in left_out)


def panel(definition: Mapping[str, Any], variant: str, name: str, where: str) -> dict[str, list[str]]:
    """Return regulators, targets, pathway and control knockdowns of the panel `name` of the study `where`.

    Raises
    ------
    EvidenceMissingError
        Where the set is no panel.
    """
    chosen = _of_variant(definition, variant)
    if any(part not in chosen for part in _PANEL):
        raise EvidenceMissingError(f"gene set {name} is no panel", f"one with {', '.join(_PANEL)}", where=where)
    return {part: list(chosen[part]) for part in _PANEL}


def _of_variant(definition: Mapping[str, Any], variant: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = definition.get("clean", definition) if variant == "clean" else definition
    return found


def read_gmt(path: Path) -> dict[str, list[str]]:
    """Return the genes of each term of a GMT file: a line is term, description and genes, tabs between them.

    Raises
    ------
    StudyError
        If the file cannot be read, a line has no gene, or a term stands twice.
    """
    try:
        lines = read_text(path, _LARGEST_GMT).removeprefix("\ufeff").splitlines()
    except (OSError, ValueError) as error:
        raise StudyError(f"not readable as GMT: {error}", "a text file of terms", where=path) from error
    terms: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        term, _, *genes = (field.strip() for field in (line + "\t").split("\t"))
        # Some libraries write a weight behind the symbol: "RPL3,1.0".
        genes = [gene.partition(",")[0] for gene in genes if gene]
        if not term or not genes:
            raise StudyError(f"line {number} has no gene", "term, description and genes, tabs between them", where=path)
        if term in terms:
            raise StudyError(f"line {number} has the term {term} again", "each term once", where=path)
        terms[term] = genes
    if not terms:
        raise StudyError("no term", "term, description and genes, tabs between them", where=path)
    return terms
