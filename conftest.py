"""The claims' plugin, which brings the fixtures that they run over."""

pytest_plugins = ["jacprobe.plugin"]
