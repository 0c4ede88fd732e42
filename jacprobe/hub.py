"""Files of public repositories on the Hugging Face hub, only where a caller asks for them by `hf://` and a commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "hf://"
_FORM = "hf://OWNER/NAME@COMMIT, or hf://OWNER/NAME/PATH@COMMIT, hf://datasets/... for data"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Reference:
    """A path in one commit of a repository; `kind` is "model" or "dataset"."""

    kind: str
    repository: str
    path: str
    commit: str

    def within(self, inner: str) -> Reference:
        """Return the reference to a path below this one."""
        return Reference(self.kind, self.repository, f"{self.path}/{inner}".strip("/"), self.commit)

    def __str__(self) -> str:
        kind = "datasets/" if self.kind == "dataset" else ""
        return f"{PREFIX}{kind}{'/'.join(part for part in (self.repository, self.path) if part)}@{self.commit}"


def is_reference(text: object) -> bool:
    """Tell whether a path is one on the hub."""
    return str(text).startswith(PREFIX)


def parse(text: str) -> Reference:
    """Return the parts of a reference.

    Raises
    ------
    StudyError
        If it has another form, or its revision is no full commit: a branch or tag moves.
    """
    body, at, revision = text.removeprefix(PREFIX).rpartition("@")
    kind = "dataset" if body.startswith("datasets/") else "model"
    parts = body.removeprefix("datasets/").strip("/").split("/")
    if not at or not is_reference(text):
        raise StudyError(f"{text}, without a revision", _FORM, "Pin the commit: what a name points at moves.")
    if len(parts) < 2 or not all(parts) or ".." in parts:
        raise StudyError(text, _FORM)
    if not _COMMIT.fullmatch(revision):
        raise StudyError(
            f"revision {revision}, which can move",
            "a commit of 40 hexadecimal digits",
            f"See the commits of https://huggingface.co/{body}.",
            text,
        )
    return Reference(kind, "/".join(parts[:2]), "/".join(parts[2:]), revision)


def fetch(reference: Reference, patterns: Sequence[str] | None = None) -> Path:
    """Return where a path of the repository is on this machine, downloaded if it is not yet.

    Parameters
    ----------
    reference
        The folder or file.
    patterns
        Of a folder, the files wanted; all of them where None.

    Raises
    ------
    StudyError
        If huggingface_hub is not installed, the hub cannot be reached, or it has no such repository, commit or path; if
        what came is of another commit.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise StudyError(
            "huggingface_hub is not installed", "it, for hf://", "pip install 'jacprobe[hub]'", reference
        ) from error

    inner = reference.path
    wanted = [f"{inner}/{pattern}" if inner else pattern for pattern in patterns or ("*",)]
    try:
        root = snapshot_download(
            reference.repository,
            repo_type=reference.kind,
            revision=reference.commit,
            allow_patterns=wanted if patterns is not None or not inner else [inner, *wanted],
        )
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise StudyError(
            f"not to be had from the hub ({type(error).__name__}: {error})",
            "a repository, a commit in it and a network",
            "Download it elsewhere and give the folder.",
            reference,
        ) from error
    if Path(root).name != reference.commit:
        raise StudyError(f"commit {Path(root).name}", reference.commit, "The revision moved: pin another.", reference)
    found = Path(root) / inner
    if not found.exists():
        raise StudyError(
            f"no {inner} in that commit", "a path in the repository", "See its files on the hub.", reference
        )
    return found
