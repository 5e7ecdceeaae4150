"""A process that promotes a version under a Lease, and can stop itself in between.

Call it as ``python -m tests.cluster.promoter VERSION COMPARED_WITH STOP_BEFORE LEASE_S``; store,
lock and cluster are told by the environment, as in a pod.
"""

import os
import signal
import sys
from functools import partial

from mlflow.tracking import MlflowClient

from components.registration.client import connect
from components.registration.locking import choosing
from components.registration.locking.choosing import choose_lock
from components.registration.locking.lease import LeaseLock
from components.registration.promotion.ledger import Ledger
from components.registration.promotion.session import exclusive
from components.registration.promotion.subject import ChampionMoved, Subject
from components.registration.store import locate
from components.shared.errors import UserError

MODEL = "leased"
REFUSED, OVERTAKEN = 2, 10


def main(version: str, compared_with: str, stop_before: str) -> int:
    """Promote; 10 where somebody else did meanwhile, 2 where it is refused."""
    store = locate("")
    client = connect(store)
    if stop_before:
        _stop_before(stop_before)
    subject = Subject(version, compared_with=compared_with or None)
    try:
        with exclusive(
            Ledger(client, MODEL, "champion"), choose_lock(store, MODEL, "champion")
        ) as session:
            session.register(subject, "its gates passed")
            session.promote(subject, "its gates passed")
    except ChampionMoved:
        return OVERTAKEN
    except UserError as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


def _stop_before(name: str) -> None:
    """Stop this process right before a write, when the lock has been checked for it."""
    write = getattr(MlflowClient, name)

    def stop_and_write(*args: object, **kwargs: object) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        write(*args, **kwargs)

    setattr(MlflowClient, name, stop_and_write)


if __name__ == "__main__":
    *arguments, lease_s = sys.argv[1:]
    choosing.LeaseLock = partial(LeaseLock, duration_s=int(lease_s))
    sys.exit(main(*arguments))
