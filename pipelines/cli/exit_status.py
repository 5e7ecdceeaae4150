"""The exit status of each way in which a command can end."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """As in the README; 130 is what shells use for Ctrl-C."""

    DONE = 0
    """Done; for ``run``: promoted."""
    BROKEN = 1
    USER_ERROR = 2
    REJECTED = 3
    INTERRUPTED = 130
