"""jacprobe's plugin, which judges what the tests under claims/ return."""

pytest_plugins = ["jacprobe.plugin"]
