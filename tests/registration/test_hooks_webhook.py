"""Webhooks, delivered to a real receiver on this machine."""

import base64
import hashlib
import hmac
import json
import logging
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hooks_history import ORIGIN, write_history
from hooks_receiver import Receiver, free_port, self_signed

from components.registration.hooks.cloud_event import event_of_move
from components.registration.hooks.signing import read_secrets, verify
from components.registration.hooks.webhook import check_hooks, deliver
from components.shared.errors import UserError
from components.shared.recipe.hooks import WebhookSpec

KEY = b"a key of thirty-two random bytes"
ENVIRONMENT = {"KUBEDISTILL_WEBHOOK_SECRET": f"whsec_{base64.b64encode(KEY).decode()}"}
EVENT = event_of_move(write_history()[1], ORIGIN)


@pytest.fixture
def receiver():
    with Receiver(free_port()).listening() as found:
        yield found


class Pauses:
    """Does not wait, and remembers for how long it would have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def post(receiver: Receiver, pause=None, **fields):
    webhook = WebhookSpec(url=receiver.url, **fields)
    return deliver(webhook, EVENT, ENVIRONMENT, pause or Pauses())


def test_delivery_is_a_signed_cloud_event(receiver):
    before = int(time.time())

    delivery = post(receiver)

    assert (delivery.delivered, delivery.attempts) == (True, 1)
    assert (delivery.reason, delivery.event_id) == ("answered 204 No Content", EVENT.id)
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/models", EVENT.body)
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == EVENT.id
    assert before <= int(request.headers["webhook-timestamp"]) <= time.time()
    assert json.loads(request.body)["id"] == EVENT.id


def test_signature_can_be_checked_with_nothing_but_the_specification(receiver):
    post(receiver)

    (request,) = receiver.requests
    content = b".".join(
        [
            request.headers["webhook-id"].encode(),
            request.headers["webhook-timestamp"].encode(),
            request.body,
        ]
    )
    digest = hmac.digest(KEY, content, hashlib.sha256)
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_receiver_can_use_verify(receiver):
    post(receiver)

    (request,) = receiver.requests
    secrets = read_secrets(ENVIRONMENT["KUBEDISTILL_WEBHOOK_SECRET"], "test")
    assert verify(request.headers, request.body, secrets) == EVENT.id


@pytest.mark.parametrize("answer", [408, 429, 500, 502, 503, 504, "cut"])
def test_passing_failure_is_tried_again_with_the_same_id(receiver, answer):
    receiver.answers = [answer, answer]

    delivery = post(receiver)

    assert (delivery.delivered, delivery.attempts) == (True, 3)
    assert {request.headers["webhook-id"] for request in receiver.requests} == {EVENT.id}
    assert {request.body for request in receiver.requests} == {EVENT.body}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (400, "answered 400 Bad Request"),
        (401, "answered 401 Unauthorized"),
        (404, "answered 404 Not Found"),
        (410, "answered 410 Gone: it wants no more events"),
        (499, "answered 499"),
    ],
)
def test_refusal_is_final(receiver, answer, reason):
    receiver.answers = [answer]

    delivery = post(receiver)

    assert (delivery.delivered, delivery.attempts, len(receiver.requests)) == (False, 1, 1)
    assert delivery.reason.startswith(reason)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(receiver, status):
    elsewhere = Receiver(free_port())
    receiver.answers = [(status, {"Location": elsewhere.url})]

    with elsewhere.listening():
        delivery = post(receiver)

    assert (delivery.delivered, delivery.attempts) == (False, 1)
    assert "redirects are not followed" in delivery.reason
    assert elsewhere.requests == []


def test_attempts_end_and_pauses_between_them_grow(receiver):
    receiver.answers = [503] * 9
    pauses = Pauses()

    delivery = post(receiver, pauses, attempts=6)

    assert (delivery.delivered, delivery.attempts, len(receiver.requests)) == (False, 6, 6)
    assert delivery.reason == "answered 503 Service Unavailable"
    assert len(pauses.seconds) == 5
    for doubled, seconds in enumerate(pauses.seconds):
        assert 0.5 * 2**doubled <= seconds <= 0.5 * 2**doubled + 0.5


def test_pauses_of_two_senders_differ(receiver):
    receiver.answers = [503, 204, 503]
    one, other = Pauses(), Pauses()

    post(receiver, one)
    post(receiver, other)

    assert one.seconds != other.seconds


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("3600", 60, 60),
        (timedelta(days=1), 60, 60),
        (timedelta(days=-1), 0.5, 1),
        (f"Mon, 01 Jan {'9' * 400} 00:00:00 GMT", 0.5, 1),
        ("-5", 0.5, 1),
        ("soon", 0.5, 1),
        ("1e9", 0.5, 1),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_within_bounds(receiver, status, asked, least, most):
    if isinstance(asked, timedelta):
        asked = format_datetime(datetime.now(UTC) + asked, usegmt=True)
    receiver.answers = [(status, {"Retry-After": asked})]
    pauses = Pauses()

    assert post(receiver, pauses).delivered
    assert least <= pauses.seconds[0] <= most


def test_retry_after_is_really_waited_for(receiver):
    receiver.answers = [(429, {"Retry-After": "1"})]

    assert post(receiver, time.sleep).delivered
    first, second = receiver.requests
    assert second.at - first.at >= 1


def test_silent_receiver_is_given_up_after_the_time_out(receiver):
    receiver.answers = ["silence"]

    delivery = post(receiver, timeout_s=0.2, attempts=1)

    assert not delivery.delivered
    assert delivery.reason == "no answer within 0.2 s"


def test_slow_receiver_gets_the_same_event_again(receiver):
    receiver.answers = ["silence"]

    delivery = post(receiver, timeout_s=1, attempts=9)

    assert delivery.delivered
    assert delivery.attempts == len(receiver.requests) >= 2
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


def test_receiver_that_comes_back_between_two_attempts_gets_the_event():
    receiver = Receiver(free_port())
    with ExitStack() as stack:
        delivery = deliver(
            WebhookSpec(url=receiver.url),
            EVENT,
            ENVIRONMENT,
            pause=lambda seconds: stack.enter_context(receiver.listening()),
        )

    assert (delivery.delivered, delivery.attempts) == (True, 2)
    assert len(receiver.requests) == 1


def test_receiver_that_stays_down_is_a_failure_and_no_error():
    webhook = WebhookSpec(url=f"http://127.0.0.1:{free_port()}")

    delivery = deliver(webhook, EVENT, ENVIRONMENT, Pauses())

    assert (delivery.delivered, delivery.attempts) == (False, 4)
    assert delivery.reason == "no connection, or it was cut before the answer"


def test_endless_answer_is_not_read(receiver):
    receiver.answers = ["endless body"]
    start = time.monotonic()

    delivery = post(receiver, attempts=1)

    assert delivery.reason == "answered 500 Internal Server Error"
    assert time.monotonic() - start < 5


def test_certificate_of_nobody_is_not_trusted(tmp_path):
    with Receiver(free_port(), certificate=self_signed(tmp_path)).listening() as receiver:
        delivery = post(receiver, attempts=1)

    assert not delivery.delivered
    assert "TLS" in delivery.reason
    assert receiver.requests == []


def test_certificate_that_the_environment_trusts_is_trusted(tmp_path, monkeypatch):
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    with Receiver(free_port(), certificate=certificate).listening() as receiver:
        assert post(receiver).delivered


def test_certificates_that_cannot_be_read_are_a_failure_and_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    webhook = WebhookSpec(url="https://127.0.0.1", attempts=1)

    delivery = deliver(webhook, EVENT, ENVIRONMENT)

    assert not delivery.delivered
    assert delivery.reason == "the event could not be sent (OSError)"


def test_password_of_netrc_is_not_sent(receiver, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert post(receiver).delivered
    assert "authorization" not in receiver.requests[0].headers


def test_secret_is_in_no_log_no_request_and_no_result(receiver, caplog):
    bare = base64.b64encode(b"a key without any prefix").decode()
    secrets = f"{ENVIRONMENT['KUBEDISTILL_WEBHOOK_SECRET']} {bare}"
    receiver.answers = [500, "cut", 429, 400]

    # Clients of other servers may have set urllib3's own level.
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "urllib3"):
        delivery = deliver(
            WebhookSpec(url=receiver.url),
            EVENT,
            {"KUBEDISTILL_WEBHOOK_SECRET": secrets},
            Pauses(),
        )

    assert caplog.text  # urllib3 tells of its connections
    sent = "".join(f"{request.headers}{request.body!r}" for request in receiver.requests)
    for text in (caplog.text, repr(delivery), sent):
        assert bare not in text
        assert base64.b64encode(KEY).decode() not in text
        assert KEY.decode() not in text


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "KUBEDISTILL_WEBHOOK_SECRET, which signs events for .*, is not set"),
        ({"KUBEDISTILL_WEBHOOK_SECRET": " "}, "is not set"),
        ({"KUBEDISTILL_WEBHOOK_SECRET": "hunter22"}, "24 to 64 bytes"),
        ({"KUBEDISTILL_WEBHOOK_SECRET": "whsec_hunter2\u200b"}, "should be base64"),
    ],
)
def test_missing_secret_is_found_before_anything_moves(receiver, environment, expected):
    webhook = WebhookSpec(url=receiver.url)

    with pytest.raises(UserError, match=expected) as caught:
        check_hooks([webhook], environment)
    assert "hunter2" not in str(caught.value)
    check_hooks([webhook], ENVIRONMENT)
    check_hooks([], {})

    delivery = deliver(webhook, EVENT, environment)
    assert (delivery.delivered, delivery.attempts, receiver.requests) == (False, 0, [])
    assert "hunter2" not in delivery.reason


def test_each_webhook_has_the_secret_that_it_names(receiver):
    key = b"the key of the deployer, of 32 b"
    environment = ENVIRONMENT | {"DEPLOYER": base64.b64encode(key).decode()}

    deliver(WebhookSpec(url=receiver.url, secret_env="DEPLOYER"), EVENT, environment)  # noqa: S106

    (request,) = receiver.requests
    assert verify(request.headers, request.body, [key]) == EVENT.id
