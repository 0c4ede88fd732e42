"""Options of the suite's own tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.run_slow:
        return
    skip = pytest.mark.skip(reason="slow: give --run-slow")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)
