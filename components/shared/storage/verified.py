"""Which files hold what they should: each is hashed once by a process, unless it changes."""

import time
from pathlib import Path
from typing import NamedTuple

from components.shared.files import sha256_file

_SETTLED_NS = 10**8
"""A file that was written less than this before could be written again within the resolution of its
time stamp."""


class _Seen(NamedTuple):
    path: Path
    inode: int
    size: int
    modified_ns: int


_hashes: dict[_Seen, str] = {}


def holds(path: Path, sha256: str, size: int) -> bool:
    """Whether a file is there and has this content.

    Raises:
        OSError: it may not be read.
    """
    try:
        before = _look(path)
        if before.size != size:
            return False
        if before not in _hashes:
            found = sha256_file(path)
            if before != _look(path) or time.time_ns() - before.modified_ns < _SETTLED_NS:
                return found == sha256
            _hashes[before] = found
        return _hashes[before] == sha256
    except FileNotFoundError:
        return False


def remember(path: Path, sha256: str) -> None:
    """Take the word of who has just written and hashed a file."""
    _hashes[_look(path)] = sha256


def _look(path: Path) -> _Seen:
    found = path.stat()
    return _Seen(path.absolute(), found.st_ino, found.st_size, found.st_mtime_ns)
