"""Temporary files, which need room."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from components.shared.errors import UserError


@contextmanager
def temporary_room(what: str) -> Iterator[None]:
    """For writing to temporary files.

    Args:
        what: is written, as an error says it.

    Raises:
        UserError: they cannot be written; the message says where they are, and how to change that.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"no place for {what} in {tempfile.gettempdir()} ({error.strerror}); free space, or "
            "set TMPDIR to a folder on a larger disk"
        ) from error
