"""An object of S3 as a file: read by range requests, ahead of its reader, and always one version
of it."""

import io
import os
import threading
import zlib
from concurrent.futures import Future
from contextlib import closing
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple

from components.shared.errors import StorageFailed, UserError
from components.shared.storage.protocol import Damaged
from components.shared.storage.s3_bucket import Bucket, ConditionFailed
from components.shared.storage.s3_errors import trouble_of

FIRST_BLOCK = 2**18
LARGEST_BLOCK = 2**23
"""Bytes of a request: few after a seek, twice as many each time as long as the reading goes on from
there. A reader keeps at most two blocks."""
_PIECE = 2**18
_BUFFER = 2**17


class Version(NamedTuple):
    """One version of an object."""

    bucket: Bucket
    key: str
    etag: str
    size: int
    crc32: int | None
    """Of the whole, where the server keeps it."""

    @property
    def uri(self) -> str:
        """The object's."""
        return self.bucket.uri(self.key)


def open_version(version: Version) -> io.BufferedReader:
    """Open it for reading."""
    return io.BufferedReader(_Reader(version), _BUFFER)


class _Reader(io.RawIOBase):
    """Keeps one block; where the reading goes on in order, a thread fetches the next.

    What is read in order from start to end is checked against the server's checksum.
    """

    def __init__(self, version: Version) -> None:
        super().__init__()
        self._version = version
        self._position = 0
        self._block, self._start = memoryview(b""), 0
        self._next_size = FIRST_BLOCK
        self._ahead: _Fetch | None = None
        self._crc32, self._checked = 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._version.size}
        if origins[whence] + offset < 0:
            raise ValueError(f"{origins[whence] + offset}: this is before the start")
        self._position = origins[whence] + offset
        return self._position

    def readinto(self, target: Any) -> int:
        wanted = memoryview(target).cast("B")
        if not wanted or self._position >= self._version.size:
            return 0
        if not self._start <= self._position < self._start + len(self._block):
            self._turn_to(self._position)
        offset = self._position - self._start
        found = self._block[offset : offset + len(wanted)]
        wanted[: len(found)] = found
        self._check(found)
        self._position += len(found)
        return len(found)

    def readall(self) -> bytes:
        content = bytearray(max(self._version.size - self._position, 0))
        left = memoryview(content)
        while left:
            left = left[self.readinto(left) :]
        return bytes(content)

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.abandon()
        self._ahead, self._block = None, memoryview(b"")
        super().close()

    def _turn_to(self, position: int) -> None:
        """Make the block current that begins at ``position``."""
        in_order = position == self._start + len(self._block)
        self._block = memoryview(b"")
        fetch, self._ahead = self._ahead, None
        if fetch is not None and not (fetch.start == position and fetch.is_usable):
            fetch.abandon()
            fetch = None
        if not in_order:
            self._next_size = FIRST_BLOCK
        if fetch is None:
            fetch = self._fetch_from(position)
        if in_order and fetch.stop < self._version.size:
            self._ahead = self._fetch_from(fetch.stop)
            self._ahead.begin()
        self._block, self._start = memoryview(fetch.result()), position

    def _fetch_from(self, start: int) -> "_Fetch":
        size, self._next_size = self._next_size, min(2 * self._next_size, LARGEST_BLOCK)
        return _Fetch(self._version, start, min(start + size, self._version.size))

    def _check(self, found: memoryview) -> None:
        if self._version.crc32 is None or self._position > self._checked:
            return
        new = found[self._checked - self._position :]
        self._crc32 = zlib.crc32(new, self._crc32)
        self._checked += len(new)
        if self._checked == self._version.size and self._crc32 != self._version.crc32:
            raise Damaged(f"{self._version.uri}: the bytes do not match their checksum")


class _Fetch:
    """A block of a version of an object, by this thread or one of its own."""

    def __init__(self, version: Version, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._version = version
        self._process = os.getpid()
        self._abandoned = threading.Event()
        self._running: Future[bytearray] | None = None

    @property
    def is_usable(self) -> bool:
        """After a fork, the child has no thread that fetches."""
        return self._process == os.getpid()

    def begin(self) -> None:
        """Fetch in a thread that nobody has to wait for."""
        future: Future[bytearray] = Future()

        def run() -> None:
            try:
                future.set_result(self._read())
            except BaseException as error:
                future.set_exception(error)

        self._running = future
        threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()

    def result(self) -> bytearray:
        """The block.

        Raises:
            UserError: the object is no longer this version.
            StorageFailed: the server was out of order for too long.
        """
        return self._running.result() if self._running else self._read()

    def abandon(self) -> None:
        """Stop soon; there will be no result."""
        self._abandoned.set()

    def _read(self) -> bytearray:
        """Piece by piece; after a cut, from there. An outage counts from the last piece."""
        content = bytearray(self.stop - self.start)
        filled = 0
        try:
            while filled < len(content):
                filled = self._version.bucket.call(
                    "reading", self._version.key, partial(self._go_on, content, filled)
                )
        except (ConditionFailed, FileNotFoundError) as error:
            raise UserError(
                f"{self._version.uri}: this object was replaced or deleted while it was read; "
                "run again"
            ) from error
        return content

    def _go_on(self, content: bytearray, filled: int, client: Any) -> int:
        before, left = filled, memoryview(content)[filled:]
        try:
            answer = client.get_object(
                Bucket=self._version.bucket.name,
                Key=self._version.key,
                IfMatch=self._version.etag,
                Range=f"bytes={self.start + filled}-{self.stop - 1}",
            )
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] != len(left):
                    raise StorageFailed(f"{self._version.uri}: the server does not keep to ranges")
                while left:
                    if self._abandoned.is_set():
                        raise _Abandoned
                    got = body.readinto(left[:_PIECE])
                    left, filled = left[got:], filled + got
        except Exception as error:
            if filled == before or trouble_of(error) is None:
                raise
        return filled


class _Abandoned(Exception):  # noqa: N818 - reads as an event
    """Nobody waits for the block any more."""
