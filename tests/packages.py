"""Packages as an installer leaves them: metadata beside the code, by which entry points are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacprobe.models.adapters import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def offer_adapters(site: Path, package: str, points: Mapping[str, str]) -> None:
    """Write the metadata of a package that offers adapters into a folder of the module path."""
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
