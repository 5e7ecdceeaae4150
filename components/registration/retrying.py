"""Making things on a server whose answers can get lost: found again instead of made twice.

MLflow's client repeats a request whose answer did not arrive, also one that makes something, which
is then there twice. Here such a request is sent once, and whoever does not hear of its success
looks for the thing before asking for another. MLflow's searches read what is committed, so what was
made is found as soon as the request has ended. One that got no answer at all may still be under
way: it is waited for, and not sent again by the same process. What two processes make at the very
same moment can still be there twice, and everywhere the same one of them counts, mostly the oldest.

What can be written again without harm, such as an alias, is repeated, but by one request at a time:
a copy that is still under way when a lock is given back could arrive after the next holder's.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.exceptions import MlflowException
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from components.registration.outages import Unanswered, is_cut, is_unanswered

T = TypeVar("T")
logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 10.0
_SHORTEST_SETTLING_S = 10.0
_POLL_S = 1.0
_WORTH_ANOTHER_TRY = {
    "ABORTED",
    "DEADLINE_EXCEEDED",
    "INTERNAL_ERROR",  # also: no answer
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_ALREADY_EXISTS",  # somebody was faster: it will be found
    "RESOURCE_CONFLICT",
    "RESOURCE_EXHAUSTED",
    "TEMPORARILY_UNAVAILABLE",
}


def create_once(find: Callable[[], T | None], create: Callable[[], T]) -> T:
    """What ``find`` finds, or else what ``create`` makes, also where answers get lost.

    Args:
        find: looks for the thing; of several, it has to choose the same one every time.
        create: asks for it, in one request.

    Raises:
        Unanswered: the request may still be under way, so nobody should ask again at once.
        MlflowException: of the last of as many attempts as MLflow's client may make.
    """
    made: T = _attempts()(_find_or_create, find, create)
    return made


def write_in_turn(
    write: Callable[[], object], shows: Callable[[], bool], check: Callable[[], None]
) -> None:
    """Write under a lock, so that no copy of the request is under way when this returns or raises,
    as far as waiting can tell.

    Args:
        write: one request; to make it twice is as good as once.
        shows: whether it has arrived.
        check: raises where the lock is no longer held; called before each request.

    Raises:
        Unanswered: the request may still be under way, though it was waited for.
        MlflowException: of the last of as many attempts as MLflow's client may make.
    """
    _attempts()(_write, write, shows, check)


@contextmanager
def single_attempt() -> Iterator[None]:
    """Keep MLflow's client from repeating requests in this block.

    For as long as one thread is in such a block, no other thread's requests are repeated either.
    """
    _client_retries.forbid()
    try:
        yield
    finally:
        _client_retries.allow()


def _find_or_create(find: Callable[[], T | None], create: Callable[[], T]) -> T:
    with single_attempt():
        found = find()
        if found is not None:
            return found
        try:
            made = create()
        except MlflowException as error:
            if not is_unanswered(error):
                raise
            late = _wait_for(find, _settling_s())
            if late is None:
                raise Unanswered(str(error)) from error
            return late
        # Another attempt of this run may have made one at the same moment.
        found = find()
        return made if found is None else found


def _write(
    write: Callable[[], object], shows: Callable[[], bool], check: Callable[[], None]
) -> None:
    check()
    with single_attempt():
        try:
            _write_and_wait(write, shows)
        except KeyboardInterrupt:
            logger.warning(
                "interrupted while MLflow was written to: waiting for up to %g s, so that no "
                "request arrives once the lock is given back; interrupt again to leave at once",
                _settling_s(),
            )
            _wait_for(shows, _settling_s())
            raise


def _write_and_wait(write: Callable[[], object], shows: Callable[[], bool]) -> None:
    try:
        write()
    except MlflowException as error:
        if is_unanswered(error):
            if not _wait_for(shows, _settling_s()):
                raise Unanswered(str(error)) from error
        elif not (is_cut(error) and _wait_for(shows, _SHORTEST_SETTLING_S)):
            raise


def _wait_for(find: Callable[[], T | None], settling_s: float) -> T | None:
    """What a request makes that got no answer, if it turns up in time."""
    deadline = time.monotonic() + settling_s
    while time.monotonic() < deadline:
        with suppress(MlflowException):
            found = find()
            if found:
                return found
        time.sleep(_POLL_S)
    return None


def _settling_s() -> float:
    return max(_SHORTEST_SETTLING_S, float(MLFLOW_HTTP_REQUEST_TIMEOUT.get()))


def _attempts() -> Retrying:
    """As many as MLflow's client may make, with its pauses."""
    return Retrying(
        stop=stop_after_attempt(1 + _client_retries.allowed),
        wait=wait_exponential_jitter(
            initial=MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.get(), max=_LONGEST_WAIT_S
        ),
        retry=retry_if_exception(_worth_another_try),
        reraise=True,
    )


def _worth_another_try(error: BaseException) -> bool:
    return isinstance(error, MlflowException) and error.error_code in _WORTH_ANOTHER_TRY


class _ClientRetries:
    """How often MLflow's client may repeat a request, which it reads from the environment at each.

    Blocks of several threads may overlap: the first one in changes it, the last one out restores.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._blocks = 0
        self._before: str | None = None
        self._allowed = 0

    @property
    def allowed(self) -> int:
        """What is allowed outside of blocks."""
        with self._guard:
            return self._allowed if self._blocks else MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()

    def forbid(self) -> None:
        name = MLFLOW_HTTP_REQUEST_MAX_RETRIES.name
        with self._guard:
            if self._blocks == 0:
                self._allowed = MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()
                self._before = os.environ.get(name)
                os.environ[name] = "0"
            self._blocks += 1

    def allow(self) -> None:
        name = MLFLOW_HTTP_REQUEST_MAX_RETRIES.name
        with self._guard:
            self._blocks -= 1
            if self._blocks:
                return
            if self._before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = self._before


_client_retries = _ClientRetries()
