"""What a lock of a registered model's alias is, whichever kind keeps it."""

from contextlib import AbstractContextManager
from typing import Protocol


class LockLost(Exception):  # noqa: N818 - reads as an event
    """The lock may be somebody else's by now: nothing may be written any more."""


class LockBusy(Exception):  # noqa: N818 - reads as an event
    """Somebody else has held the lock for too long."""


class LockUnavailable(Exception):  # noqa: N818 - reads as an event
    """Whoever keeps the lock cannot be reached, or failed; it may be better later."""


class Hold(Protocol):
    """The right to write, while the lock is held."""

    @property
    def term(self) -> str:
        """The lock and which holding of it this is, for the record, as in
        ``lease kubedistill/digits-student-champion, term 17``."""

    def check(self) -> None:
        """Refuse to go on once the lock may be somebody else's; called before every write.

        Raises:
            LockLost: it may be.
        """


class Lock(Protocol):
    """Keeps all but one writer out."""

    @property
    def guard(self) -> str | None:
        """What every writer has to hold, as in ``lease:kubedistill/digits-student-champion``; it is
        kept with the model, so that a writer with another lock is refused. Null where there is no
        other way to write, as with a database on this machine."""

    def hold(self) -> AbstractContextManager[Hold]:
        """Wait for the lock, keep it for the block, and give it back.

        Raises:
            LockBusy: nobody let go of it in time.
            LockUnavailable: whoever keeps it cannot be reached.
            LockLost: it was lost before the block began.
        """
