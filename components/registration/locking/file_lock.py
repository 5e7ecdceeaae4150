"""The lock of one machine: a file that the kernel locks, and lets go of when its holder dies."""

import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from components.registration.locking.lock import Hold, LockBusy, LockLost

_POLL_S = 0.1


@dataclass(frozen=True)
class FileLock:
    """``flock`` on a file, which stays where it is: to delete it would let a second holder in.

    A holder that is stopped keeps the lock for as long as it lives, so that there is nothing to
    fence. The file has to be on a file system that keeps locks itself; over a network, that is for
    its server to promise.
    """

    path: Path
    patience_s: float = 120.0
    """How long to wait for another holder."""
    reach: Literal["database", "machine", "folder"] = "database"
    """Whom it keeps out: all writers of the database beside it; those of this machine; or those
    that were told to meet in its folder, from whichever machine."""

    @property
    def guard(self) -> str | None:
        """What other writers have to hold. A folder may have other names on other machines, so its
        file names itself; files of several machines count as the same, since there is no telling
        which machines are one, as with the short-lived ones of CI."""
        match self.reach:
            case "database":
                return None
            case "machine":
                return "local"
            case "folder":
                return f"file:{self._identity()}"

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Wait for the lock, keep it for the block, and give it back.

        Raises:
            LockBusy: another process kept it for :attr:`patience_s`; names it.
            OSError: the file cannot be made or written.
        """
        descriptor = self._acquire()
        try:
            earlier = _read(descriptor)
            term = earlier.get("term", 0) + 1
            _write(descriptor, term, earlier.get("id") or uuid.uuid4().hex)
            yield FileHold(self.path, descriptor, term)
        finally:
            # Said aloud, since a forked child that is still there has the descriptor as well.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _identity(self) -> str:
        """Once the lock was held, the file has one."""
        with self.path.open("rb") as file:
            return str(_read(file.fileno()).get("id", ""))

    def _acquire(self) -> int:
        give_up = time.monotonic() + self.patience_s
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                # Somebody may have deleted the file between the two: that lock keeps no one out.
                if _lock(descriptor) and _is_at(self.path, descriptor):
                    held, descriptor = descriptor, -1
                    return held
                if time.monotonic() > give_up:
                    raise LockBusy(
                        f"{self.path}: another run has it ({_whose(_read(descriptor))}), and did "
                        f"not let go of it in {self.patience_s:g} s"
                    )
            finally:
                if descriptor != -1:
                    os.close(descriptor)
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class FileHold:
    """The file lock, while it is held."""

    path: Path
    descriptor: int
    number: int

    @property
    def term(self) -> str:
        """The file, and which holding of it this is."""
        return f"file lock {self.path} on {socket.gethostname()}, term {self.number}"

    def check(self) -> None:
        """Refuse to go on where others no longer see this file.

        Raises:
            LockLost: the file was deleted or replaced.
        """
        if not _is_at(self.path, self.descriptor):
            raise LockLost(
                f"{self.path} was deleted or replaced while this process held it, so that it keeps "
                "nobody out any more"
            )


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> dict[str, Any]:
    """What a holder wrote; empty where none did, or was killed while it wrote."""
    try:
        record = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _write(descriptor: int, term: int, identity: str) -> None:
    record = {
        "id": identity,
        "term": term,
        "holder": f"{os.getpid()}@{socket.gethostname()}",
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    length = os.pwrite(descriptor, f"{json.dumps(record)}\n".encode(), 0)
    os.ftruncate(descriptor, length)


def _whose(record: dict[str, Any]) -> str:
    if "holder" not in record:
        return "which has not said who it is"
    return f"process {record['holder']}, since {record.get('since')}"
