"""Signatures by the Standard Webhooks specification."""

import base64
import time

import pytest

from components.registration.hooks.signing import (
    SignatureRefused,
    read_secrets,
    signature,
    verify,
)
from components.shared.errors import UserError

# The vector that the specification's own libraries are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OLD_KEY = b"an older secret of 24 or more"
OLD = f"whsec_{base64.b64encode(OLD_KEY).decode()}"


def delivery(secrets: str = SECRET, sent: float | None = None) -> dict[str, str]:
    timestamp = int(time.time() if sent is None else sent)
    return {
        "Webhook-Id": ID,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": signature(ID, timestamp, BODY, read_secrets(secrets, "test")),
    }


def test_signature_is_the_one_of_the_specification():
    assert signature(ID, SENT, BODY, read_secrets(SECRET, "test")) == SIGNATURE


def test_each_secret_signs_so_that_one_can_be_replaced():
    both = signature(ID, SENT, BODY, read_secrets(f"{SECRET}\n {OLD}", "test"))

    assert both.split() == [SIGNATURE, signature(ID, SENT, BODY, [OLD_KEY])]


@pytest.mark.parametrize("known", [SECRET, OLD])
def test_receiver_with_either_secret_takes_a_delivery_signed_with_both(known):
    headers = delivery(f"{SECRET} {OLD}")

    assert verify(headers, BODY, read_secrets(known, "test")) == ID


def test_receiver_with_both_secrets_takes_a_delivery_signed_with_the_old_one():
    assert verify(delivery(), BODY, read_secrets(f"{OLD} {SECRET}", "test")) == ID


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({}, BODY + b" "),
        ({"Webhook-Id": "another"}, BODY),
        ({"Webhook-Signature": "v1,AAAA"}, BODY),
        ({"Webhook-Signature": SIGNATURE}, BODY),  # of another time
        ({"Webhook-Signature": "vérifié"}, BODY),
        ({"Webhook-Signature": ""}, BODY),
    ],
)
def test_receiver_refuses_what_was_changed(changed, body):
    with pytest.raises(SignatureRefused, match="no signature fits"):
        verify(delivery() | changed, body, read_secrets(SECRET, "test"))


def test_receiver_refuses_a_time_that_was_changed():
    headers = delivery()
    headers["Webhook-Timestamp"] = str(int(headers["Webhook-Timestamp"]) - 1)

    with pytest.raises(SignatureRefused, match="no signature fits"):
        verify(headers, BODY, read_secrets(SECRET, "test"))


def test_receiver_refuses_a_signature_of_another_kind():
    headers = delivery()
    headers["Webhook-Signature"] = headers["Webhook-Signature"].replace("v1,", "v1a,")

    with pytest.raises(SignatureRefused, match="no signature fits"):
        verify(headers, BODY, read_secrets(SECRET, "test"))


def test_receiver_refuses_who_has_another_secret():
    with pytest.raises(SignatureRefused, match="no signature fits"):
        verify(delivery(OLD), BODY, read_secrets(SECRET, "test"))


@pytest.mark.parametrize(
    "headers", [{}, {"Webhook-Timestamp": "yesterday"}, {"Webhook-Timestamp": "9" * 5000}]
)
def test_receiver_refuses_what_is_not_signed(headers):
    with pytest.raises(SignatureRefused, match="no webhook-id, -timestamp or -signature"):
        verify({"Webhook-Id": ID, **headers}, BODY, read_secrets(SECRET, "test"))


@pytest.mark.parametrize("age_s", [-400, 400])
def test_receiver_refuses_a_replay_and_a_date_in_the_future(age_s):
    headers = delivery(sent=time.time() - age_s)

    with pytest.raises(SignatureRefused, match="300 s"):
        verify(headers, BODY, read_secrets(SECRET, "test"))
    assert verify(headers, BODY, read_secrets(SECRET, "test"), tolerance_s=500) == ID


def test_receiver_refuses_a_time_of_more_digits_than_a_number_has():
    with pytest.raises(SignatureRefused, match="300 s"):
        verify(delivery() | {"Webhook-Timestamp": "9" * 400}, BODY, read_secrets(SECRET, "test"))


def test_prefix_of_a_secret_may_be_left_out_as_libraries_of_the_specification_have_it():
    bare = SECRET.removeprefix("whsec_")

    assert read_secrets(bare, "test") == read_secrets(SECRET, "test") == [base64.b64decode(bare)]


@pytest.mark.parametrize("length", [24, 64])
def test_secret_has_the_lengths_of_the_specification(length):
    assert read_secrets(base64.b64encode(b"k" * length).decode(), "test") == [b"k" * length]


def test_padding_of_a_secret_may_be_left_out():
    key = b"0123456789012345678901234"  # 25 bytes: two padding characters
    padded = f"whsec_{base64.b64encode(key).decode()}"

    assert padded.endswith("==")
    assert read_secrets(padded, "test") == read_secrets(padded.rstrip("="), "test") == [key]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no secret"),
        (" \n", "holds no secret"),
        ("aHVudGVyMmh1bnRlcjI=", "24 to 64 bytes, not 14"),
        ("whsec_aHVudGVyMmh1bnRlcjI=", "24 to 64 bytes, not 14"),
        ("hunter22" * 11, "24 to 64 bytes, not 66"),
        ("whsec_hunter2!hunter2!hunter2!hunter2!", "should be base64"),
        ("hunter2-hunter2-hunter2-hunter2", "should be base64"),
        ("whsec_hunter2hunter2hunter2hunter2\u200b", "should be base64"),
        (f"{SECRET} hunter2hunter2hu", "24 to 64 bytes"),
    ],
)
def test_unusable_secret_is_refused_without_repeating_it(text, expected):
    with pytest.raises(UserError, match="the variable HOOK") as caught:
        read_secrets(text, "the variable HOOK")

    assert expected in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVy" not in str(caught.value)
    assert caught.value.__cause__ is None
