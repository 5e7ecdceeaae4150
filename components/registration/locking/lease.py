"""The lock of a cluster: a Lease object of Kubernetes, kept as client-go's leader election does."""

import logging
import random
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from components.registration.locking import watchdog
from components.registration.locking.lease_api import LeaseApi, LeaseChanged
from components.registration.locking.lease_hold import LeaseHold, Timing
from components.registration.locking.lease_record import Lease, Sightings, new_lease
from components.registration.locking.lock import Hold, LockBusy, LockUnavailable

logger = logging.getLogger(__name__)


class LeaseLock:
    """A Lease; every write of it is conditional on the version that was read before."""

    def __init__(
        self, leases: LeaseApi, *, duration_s: int = 30, patience_s: float = 120.0
    ) -> None:
        """Name the lock; nothing is sent.

        Args:
            leases: where the Lease is kept.
            duration_s: how long a holder that fell silent keeps others out.
            patience_s: how long to wait for another holder; longer than ``duration_s``, or one
                that crashed is never replaced.
        """
        self._leases = leases
        self._timing = Timing(duration_s)
        self._patience_s = patience_s

    @property
    def guard(self) -> str | None:
        """The Lease that every writer of the model has to hold."""
        return f"lease:{self._leases.namespace}/{self._leases.name}"

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """Wait for the lock, keep it for the block, and give it back.

        Where there was no Lease, this waits for one duration longer: somebody may have deleted it
        while it was held, which that holder does not know before its next renewal.

        Raises:
            LockBusy: another holder kept it; names it.
            LockUnavailable: the Kubernetes API did not answer for as long.
            LockLost: it was lost before the block began.
            UserError: a right is missing, or this process could not be fenced.
        """
        watchdog.require()
        hold, is_new = self._acquire()
        ready = False
        try:
            if is_new:
                self._let_earlier_holders_notice(hold)
            ready = True
            yield hold
        finally:
            # Whoever comes next has to wait as well where this wait was cut short.
            hold.close(give_back=ready)

    def _let_earlier_holders_notice(self, hold: LeaseHold) -> None:
        duration_s = self._timing.duration_s
        logger.warning(
            "the %s is new: waiting %s s for a holder of an earlier one", hold.term, duration_s
        )
        time.sleep(duration_s)
        hold.check()

    def _acquire(self) -> tuple[LeaseHold, bool]:
        """The lock, and whether its Lease was made for that."""
        attempt = _Attempt(self._leases, self._timing)
        give_up = time.monotonic() + self._patience_s
        while True:
            problem: LockUnavailable | None = None
            try:
                hold = attempt.once()
                if hold is not None:
                    return hold, attempt.created
            except LockUnavailable as error:
                problem = error
            if time.monotonic() > give_up:
                raise problem or self._busy(attempt.seen)
            time.sleep(self._timing.poll_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    def _busy(self, lease: Lease | None) -> LockBusy:
        who = "one after another"
        if lease is not None and lease.holder is not None:
            who = f"{lease.holder} since {lease.since}"
        return LockBusy(
            f"the lease {self._leases.namespace}/{self._leases.name} is held by {who}; it was not "
            f"free in {self._patience_s:g} s"
        )


class _Attempt:
    """One process that wants the Lease, from its first look to its success."""

    def __init__(self, leases: LeaseApi, timing: Timing) -> None:
        self._leases, self._timing = leases, timing
        # A holding has an identity of its own, so that a process never takes the Lease of an
        # earlier holding for that of this one.
        self._identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self._sightings = Sightings(timing.duration_s)
        self.seen: Lease | None = None
        self.created = False

    def once(self) -> LeaseHold | None:
        """Look, and take the Lease if it is free."""
        self.seen = self._leases.read(self._timing.request_s)
        if self.seen is not None and not self._may_take(self.seen):
            return None
        sent = watchdog.now()
        try:
            lease = self._create() if self.seen is None else self._take(self.seen)
        except LeaseChanged:
            return None
        if watchdog.now() - sent >= self._timing.refuse_s:
            return None  # the answer was too long on its way; the next look finds it its own
        return LeaseHold(self._leases, lease, sent, self._timing)

    def _may_take(self, lease: Lease) -> bool:
        """Also one's own, where the answer to the request that took it was lost."""
        return self._sightings.is_free(lease, time.monotonic()) or lease.holder == self._identity

    def _create(self) -> Lease:
        document = new_lease(self._leases.name, self._identity, self._timing.duration_s)
        self.created = True
        try:
            return self._leases.create(document, self._timing.request_s)
        except LeaseChanged:
            self.created = False
            raise

    def _take(self, lease: Lease) -> Lease:
        return self._leases.replace(
            lease.taken(self._identity, self._timing.duration_s), self._timing.request_s
        )
