"""Checkpoints outside the step's outputs, where a retried pod finds them.

All trainings of a step share a prefix, which is named by everything that their weights depend on;
each has an object in it, the *slot*, that holds where it is, or what it ended with. A checkpoint
that is damaged, or of something else, is refused, and its training starts over.

Of processes that train together the first one reads and writes; what it keeps is the same on all,
and says nothing of their number.
"""

import hashlib
import io
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from components.shared import events
from components.shared.errors import StorageFailed, UserError
from components.shared.files import digest_of
from components.shared.storage import Damaged, Storage, open_storage
from components.shared.storage.uris import join
from components.shared.training.distributed import ranks
from components.shared.training.termination import Terminated, Termination

INTERVAL = "KUBEDISTILL_CHECKPOINT_SECONDS"
"""Environment variable: seconds between two checkpoints."""
_DEFAULT_INTERVAL_S = 30.0
_HEADER = b"kubedistill checkpoint 1\n"

State = dict[str, Any]
"""Tensors, numbers, texts, and lists and dictionaries of them."""


class Checkpoints:
    """The checkpoints of one step.

    They are written by a thread, at most one at a time, so that training does not wait for the
    storage. What ended since the last one is written along with the next, so that trainings of a
    second cost nothing.
    """

    def __init__(
        self, storage: Storage | None, subject: str, termination: Termination, interval: float
    ) -> None:
        """Nothing is read or written yet.

        Args:
            storage: the prefix; without it nothing is kept.
            subject: digest of everything that the weights depend on.
            termination: tells when to end.
            interval: seconds between two checkpoints.
        """
        self.termination = termination
        self._ranks = ranks()
        self._storage, self._subject, self._interval = storage, subject, interval
        self._saved_at = time.monotonic()
        self._waiting: dict[str, bytes] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writing: Future[None] | None = None

    def slot(self, name: str) -> "Slot":
        """The place for one training."""
        return Slot(self, name)

    def read(self, name: str) -> State | None:
        """The state in a slot, if there is one that can be trusted.

        Raises:
            UserError: the storage refuses.
            StorageFailed: it is out of reach.
        """
        return self._ranks.from_first(lambda: self._read(name))

    def _read(self, name: str) -> State | None:
        if self._storage is None:
            return None
        try:
            return _decode(self._storage.read(name), self._subject, name)
        except FileNotFoundError:
            return None
        except (_RefusedError, Damaged) as error:
            events.emit(
                "checkpoint_refused", slot=name, reason=str(error), consequence="starts over"
            )
            return None

    @property
    def kept_somewhere(self) -> bool:
        """Whether there is a storage."""
        return self._storage is not None

    @property
    def due(self) -> bool:
        """Whether it is time for the next one, and the last is written."""
        if self._storage is None or time.monotonic() - self._saved_at < self._interval:
            return False
        return self._writing is None or self._writing.done()

    def keep(self, name: str, state: State) -> None:
        """Have a state written with the next checkpoint."""
        if self._storage is not None:
            self._waiting[name] = _encode(state, self._subject, name)

    def write(self) -> None:
        """Start to write what is kept.

        Raises:
            UserError: the storage refused the one before.
        """
        self._finish_writing()
        self._saved_at = time.monotonic()
        waiting, self._waiting = self._waiting, {}
        self._writing = self._writer.submit(self._write, waiting)

    def flush(self) -> bool:
        """Write what is kept, and wait for it; whether it was written.

        Raises:
            UserError: the storage refused.
        """
        if self._waiting:
            self.write()
        return self._finish_writing()

    def delete(self) -> None:
        """Remove all of them; a storage that refuses, or is out of reach, keeps them."""
        self._waiting.clear()
        if self._storage is None:
            return
        try:
            self._finish_writing()
            for found in list(self._storage.list()):
                self._storage.delete(found.name)
        except (StorageFailed, UserError) as error:
            events.emit("checkpoints_left", reason=str(error))

    def _write(self, waiting: Mapping[str, bytes]) -> None:
        if self._storage is None:
            return
        for name, data in waiting.items():
            self._storage.write(name, data)

    def _finish_writing(self) -> bool:
        """Wait for the writer; whether all was written. Without a checkpoint training goes on, but
        not without rights."""
        writing, self._writing = self._writing, None
        try:
            if writing:
                writing.result()
        except StorageFailed as error:
            events.emit("checkpoint_failed", reason=str(error), consequence="training goes on")
            return False
        return True


class Slot:
    """The place for the checkpoint of one training."""

    def __init__(self, checkpoints: Checkpoints, name: str) -> None:
        self._checkpoints, self.name = checkpoints, name

    def read(self) -> State | None:
        """The state to go on from, if there is one."""
        return self._checkpoints.read(self.name)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within the block, SIGTERM waits for :meth:`after_step`."""
        with self._checkpoints.termination.deferred():
            yield

    def after_step(self, state: Callable[[], State]) -> None:
        """Save where it is due, and end where the process was asked to.

        Args:
            state: makes what is saved.

        Raises:
            Terminated: after SIGTERM; the checkpoint is written.
        """
        if self._checkpoints.termination.agreed():
            self._checkpoints.keep(self.name, state())
            raise Terminated
        if self._checkpoints.due:
            self._checkpoints.keep(self.name, state())
            self._checkpoints.write()

    def finish(self, state: State) -> None:
        """Keep what the training ended with."""
        self._checkpoints.keep(self.name, state)


@contextmanager
def kept_in(uri: str, subject: Mapping[str, Any]) -> Iterator[Checkpoints]:
    """The checkpoints of a step, which ends with a checkpoint and status 143 on SIGTERM.

    Args:
        uri: root of the storage; empty: nothing is kept, and a retry starts over.
        subject: everything that the weights depend on, as JSON.

    Raises:
        UserError: the environment variable for the interval is not a number.
    """
    digest = digest_of(subject)
    keeps = uri and ranks().first
    storage = open_storage(join(uri, "checkpoints", digest)) if keeps else None
    termination = Termination()
    checkpoints = Checkpoints(storage, digest, termination, _interval())
    with termination.watched():
        try:
            with _errors_of_the_end(termination):
                yield checkpoints
        except Terminated:
            events.emit("terminated", resumable=_saved(checkpoints), checkpoints=digest)
            if termination.together:
                ranks().any(False)  # one that is gone would end the first while it writes
            raise


@contextmanager
def _errors_of_the_end(termination: Termination) -> Iterator[None]:
    """Where several processes train, some that was asked to end may see another one gone first."""
    try:
        yield
    except Exception as error:
        if termination.requested and not ranks().alone:
            raise Terminated from error
        raise


def _saved(checkpoints: Checkpoints) -> bool:
    """Write the last checkpoint; the status stays that of SIGTERM whatever the storage says."""
    try:
        return checkpoints.flush() and checkpoints.kept_somewhere
    except UserError as error:
        events.emit("checkpoint_failed", reason=str(error), consequence="a retry may start over")
        return False


def _interval() -> float:
    value = os.environ.get(INTERVAL, str(_DEFAULT_INTERVAL_S))
    try:
        return float(value)
    except ValueError as error:
        raise UserError(f"{INTERVAL} should be a number of seconds, not {value!r}") from error


class _RefusedError(Exception):
    """The bytes of a slot are not a checkpoint of this training."""


def _encode(state: State, subject: str, slot: str) -> bytes:
    buffer = io.BytesIO()
    torch.save({"subject": subject, "slot": slot, "state": state}, buffer)
    data = buffer.getvalue()
    return b"".join([_HEADER, hashlib.sha256(data).digest(), data])


def _decode(data: bytes, subject: str, slot: str) -> State:
    start = len(_HEADER) + hashlib.sha256().digest_size
    content = memoryview(data)[start:]
    if data[: len(_HEADER)] != _HEADER:
        raise _RefusedError("it is not a checkpoint of this version")
    if hashlib.sha256(content).digest() != data[len(_HEADER) : start]:
        raise _RefusedError("it is damaged (SHA-256)")
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise _RefusedError(f"it cannot be read: {error}") from error
    if found["subject"] != subject or found["slot"] != slot:
        raise _RefusedError("it is of another training")
    state: State = found["state"]
    return state
