"""Gene sets: those that the suite ships, the study's own over them, and terms of a GMT file in place of stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacprobe.errors import StudyError, unknown_names
from jacprobe.suite import read_toml, suite_root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def gene_sets(own: Mapping[str, Any], gmt: Path | None = None) -> dict[str, Any]:
    """Return definitions by name.

    Parameters
    ----------
    own
        The study's own sets, which stand in place of shipped ones of their names.
    gmt
        File of terms. Every set with a `term` then has that term's genes and nothing else: a set that silently stayed
        the stand-in would be judged under the term's name.

    Raises
    ------
    StudyError
        If a set is no table, or the file is not there, is no GMT file or lacks the term of a set.
    """
    odd = [name for name, one in own.items() if not isinstance(one, dict)]
    if odd:
        raise StudyError(f"[gene_sets] {', '.join(odd)}", "a table for each set, or gmt = a file", where="study.toml")
    sets = {**read_toml(suite_root() / "fixtures" / "gene_sets" / "published.toml"), **own}
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


def read_gmt(path: Path) -> dict[str, list[str]]:
    """Return the genes of each term of a GMT file: a line is term, description and genes, tabs between them.

    Raises
    ------
    StudyError
        If the file cannot be read, a line has no gene, or a term stands twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
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
