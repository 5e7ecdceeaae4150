"""Objects below a prefix of an S3 bucket."""

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from components.shared.errors import StorageFailed
from components.shared.storage.protocol import Damaged, StoredObject
from components.shared.storage.s3_bucket import Bucket
from components.shared.storage.s3_errors import is_damage
from components.shared.storage.s3_reading import Version, open_version
from components.shared.storage.s3_writing import (
    PART,
    file_parts,
    put,
    put_if_absent,
    put_in_parts,
)
from components.shared.storage.uris import checked_name, s3_location

PAGE = 1000
"""Objects of one answer to a listing; S3 gives no more."""
_MISMATCHES = 2
"""With its checksum, after which an object is taken for damaged."""
_ONE_REQUEST = 2**23
"""Bytes; a larger object is read range by range, so that a cut costs little."""


class S3Storage:
    """Objects below a prefix of an S3 bucket.

    The endpoint, region, addressing style and credentials come from where boto3 looks for them.
    """

    def __init__(self, uri: str) -> None:
        location = s3_location(uri)
        self._bucket, self._prefix = Bucket(location.bucket), location.key

    @property
    def uri(self) -> str:
        """The bucket and the prefix."""
        return self._bucket.uri(self._prefix).rstrip("/")

    def open(self, name: str) -> BinaryIO:
        """Open one version of an object: that of now, whatever takes its place meanwhile."""
        return open_version(self._version(self._key(name)))

    def read(self, name: str) -> bytes:
        """An object, whole and checked against the server's checksum.

        Raises:
            Damaged: its bytes do not match that, when they are asked for again.
        """
        key = self._key(name)
        mismatches = 0

        def attempt(client: Any) -> bytes | None:
            nonlocal mismatches
            answer = client.get_object(Bucket=self._bucket.name, Key=key)
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] > _ONE_REQUEST:
                    return None
                try:
                    return bytes(body.read())
                except Exception as error:
                    mismatches += is_damage(error)
                    if mismatches < _MISMATCHES:
                        raise
                    raise Damaged(f"{self._bucket.uri(key)}: {error}") from error

        try:
            content = self._bucket.call("reading", key, attempt)
        except StorageFailed as error:
            if is_damage(error.__cause__):
                raise Damaged(str(error)) from error
            raise
        if content is not None:
            return content
        with self.open(name) as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Put an object, in parts where it is large."""
        key = self._key(name)
        self._bucket.check_exists(key)
        if len(data) <= PART:
            put(self._bucket, key, data)
        else:
            put_in_parts(self._bucket, key, len(data), lambda start, stop: data[start:stop])

    def create(self, name: str, data: bytes) -> bool:
        """Put an object on the condition that there is none."""
        key = self._key(name)
        self._bucket.check_exists(key)
        return put_if_absent(self._bucket, key, data)

    def upload(self, name: str, file: Path) -> None:
        """Put a file, in parts where it is large."""
        size = file.stat().st_size
        if size <= PART:
            self.write(name, file.read_bytes())
            return
        key = self._key(name)
        self._bucket.check_exists(key)
        put_in_parts(self._bucket, key, size, file_parts(file))

    def size(self, name: str) -> int | None:
        """Bytes of an object, or ``None`` where there is none."""
        try:
            return self._version(self._key(name)).size
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        """Whether the object is there."""
        return self.size(name) is not None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Objects, a page at a time, without the marks of folders that some tools leave."""
        below = f"{self._prefix}/" if self._prefix else ""
        more: dict[str, str] = {}

        def attempt(client: Any) -> Any:
            return client.list_objects_v2(
                Bucket=self._bucket.name, Prefix=below + prefix, MaxKeys=PAGE, **more
            )

        while True:
            page = self._bucket.call("listing", below + prefix, attempt)
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    yield StoredObject(entry["Key"].removeprefix(below), entry["Size"])
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, name: str) -> None:
        """Remove an object, if it is there."""
        key = self._key(name)
        self._bucket.call(
            "deleting",
            key,
            lambda client: client.delete_object(Bucket=self._bucket.name, Key=key),
        )

    def _key(self, name: str) -> str:
        checked_name(name)
        return f"{self._prefix}/{name}" if self._prefix else name

    def _version(self, key: str) -> Version:
        found = self._bucket.head("reading", key)
        told = found.get("ChecksumCRC32", "")
        whole = told and "-" not in told  # otherwise it is made of the checksums of parts
        crc32 = int.from_bytes(base64.b64decode(told), "big") if whole else None
        return Version(self._bucket, key, found["ETag"], found["ContentLength"], crc32)
