"""Signatures of the Standard Webhooks specification 1.0: HMAC-SHA256 with shared secrets."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from components.shared.errors import UserError

_PREFIX = "whsec_"
_LEAST_BYTES = 24
_MOST_BYTES = 64
"""What the specification lets a secret have."""
_VERSION = "v1"
TOLERANCE_S = 300.0
"""How far the clocks of sender and receiver may be apart, and how old a delivery may be."""


class SignatureRefused(Exception):  # noqa: N818 - reads as an event
    """A delivery is not from who has the secret, was changed, or is too old."""


def read_secrets(text: str, where: str) -> list[bytes]:
    """The keys that a variable or file holds, the one to use first.

    Args:
        text: secrets with white space between them: base64, as the specification has it, with
            ``whsec_`` before it or without.
        where: what is named in an error; the secret is not.

    Raises:
        UserError: there is none, one is too short or too long, or is not base64.
    """
    secrets = [_read_secret(word, where) for word in text.split()]
    if not secrets:
        raise UserError(f"{where}: holds no secret; {_ADVICE}")
    return secrets


_ADVICE = "make one with: echo whsec_$(openssl rand -base64 32)"


def _read_secret(word: str, where: str) -> bytes:
    encoded = word.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:  # also where a character is none of ASCII
        # Not chained: the cause may tell a part of the secret.
        raise UserError(
            f"{where}: a secret should be base64, with {_PREFIX} before it or without; {_ADVICE}"
        ) from None
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise UserError(
            f"{where}: a secret should be base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes, not "
            f"{len(key)}; {_ADVICE}"
        )
    return key


def signature(event_id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]) -> str:
    """The header ``webhook-signature``: one signature for each secret.

    Args:
        event_id: the header ``webhook-id``.
        timestamp: the header ``webhook-timestamp``, seconds since the epoch.
        body: as it is sent.
        secrets: keys, from :func:`read_secrets`.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"{_VERSION},{base64.b64encode(digest).decode()}" for digest in digests)


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[bytes],
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """What a receiver does first: see that a delivery is genuine, whole and fresh.

    Args:
        headers: of the request, in any case.
        body: as it came, before it is parsed.
        secrets: keys, from :func:`read_secrets`; one has to fit.
        tolerance_s: how far the time of sending may be from this machine's.

    Returns:
        The event's id, the same at every delivery of the event.

    Raises:
        SignatureRefused: it is not.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, sent = found["webhook-id"], int(found["webhook-timestamp"])
        signatures = found["webhook-signature"].split()
    except (KeyError, ValueError):
        raise SignatureRefused("no webhook-id, -timestamp or -signature") from None
    # Whole seconds: a time of any number of digits can be compared, but is not always a float.
    if abs(int(time.time()) - sent) > tolerance_s:
        raise SignatureRefused(f"sent more than {tolerance_s:g} s ago, or in the future")
    expected = signature(event_id, sent, body, secrets).encode().split()
    # All are compared, and each in constant time, so that the time tells nothing.
    matches = [hmac.compare_digest(given.encode(), own) for given in signatures for own in expected]
    if not any(matches):
        raise SignatureRefused("no signature fits")
    return event_id
