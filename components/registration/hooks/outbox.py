"""Which moves a receiver has still to be told of: at least once each, in their order.

The history of the alias is the outbox. Beside it, each receiver has a cursor: the sequence number
of the last move that it was told of. So what a crash or an outage kept from being sent is sent by
the next command.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from components.registration.hooks.cloud_event import Event, event_name
from components.registration.hooks.webhook import Delivery
from components.registration.promotion.moves import Entry
from components.shared.files import sha256_bytes
from components.shared.recipe.hooks import EventName

Cursors = Mapping[str, int]
"""Sequence number of the last move that a receiver was told of, by :func:`hook_key`."""
_KEY_LENGTH = 16


class Receiver(Protocol):
    """Who is told: a webhook of the recipe, or the namespace around a pod."""

    @property
    def url(self) -> str:
        """Names it."""

    @property
    def events(self) -> Sequence[EventName]:
        """What it is told of."""


ReceiverT = TypeVar("ReceiverT", bound=Receiver)


@dataclass(frozen=True)
class Dispatch:
    """What was sent, and what has still to be."""

    cursors: dict[str, int]
    deliveries: list[Delivery]


def hook_key(receiver: Receiver) -> str:
    """Names a receiver in the cursors: hex digits that follow from its URL."""
    return sha256_bytes(receiver.url.encode())[:_KEY_LENGTH]


def enrol(receivers: Sequence[Receiver], cursors: Cursors, last: int) -> dict[str, int]:
    """The cursors with those of new receivers: they are told of what comes after move ``last``.

    To be kept before the first move that they are to be told of, or a crash would lose it. A
    receiver that was listed today is not told of what was promoted last year, and may act on it.
    """
    return {hook_key(receiver): last for receiver in receivers} | dict(cursors)


def due(receiver: Receiver, entries: Sequence[Entry], cursors: Cursors) -> list[Entry]:
    """The moves that a receiver has still to be told of, the first one first."""
    cursor = cursors.get(hook_key(receiver), 0)
    waiting = [
        entry
        for entry in entries
        if entry.move.sequence > cursor and event_name(entry.move) in receiver.events
    ]
    return sorted(waiting, key=lambda entry: entry.move.sequence)


def dispatch(
    receivers: Sequence[ReceiverT],
    entries: Sequence[Entry],
    cursors: Cursors,
    event_of: Callable[[Entry], Event | None],
    send: Callable[[ReceiverT, Event], Delivery],
) -> Dispatch:
    """Tell each receiver of what is due; one that fails is told of nothing after that.

    An event that a receiver refuses is passed over: it would keep all later ones from it.

    Args:
        receivers: who is told.
        entries: the history of the alias, as far as its moves are done.
        cursors: from :func:`enrol`, or from the dispatch before.
        event_of: the event of a move.
        send: tells a receiver of an event.

    Returns:
        The cursors to keep, those of other receivers included, and what became of each event.
    """
    after = dict(cursors)
    deliveries: list[Delivery] = []
    last = max((entry.move.sequence for entry in entries), default=0)
    for receiver in receivers:
        key = hook_key(receiver)
        for entry in due(receiver, entries, cursors):
            event = event_of(entry)
            if event is None:
                continue
            delivery = send(receiver, event)
            deliveries.append(delivery)
            if not (delivery.delivered or delivery.refused):
                break
            after[key] = entry.move.sequence
        else:
            # What it does not want to know of is behind it as well.
            after[key] = max(last, cursors.get(key, 0))
    return Dispatch(after, deliveries)
