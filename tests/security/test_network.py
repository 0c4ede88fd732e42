"""No network unless it is asked for, and no telemetry: a claim is judged and reported with sockets out of reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT, PATH = Path(__file__).parents[2], os.environ.get("PATH", "")
# Every door to the network that Python has; sockets between processes of this machine stay.
BLOCKED = """
import socket

def refused(*arguments, **named):
    with open({tried!r}, "a") as file:
        file.write(repr(arguments) + chr(10))
    raise OSError("no network here")

class Socket(socket.socket):
    def connect(self, address):
        return super().connect(address) if self.family == socket.AF_UNIX else refused(address)
    connect_ex = connect
    def sendto(self, *arguments):
        return refused(*arguments)

socket.socket = Socket
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refused
"""


@pytest.fixture
def without_network(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which Python starts without network, and notes in `tried` what it was asked for."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKED.format(tried=str(tmp_path / "tried")))
    for name, script in (("node", "echo v20.1.0"), ("npm", f"echo npm >> '{tmp_path / 'tried'}'; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    paths = {name: os.pathsep.join([str(tmp_path), more]) for name, more in (("PYTHONPATH", str(ROOT)), ("PATH", PATH))}
    return os.environ | paths | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def run(environment: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )


def test_the_block_holds(without_network, tmp_path: Path):
    tried = run(without_network, "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:1/')")
    assert "no network here" in tried.stderr
    assert "127.0.0.1" in (tmp_path / "tried").read_text()


def test_a_claim_is_judged_and_reported_without_network(without_network, tmp_path: Path):
    claim = ("--claim", "nb02-splicing-coherent", "--results", tmp_path / "results", "--store", tmp_path / "store")
    judged = run(without_network, "-m", "pytest", "claims", "--study", "demo", *claim)
    assert judged.returncode == 0, judged.stdout[-2000:] + judged.stderr[-2000:]
    program = "from jacprobe.cli import main; main()"
    report = ("-c", program, "report", "--results", tmp_path / "results", "--out", tmp_path / "out")
    shown = run(without_network, *report)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    assert "no Allure report: allure" in shown.stdout
    assert "jacprobe report --install-allure" in shown.stdout
    assert not (tmp_path / "tried").exists(), "npm or a connection was tried, which nobody asked for"
    asked = run(without_network, *report, "--install-allure")
    assert asked.returncode == 2
    assert (tmp_path / "tried").read_text() == "npm\n"


def test_nothing_of_the_package_opens_a_connection_but_the_hub_and_the_cluster():
    doors = ("urllib", "http.client", "socket.", "requests.get", "httpx", "aiohttp", "snapshot_download", "smtplib")
    found = {
        path.relative_to(ROOT / "jacprobe").as_posix()
        for path in (ROOT / "jacprobe").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(door in line for door in doors) and ("import" in line or "(" in line)
    }
    # Between two processes of ours there are pairs of sockets, which have no address.
    assert {path for path in found if not path.startswith("cluster/")} <= {"hub.py", "apart.py"}
    apart = (ROOT / "jacprobe" / "apart.py").read_text(encoding="utf-8")
    assert not any(door in apart for door in ("connect(", "bind(", "AF_INET", "urllib", "http"))
