"""A Lease that is held: renewed in the background, and given up before others may take it."""

import logging
import threading
from dataclasses import dataclass

from components.registration.locking import watchdog
from components.registration.locking.lease_api import LeaseApi, LeaseChanged
from components.registration.locking.lease_record import Lease
from components.registration.locking.lock import LockLost, LockUnavailable
from components.shared.errors import UserError

_RELEASE_ATTEMPTS = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """What happens when, in seconds since a renewal was *sent* that then succeeded.

    Others count the duration from when they saw that renewal, which is later, so that all of this
    happens before they take over. The time between is for clocks that run at different rates, and
    for the last request of a holder that was killed to reach its server.
    """

    duration_s: int = 30
    """Of the Lease: others take over when they have seen no renewal for as long."""

    @property
    def renew_s(self) -> float:
        """The next renewal is sent."""
        return self.duration_s / 3

    @property
    def refuse_s(self) -> float:
        """Without a renewal until now, the lock counts as lost."""
        return self.duration_s * 2 / 3

    @property
    def kill_s(self) -> float:
        """Whoever has not noticed is killed."""
        return self.duration_s * 5 / 6

    @property
    def request_s(self) -> float:
        """How long one request may take."""
        return self.duration_s / 6

    @property
    def poll_s(self) -> float:
        """Between two looks at somebody else's Lease, on average; before a renewal is repeated."""
        return self.duration_s / 60


class LeaseHold:
    """The right to write, while the Lease is held."""

    def __init__(self, leases: LeaseApi, lease: Lease, sent: float, timing: Timing) -> None:
        """Start to renew.

        Args:
            leases: where it is kept.
            lease: as it was taken.
            sent: when that was asked for, on the clock of :func:`watchdog.now`.
            timing: of renewals and deadlines.
        """
        self._leases, self._timing = leases, timing
        self._lease, self._sent = lease, sent
        self._holder, self._number = lease.holder, lease.term
        self._lost = self._problem = ""
        self._ending = threading.Event()
        self._watchdog = watchdog.Watchdog(sent + timing.kill_s)
        self._renewals = threading.Thread(target=self._keep, name="lease renewals", daemon=True)
        self._renewals.start()

    @property
    def term(self) -> str:
        """The Lease, which holding of it this is, and whose."""
        name = f"{self._leases.namespace}/{self._leases.name}"
        return f"lease {name}, term {self._number} of {self._holder}"

    def check(self) -> None:
        """Refuse to go on once the Lease was lost, or could not be renewed for too long.

        Raises:
            LockLost: says why.
        """
        self._note_time()
        if self._lost:
            raise LockLost(f"lost the {self.term}: {self._lost}")

    def close(self, *, give_back: bool) -> None:
        """End it: nothing is written any more, so that the process may live past the deadline.

        Args:
            give_back: let others have it at once; else, and where that fails, it expires.
        """
        self._watchdog.disarm()
        self._ending.set()
        self._renewals.join()
        if give_back and not self._lost:
            self._release()

    def _keep(self) -> None:
        wait_s = self._timing.renew_s
        while not self._ending.wait(wait_s) and not self._lost:
            wait_s = self._timing.renew_s if self._renew() else self._timing.poll_s
            self._note_time()

    def _renew(self) -> bool:
        sent = watchdog.now()
        try:
            self._lease = self._leases.replace(self._lease.renewed(), self._timing.request_s)
        except LeaseChanged:
            self._look()
        except Exception as error:  # whatever it is: only a success puts the end off
            self._problem = str(error) or repr(error)
        else:
            self._sent, self._problem = sent, ""
            self._watchdog.put_off(sent + self._timing.kill_s)
            return True
        return False

    def _look(self) -> None:
        """Tell a new holder from one's own renewal whose answer was lost, or an added label."""
        try:
            found = self._leases.read(self._timing.request_s)
        except (LockUnavailable, UserError) as error:
            self._problem = str(error)
            return
        if found is None:
            self._lose("somebody deleted it")
        elif found.holder != self._holder:
            self._lose(f"it is held by {found.holder or 'nobody'} now")
        else:
            self._lease = found

    def _note_time(self) -> None:
        silent_s = watchdog.now() - self._sent
        if silent_s >= self._timing.refuse_s:
            why = self._problem or "this process did not run"
            self._lose(f"it was not renewed for {silent_s:.1f} s ({why})")

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._lost = why
            logger.warning("lost the %s: %s", self.term, why)

    def _release(self) -> None:
        for _ in range(_RELEASE_ATTEMPTS):
            try:
                self._leases.replace(self._lease.released(), self._timing.request_s)
                return
            except LeaseChanged:
                self._look()
                if self._lost:
                    return
            except (LockUnavailable, UserError) as error:
                logger.warning("could not give back the %s, it will expire: %s", self.term, error)
                return
