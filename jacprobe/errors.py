"""The one family of errors: each says what was given, what was wanted and the way out."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def inert(text: object, limit: int = 300) -> str:
    """Return `text` safe to print: no terminal escapes, no line breaks, at most `limit` characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


class JacprobeError(Exception):
    """Base of every error that jacprobe raises on purpose.

    Parameters
    ----------
    given
        What was found.
    wanted
        What would have been right.
    mend
        What to do about it.
    where
        The file, claim or argument at fault.
    """

    def __init__(self, given: str, wanted: str = "", mend: str = "", where: object = "") -> None:
        self.given, self.wanted, self.mend, self.where = given, wanted, mend, where
        parts = [
            f"{inert(where)}: " if str(where) else "",
            inert(given, 2000),
            f"; wanted {inert(wanted, 2000)}" if wanted else "",
            f". {inert(mend, 2000)}" if mend else "",
        ]
        super().__init__("".join(parts))

    def __reduce__(self) -> tuple[type[JacprobeError], tuple[str, str, str, object]]:
        """Pickle by the four fields, so that the error crosses process borders whole."""
        return type(self), (self.given, self.wanted, self.mend, self.where)


class RunFolderError(JacprobeError):
    """A run folder that is incomplete, inconsistent or of an unknown kind."""


class UnsafePickleError(RunFolderError):
    """A pickle that would run code on loading; nothing of it was run."""


class InputError(JacprobeError):
    """Arguments of a call that do not fit the model or each other."""


class UnknownNameError(InputError):
    """Names that the model, study or suite does not have."""


class StudyError(JacprobeError):
    """A study whose files are missing or contradict each other."""


class ClaimError(JacprobeError):
    """A claim row that cannot be right: twice the same id, a criterion that does not fit the estimate."""


class EvidenceMissingError(JacprobeError):
    """Something that a claim needs is absent: the claim becomes NOT EVALUATED with this reason."""


class CapabilityMissingError(EvidenceMissingError, InputError):
    """A model that cannot do what is asked of it: claims that need it become NOT EVALUATED with this reason."""


class ConformanceError(JacprobeError):
    """A model that does not keep what the protocol promises, found by `jacprobe.testing.check_model`."""


class StoreError(JacprobeError):
    """An evidence store that cannot be read or written."""


class UnreachableStoreError(StoreError):
    """A store that does not answer, or refuses: nothing is known of what it holds, so that nothing of it is damaged."""


class NotFiniteError(StoreError, EvidenceMissingError):
    """A model gave NaN or an infinity where evidence was to be: that evidence is missing, and what gave it is named."""


class ClusterError(JacprobeError):
    """Other processes or machines that cannot be reached, or whose numbers would be others."""


class NewerStoreError(StoreError):
    """A store or entry that a newer version wrote: nothing is wrong with it, and it must stay as it is."""


def unknown_names(kind: str, unknown: Iterable[str], known: Sequence[str], where: object = "") -> UnknownNameError:
    """Return the error that lists every unknown name, each with the nearest known ones."""
    unknown, known = list(unknown), list(known)
    hints = []
    for name in unknown:
        near = get_close_matches(name, known, n=3, cutoff=0.6)
        hints.append(f"{name} (nearest: {', '.join(near)})" if near else name)
    examples = ", ".join(known[:5])
    return UnknownNameError(
        given=f"unknown {kind} {', '.join(hints)}",
        wanted=f"one of {len(known)} known ones, such as {examples}" if known else f"a known {kind}",
        where=where,
    )
