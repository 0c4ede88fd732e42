"""Options that several commands share, with what a shell completes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def studies(incomplete: str) -> list[str]:
    """Return the shipped studies that a word may become; the shell itself adds folders."""
    from jacprobe.opening import study_names

    return [name for name in study_names() if name.startswith(incomplete)]


def roles(incomplete: str) -> list[str]:
    """Return the roles of the demo that a word may become: the ones that claims speak of."""
    from jacprobe.opening import study_folder
    from jacprobe.suite import read_toml

    return [role for role in read_toml(study_folder("demo") / "study.toml")["models"] if role.startswith(incomplete)]


Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Store = Annotated[Path | None, typer.Option("--store", help="Folder of the store; the user's cache by default.")]
SharedStore = Annotated[list[Path] | None, typer.Option("--shared-store", help="Store that is only read (repeatable).")]
