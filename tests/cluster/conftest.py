"""A study small enough to collect many times, and a real S3-compatible server."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import urllib.request
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.random_study import write_random_study
from fixtures.run_folders import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SMALL = Shape()  # 11 knockdowns, 30 genes
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def small_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one random model of 11 knockdowns and 30 genes."""
    return write_random_study(tmp_path_factory.mktemp("small"), SMALL)


def chunks(store: Path) -> dict[str, bytes]:
    """Return every chunk of a store by its place in it."""
    return {str(path.relative_to(store)): path.read_bytes() for path in store.glob("*/values/c/**/*") if path.is_file()}


@dataclass(frozen=True)
class Command:
    """The command line in a process of its own."""

    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start it, in a process group of its own."""
        program = "from jacprobe.cli import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | ONE_THREAD | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: object, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def jacprobe() -> Command:
    """The command line."""
    return Command()


@dataclass(frozen=True)
class S3:
    """An S3-compatible server with one bucket, and the environment by which it is reached."""

    endpoint: str
    environment: dict[str, str]
    address: str = "s3://bucket/evidence"

    def with_secret(self, secret: str) -> dict[str, str]:
        """Return the environment with another secret."""
        return self.environment | {"AWS_SECRET_ACCESS_KEY": secret}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A server that checks credentials, reached by the environment of the test."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    known = {"region_name": "us-east-1", "aws_access_key_id": "root", "aws_secret_access_key": "root"}
    iam = boto3.client("iam", endpoint_url=endpoint, **known)
    iam.create_user(UserName="collector")
    everything = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}], "Version": "2012-10-17"}
    iam.put_user_policy(UserName="collector", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="collector")["AccessKey"]
    boto3.client("s3", endpoint_url=endpoint, **known).create_bucket(Bucket="bucket")
    _post(f"{endpoint}/moto-api/reset-auth", "0")  # from now on the server checks who asks
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield S3(endpoint, environment)
    s3fs.S3FileSystem.clear_instance_cache()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unclosed", category=ResourceWarning)  # s3fs leaves its sessions open
        gc.collect()
    _post(f"{endpoint}/moto-api/reset-auth", "inf")
    _post(f"{endpoint}/moto-api/reset", "")
    server.stop()


def _post(address: str, text: str) -> None:
    asked = urllib.request.Request(address, text.encode(), {"Content-Type": "text/plain"}, method="POST")
    urllib.request.urlopen(asked).close()
