"""What a study calls the columns of its cells, and whether two lists of genes speak of them in the same way."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from jacprobe.errors import StudyError, unknown_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?")
SYMBOLS, ENSEMBL, NUMBERS = "gene symbols", "Ensembl identifiers", "numbers, such as Entrez identifiers"


@dataclass(frozen=True)
class Columns:
    """Where the cells of a data set say what they are; what is None is found by what columns hold.

    Attributes
    ----------
    perturbation, cell_line, batch
        Columns of `obs`.
    genes
        Column of `var` with the names that the model knows genes by; the index of `var` where None.
    expression
        "X", or the name of a matrix in `obsm` or in `layers`.
    control
        The word by which control cells are marked, where it is another than the model's own.
    """

    perturbation: str | None = None
    cell_line: str | None = None
    batch: str | None = None
    genes: str | None = None
    expression: str | None = None
    control: str | None = None

    @classmethod
    def of(cls, table: Mapping[str, Any], where: object = "") -> Self:
        """Return the columns that a study states under [data.columns].

        Raises
        ------
        StudyError
            Where it states something else, or names that are no texts.
        """
        known = [item.name for item in fields(cls)]
        unknown = [name for name in table if name not in known]
        if unknown:
            raise StudyError(str(unknown_names("entry of [data.columns]", unknown, known)), where=where)
        odd = [f"{name} = {value!r}" for name, value in table.items() if not isinstance(value, str)]
        if odd:
            raise StudyError(f"[data.columns] {', '.join(odd)}", "names, as texts", where=where)
        return cls(**table)

    @property
    def of_obs(self) -> tuple[str, ...]:
        """The columns of `obs` that are named."""
        return tuple(name for name in (self.perturbation, self.cell_line, self.batch) if name is not None)


def kind_of(names: Sequence[str]) -> str:
    """Return by what most of the names go: symbols, Ensembl identifiers or numbers."""
    ensembl = sum(_ENSEMBL.fullmatch(name) is not None for name in names)
    numbers = sum(name.isdecimal() for name in names)
    if 2 * max(ensembl, numbers) <= len(names):
        return SYMBOLS
    return ENSEMBL if ensembl >= numbers else NUMBERS


def mismatch(given: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Return in words how names of genes differ from those wanted as a whole; None where they do not."""
    one, other = kind_of(given), kind_of(wanted)
    if one != other:
        return f"the genes go by {one} ({given[0]}), the model's by {other} ({wanted[0]})"
    if one == ENSEMBL and any("." in name for name in given) != any("." in name for name in wanted):
        return f"one has Ensembl identifiers with a version, the other without ({given[0]}, {wanted[0]})"
    return None
