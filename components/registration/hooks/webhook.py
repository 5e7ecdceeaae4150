"""Delivering an event to a webhook: signed, retried, and never an error of who moves the alias."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
import tenacity

from components.registration.hooks.cloud_event import CONTENT_TYPE, Event
from components.registration.hooks.signing import read_secrets, signature
from components.shared.errors import UserError
from components.shared.recipe.hooks import WebhookSpec

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_LONGEST_RETRY_AFTER_S = 60.0
"""What a receiver may ask for; the promotion's step waits so long at most between two attempts."""
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Besides all of 500 and above."""
_OF_THE_RECEIVER = frozenset(
    {
        HTTPStatus.BAD_REQUEST,  # also what receivers answer to a signature that is not theirs
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.GONE,
    }
)
"""Answers that say nothing of the event: another one would be answered in the same way."""


@dataclass(frozen=True)
class Delivery:
    """What became of an event at one receiver."""

    url: str
    event_id: str
    delivered: bool
    attempts: int
    reason: str
    """One line, without secrets."""
    refused: bool = False
    """Whether the receiver takes this event at no time, but may take others."""


@dataclass(frozen=True)
class _Outcome:
    """Of one attempt."""

    reason: str
    delivered: bool = False
    again: bool = False
    """Whether another attempt may end otherwise."""
    refused: bool = False
    retry_after_s: float = 0.0


def secrets_of(webhook: WebhookSpec, environment: Mapping[str, str] = os.environ) -> list[bytes]:
    """The keys that sign what is sent to a webhook.

    Raises:
        UserError: the variable is not set, or holds no usable secret.
    """
    name = webhook.secret_env
    if not environment.get(name, "").strip():
        raise UserError(
            f"the environment variable {name}, which signs events for {webhook.url}, is not set"
        )
    return read_secrets(environment[name], f"the environment variable {name}")


def check_hooks(
    webhooks: Sequence[WebhookSpec], environment: Mapping[str, str] = os.environ
) -> None:
    """See, before anything is moved, that every event could be signed.

    Raises:
        UserError: a secret is missing or unusable.
    """
    for webhook in webhooks:
        secrets_of(webhook, environment)


def deliver(
    webhook: WebhookSpec,
    event: Event,
    environment: Mapping[str, str] = os.environ,
    pause: Callable[[float], None] = time.sleep,
) -> Delivery:
    """Post an event, until the receiver takes it or the attempts are used up.

    It is taken by any answer of 200 to 299. Connections that fail, time-outs, 408, 429 and 5xx are
    tried again, after a pause that doubles, or that ``Retry-After`` asks for (a minute at most).
    Redirects are not followed: they would lead the event elsewhere.

    Args:
        webhook: the receiver.
        event: what to send.
        environment: where its secret is.
        pause: waits so many seconds.

    Returns:
        Whether it was delivered, or why not; nothing is raised.
    """
    try:
        secrets = secrets_of(webhook, environment)
    except UserError as error:
        return Delivery(webhook.url, event.id, delivered=False, attempts=0, reason=str(error))
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(webhook.attempts),
        wait=_pause,
        retry=tenacity.retry_if_result(lambda outcome: outcome.again),
        retry_error_callback=_last,
        sleep=pause,
    )
    outcome: _Outcome = retrying(_attempt, webhook, event, secrets)
    attempts = retrying.statistics["attempt_number"]
    return Delivery(
        webhook.url, event.id, outcome.delivered, attempts, outcome.reason, outcome.refused
    )


def refuses_event(status: int) -> bool:
    """Whether an answer turns down the event itself, so that it would be in the way of later ones.

    So do 413 or 422, and all of 400 to 499 but those that are about the receiver, its credentials
    or the moment: 400, 401, 403, 404, 405, 407, 408, 410 and 429.
    """
    return 400 <= status < 500 and status not in _AGAIN | _OF_THE_RECEIVER


def _attempt(webhook: WebhookSpec, event: Event, secrets: Sequence[bytes]) -> _Outcome:
    """Post once. The answer's body is not read: it could be endless, and decides nothing."""
    timestamp = int(time.time())
    headers = {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "kubedistill",
        "Idempotency-Key": event.id,
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(event.id, timestamp, event.body, secrets),
    }
    try:
        with requests.post(
            webhook.url,
            data=event.body,
            headers=headers,
            timeout=webhook.timeout_s,
            allow_redirects=False,
            stream=True,
            auth=_no_authentication,
        ) as response:
            return _judge(response)
    except requests.Timeout:
        return _Outcome(f"no answer within {webhook.timeout_s:g} s", again=True)
    except requests.exceptions.SSLError:
        return _Outcome("no TLS connection: is its certificate of a known authority?", again=True)
    except requests.ConnectionError:
        return _Outcome("no connection, or it was cut before the answer", again=True)
    except OSError as error:  # what else requests raises, and certificates that cannot be read
        return _Outcome(f"the event could not be sent ({type(error).__name__})")


def _judge(response: requests.Response) -> _Outcome:
    status = response.status_code
    answer = f"answered {status}{_phrase(status)}"
    if 200 <= status < 300:
        return _Outcome(answer, delivered=True)
    if 300 <= status < 400:
        return _Outcome(f"{answer}; redirects are not followed: give the URL that it leads to")
    if status == HTTPStatus.GONE:
        return _Outcome(f"{answer}: it wants no more events; take it out of registry.webhooks")
    return _Outcome(
        answer,
        again=status in _AGAIN or status >= 500,
        refused=refuses_event(status),
        retry_after_s=_seconds(response.headers.get("Retry-After", "")),
    )


def _phrase(status: int) -> str:
    """The standard's own words; the receiver's could be anything."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _seconds(retry_after: str) -> float:
    """How long a receiver asks to wait, within bounds; 0 where it does not, or not readably."""
    try:
        asked = float(retry_after) if retry_after.strip().isdecimal() else _until(retry_after)
    except (ValueError, OverflowError):  # a year of any number of digits
        return 0.0
    return min(max(asked, 0.0), _LONGEST_RETRY_AFTER_S)


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


_backoff = tenacity.wait_exponential_jitter(
    initial=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S, jitter=_FIRST_PAUSE_S
)


def _pause(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: at least what the receiver asked for."""
    return max(_backoff(state), _last(state).retry_after_s)


def _last(state: tenacity.RetryCallState) -> _Outcome:
    if state.outcome is None:
        raise AssertionError("asked before the first attempt")
    outcome: _Outcome = state.outcome.result()
    return outcome


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from sending a password that it finds in ``~/.netrc``."""
    return request
