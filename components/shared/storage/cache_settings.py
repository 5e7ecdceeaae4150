"""Where copies of remote objects are kept on this node, and how many bytes of them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from components.shared.errors import UserError

FOLDER_VARIABLE = "KUBEDISTILL_CACHE_DIR"
"""Environment variable: the folder. Without it: below the user's cache folder, or where that cannot
be written, below the folder for temporary files."""
BYTES_VARIABLE = "KUBEDISTILL_CACHE_BYTES"
"""Environment variable: bytes of all copies. Without it: 10 GiB, or half of the disk's free space
where that is less."""
_MOST_BYTES = 10 * 2**30


def cache_folder() -> Path:
    """The folder, which need not be there yet.

    Raises:
        UserError: nothing can be written anywhere.
    """
    if told := os.environ.get(FOLDER_VARIABLE):
        return Path(told)
    for folder in _places():
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK) and folder.stat().st_uid == os.getuid():
                return folder / "objects"
    raise UserError(
        "copies of remote objects have no place: neither the user's cache folder nor that for "
        f"temporary files may be written; set {FOLDER_VARIABLE} to a folder that may"
    )


def cache_bytes(folder: Path, kept: int) -> int:
    """The bound, where ``kept`` bytes of copies take part of the disk's space already.

    Raises:
        UserError: the environment variable is not a number of bytes.
    """
    if told := os.environ.get(BYTES_VARIABLE):
        if not told.isdecimal():
            raise UserError(f"{BYTES_VARIABLE}={told}: write a number of bytes")
        return int(told)
    return min(_MOST_BYTES, (shutil.disk_usage(folder).free + kept) // 2)


def _places() -> Iterator[Path]:
    if home := os.environ.get("XDG_CACHE_HOME"):
        yield Path(home, "kubedistill")
    elif home := os.environ.get("HOME"):
        yield Path(home, ".cache", "kubedistill")
    with suppress(FileNotFoundError):
        yield Path(tempfile.gettempdir(), f"kubedistill-{os.getuid()}")
