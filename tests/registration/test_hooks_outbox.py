"""Who has still to be told of which move."""

from functools import partial

import pytest
from hooks_history import ORIGIN, write_history
from hooks_receiver import Receiver, free_port
from hypothesis import given
from hypothesis import strategies as st

from components.registration.hooks.cloud_event import event_of_move
from components.registration.hooks.outbox import dispatch, due, enrol, hook_key
from components.registration.hooks.webhook import Delivery, deliver
from components.shared.recipe.hooks import WebhookSpec

HISTORY = write_history()
LAST = len(HISTORY)
ENVIRONMENT = {"KUBEDISTILL_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
FAILING = [404]
"""An answer that ends the attempts at once."""


def event_of(entry):
    return event_of_move(entry, ORIGIN)


def ids(*sequences: int) -> list[str]:
    return [event_of(HISTORY[sequence - 1]).id for sequence in sequences]


def received(receiver: Receiver) -> list[str]:
    return [request.headers["webhook-id"] for request in receiver.requests]


def send(webhooks, cursors, entries=HISTORY):
    return dispatch(webhooks, entries, cursors, event_of, partial(deliver, environment=ENVIRONMENT))


@pytest.fixture
def receiver():
    with Receiver(free_port()).listening() as found:
        yield found


@pytest.fixture
def webhook(receiver):
    return WebhookSpec(url=receiver.url)


def test_moves_are_told_in_their_order_and_once(receiver, webhook):
    first = send([webhook], {hook_key(webhook): 0})
    second = send([webhook], first.cursors)

    assert received(receiver) == ids(2, 4, 5, 6, 7, 8)
    assert all(delivery.delivered for delivery in first.deliveries)
    assert first.cursors == {hook_key(webhook): LAST}
    assert (second.deliveries, second.cursors) == ([], first.cursors)


def test_failure_stops_a_webhook_and_the_next_command_goes_on_from_there(receiver, webhook):
    receiver.answers = [204, *FAILING]

    first = send([webhook], {})

    assert received(receiver) == ids(2, 4)
    assert [delivery.delivered for delivery in first.deliveries] == [True, False]
    assert first.cursors == {hook_key(webhook): 2}

    second = send([webhook], first.cursors)

    assert received(receiver) == ids(2, 4, 4, 5, 6, 7, 8)
    assert second.cursors == {hook_key(webhook): LAST}


@pytest.mark.parametrize("refusal", [402, 413, 422])
def test_event_that_the_receiver_refuses_keeps_no_later_one_from_it(receiver, webhook, refusal):
    receiver.answers = [204, refusal]

    result = send([webhook], {})

    assert received(receiver) == ids(2, 4, 5, 6, 7, 8)
    assert [delivery.event_id for delivery in result.deliveries if delivery.refused] == ids(4)
    assert result.cursors == {hook_key(webhook): LAST}


def test_last_event_that_is_refused_is_not_sent_again(receiver, webhook):
    receiver.answers = [422]

    assert send([webhook], {}, HISTORY[:2]).cursors == {hook_key(webhook): 2}


@pytest.mark.parametrize("answer", [401, 403, 404, 405, 407, 410])
def test_answer_about_the_receiver_keeps_the_event_for_later(receiver, webhook, answer):
    receiver.answers = [answer]

    result = send([webhook], {hook_key(webhook): 1})

    assert (received(receiver), result.cursors) == (ids(2), {hook_key(webhook): 1})


def test_first_failure_leaves_the_cursor_where_it_was(receiver, webhook):
    receiver.answers = [*FAILING]

    assert send([webhook], {hook_key(webhook): 3}).cursors == {hook_key(webhook): 3}


def test_crash_before_the_cursor_was_kept_repeats_events_under_their_ids(receiver, webhook):
    send([webhook], {}, HISTORY[:4])
    send([webhook], {}, HISTORY[:4])  # the cursors of the first were lost

    assert received(receiver) == ids(2, 4, 2, 4)


def test_webhook_that_fails_keeps_no_other_one_waiting(receiver, webhook):
    down = WebhookSpec(url=f"http://127.0.0.1:{free_port()}", attempts=1)

    result = send([down, webhook], enrol([down, webhook], {}, last=6))

    assert received(receiver) == ids(7, 8)
    assert result.cursors == {hook_key(down): 6, hook_key(webhook): LAST}


def test_webhook_gets_only_the_events_that_it_lists(receiver):
    webhook = WebhookSpec(url=receiver.url, events=["rolled_back", "rejected"])

    result = send([webhook], {})

    assert received(receiver) == ids(6, 7)
    assert result.cursors == {hook_key(webhook): LAST}


def test_webhook_that_waits_for_other_events_still_gets_on(receiver):
    webhook = WebhookSpec(url=receiver.url, events=["rolled_back"])

    result = send([webhook], {}, HISTORY[:6])

    assert result.deliveries == []
    assert result.cursors == {hook_key(webhook): 6}


def test_new_webhook_is_not_told_of_old_moves(webhook):
    old = WebhookSpec(url="https://example.org/old")

    cursors = enrol([old, webhook], {hook_key(old): 2, "removed": 1}, last=7)

    assert cursors == {hook_key(old): 2, hook_key(webhook): 7, "removed": 1}
    assert [entry.move.sequence for entry in due(webhook, HISTORY, cursors)] == [8]
    assert enrol([old, webhook], cursors, last=8) == cursors


def test_cursors_of_webhooks_that_this_command_does_not_know_are_kept(webhook):
    assert send([webhook], {"other": 3}).cursors == {"other": 3, hook_key(webhook): LAST}
    assert send([], {"other": 3}).cursors == {"other": 3}


def test_cursor_never_goes_back(webhook):
    assert send([webhook], {hook_key(webhook): LAST}, HISTORY[:3]).cursors == {
        hook_key(webhook): LAST
    }


def test_key_follows_from_the_url_alone():
    webhook = WebhookSpec(url="https://example.org/a")
    same = WebhookSpec(url="https://example.org/a", events=["promoted"], attempts=1)
    other = WebhookSpec(url="https://example.org/b")

    assert hook_key(webhook) == hook_key(same) == "b5b10dd0429e69ac"
    assert hook_key(other) != hook_key(webhook)


@given(st.lists(st.booleans(), max_size=30), st.permutations(HISTORY))
def test_whatever_fails_every_move_is_told_at_last_and_in_order(outcomes, entries):
    taken: list[str] = []
    plan = iter(outcomes)

    def unreliable(webhook, event):
        delivered = next(plan, True)
        if delivered:
            taken.append(event.id)
        return Delivery(webhook.url, event.id, delivered, 1, "")

    webhook = WebhookSpec(url="https://example.org")
    cursors: dict[str, int] = {}
    for _ in range(len(outcomes) + 1):
        cursors = dispatch([webhook], entries, cursors, event_of, unreliable).cursors

    assert taken == ids(2, 4, 5, 6, 7, 8)
    assert cursors == {hook_key(webhook): LAST}
