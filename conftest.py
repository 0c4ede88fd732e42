"""Plugins only: the claims' plugin and the fixtures they run over."""

pytest_plugins = ["jacprobe.plugin", "fixtures.study"]
