"""What the exit code of every command says."""

from __future__ import annotations

DONE, NO, NOT_DONE, STOPPED = 0, 1, 2, 130

EXIT_CODES = {
    DONE: "done, and nothing is wrong, missing or flipped",
    NO: "done, and the answer is no: doctor (cannot be loaded), compare (a flip), verify (something is wrong), "
    "store verify (damage), store missing (something is missing)",
    NOT_DONE: "not done: wrong options or input; stderr says what was given, what was wanted and the way out",
    STOPPED: "stopped by Ctrl-C; what was finished is kept, and the same command goes on from there",
}


def table() -> str:
    """Return the codes as paragraphs for --help."""
    return "\n\n".join(["Exit codes:", *(f"{code}  {meaning}" for code, meaning in EXIT_CODES.items())])
