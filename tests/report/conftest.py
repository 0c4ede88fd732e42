"""A headless Chromium for pages: what it asks for and what it complains of is kept."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Shown:
    """A page that was opened from its file, its requests and complaints, and the browser's tools."""

    page: Any
    devtools: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[str]:
        """Requests that left the page's own file."""
        return [url for url in self.requests if not url.startswith(("file://", "data:", "blob:", "about:"))]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Yield a browser; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `test`)")
    binary = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if binary is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shown(chromium: Any) -> Iterator[Callable[..., Shown]]:
    """Yield a function that opens a file in a fresh context: `shown(path, fragment="", width=1200, scheme="light")`."""
    contexts = []

    def show(path: Path, fragment: str = "", width: int = 1200, scheme: str = "light") -> Shown:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        opened = context.new_page()
        found = Shown(opened, context.new_cdp_session(opened))
        found.devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on(
            "console",
            lambda said: found.complaints.append(said.text) if said.type in ("error", "warning") else None,
        )
        found.page.goto(path.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        return found

    yield show
    for context in contexts:
        context.close()
