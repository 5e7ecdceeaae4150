"""Writing objects of S3: in one request, or in parts that become an object together."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

from components.shared.errors import StorageFailed, UserError
from components.shared.events import emit
from components.shared.storage.s3_bucket import Bucket, ConditionFailed
from components.shared.storage.s3_client import connection

PART = 2**23
"""Bytes; what is not larger goes in one request."""
_MOST_PARTS = 10_000
_AT_ONCE = 4
_WRITER = "kubedistill-writer"
"""Metadata: who wrote the object, for a writer whose answer was lost."""

_OF_THE_WHOLE = {"ChecksumType": "FULL_OBJECT"}
"""The checksum that the server keeps, and a reader can check; else it would be one of those of the
parts."""

PartOf = Callable[[int, int], bytes]
"""Bytes of the content, from one offset to another."""


def put(bucket: Bucket, key: str, data: bytes) -> None:
    """Store an object in one request, whose body the server checks."""
    bucket.call(
        "writing", key, lambda client: client.put_object(Bucket=bucket.name, Key=key, Body=data)
    )


def put_if_absent(bucket: Bucket, key: str, data: bytes) -> bool:
    """Store an object unless there is one; whether it was stored."""
    token = uuid.uuid4().hex
    attempts = 0

    def attempt(client: Any) -> None:
        nonlocal attempts
        attempts += 1
        client.put_object(
            Bucket=bucket.name, Key=key, Body=data, IfNoneMatch="*", Metadata={_WRITER: token}
        )

    try:
        bucket.call("writing", key, attempt)
    except ConditionFailed:
        return attempts > 1 and _was_written_by(bucket, key, token)
    return True


def put_in_parts(bucket: Bucket, key: str, size: int, part_of: PartOf) -> None:
    """Store an object of any size; a few parts are in memory at once.

    Where it fails, no part is left, unless the server is out of reach: then an event names the
    upload.
    """
    token = uuid.uuid4().hex
    upload = bucket.call(
        "writing",
        key,
        lambda client: client.create_multipart_upload(
            Bucket=bucket.name,
            Key=key,
            Metadata={_WRITER: token},
            **({"ChecksumAlgorithm": "CRC32"} | _OF_THE_WHOLE if _sends_checksums(client) else {}),
        ),
    )["UploadId"]
    try:
        _complete(bucket, key, upload, _send(bucket, key, upload, size, part_of), token)
    except BaseException as error:
        _abort(bucket, key, upload, patiently=not isinstance(error, StorageFailed))
        raise


def file_parts(file: Path) -> PartOf:
    """Parts of a file."""

    def part_of(start: int, stop: int) -> bytes:
        with file.open("rb") as opened:
            opened.seek(start)
            part = opened.read(stop - start)
        if len(part) != stop - start:
            raise UserError(f"{file}: this file became shorter while it was uploaded; run again")
        return part

    return part_of


def _send(bucket: Bucket, key: str, upload: str, size: int, part_of: PartOf) -> list[Any]:
    part_size = max(PART, -(-size // _MOST_PARTS))

    def send(number: int) -> dict[str, Any]:
        start = (number - 1) * part_size
        body = part_of(start, min(start + part_size, size))
        sent = bucket.call(
            "writing",
            key,
            lambda client: client.upload_part(
                Bucket=bucket.name,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
            ),
        )
        told = {name: sent[name] for name in ("ETag", "ChecksumCRC32") if name in sent}
        return {"PartNumber": number, **told}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            numbers = range(1, -(-size // part_size) + 1)
            sending = [pool.submit(copy_context().run, send, number) for number in numbers]
            return [part.result() for part in sending]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _complete(bucket: Bucket, key: str, upload: str, parts: list[Any], token: str) -> None:
    try:
        bucket.call(
            "writing",
            key,
            lambda client: client.complete_multipart_upload(
                Bucket=bucket.name,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **(_OF_THE_WHOLE if _sends_checksums(client) else {}),
            ),
        )
    except FileNotFoundError:
        if not _was_written_by(bucket, key, token):
            raise StorageFailed(f"{bucket.uri(key)}: somebody aborted this upload") from None


def _sends_checksums(client: Any) -> bool:
    """Not to a server that does not know them, where the user has said so."""
    return bool(client.meta.config.request_checksum_calculation != "when_required")


def _was_written_by(bucket: Bucket, key: str, token: str) -> bool:
    try:
        return bool(bucket.head("reading", key)["Metadata"].get(_WRITER) == token)
    except FileNotFoundError:
        return False


def _abort(bucket: Bucket, key: str, upload: str, *, patiently: bool) -> None:
    def attempt(client: Any) -> None:
        client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload)

    try:
        if patiently:
            bucket.call("aborting", key, attempt)
        else:
            attempt(connection().client)
    except FileNotFoundError:
        return  # it is complete, or was aborted
    except Exception as error:
        emit("upload_left_behind", uri=bucket.uri(key), upload=upload, error=str(error))
