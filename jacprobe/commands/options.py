"""Options that several commands share, with what a shell completes for them."""

from __future__ import annotations

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
# Texts and no paths: a path would make s3:/bucket of s3://bucket, a folder that is not there.
Store = Annotated[str | None, typer.Option("--store", help="Folder of the store; the user's cache by default.")]
AnyStore = Annotated[
    str | None, typer.Option("--store", help="Folder of the store (the user's cache), or s3://BUCKET/...")
]
SharedStore = Annotated[
    list[str] | None, typer.Option("--shared-store", help="Folder or s3://BUCKET/... that is only read (repeatable).")
]
