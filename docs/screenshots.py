"""Take the pictures in docs/report.md: python docs/screenshots.py results/report.html."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"


class View(NamedTuple):
    """What a picture shows: its name, the window, light or dark, and where on the page."""

    name: str
    width: int
    height: int
    scheme: Any
    fragment: str


VIEWS = (
    View("report", 1280, 1000, "light", ""),
    View("report-claims", 1280, 1000, "light", "claims"),
    View("report-claim", 1280, 1150, "dark", "nb02-splicing-coherent"),
    View("report-phone", 390, 844, "light", "group-nb02"),
)


def main(report: Path) -> None:
    """Write a picture of each view, with a palette of 128 colours to keep it small."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for view in VIEWS:
            window = {"width": view.width, "height": view.height}
            page = browser.new_page(viewport=window, color_scheme=view.scheme)  # pyright: ignore[reportArgumentType]
            page.goto(f"{report.resolve().as_uri()}#{view.fragment}")
            page.wait_for_timeout(500)
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.convert("RGB").quantize(128).save(IMAGES / f"{view.name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
