"""Asking a server, patiently: time limits, retries with back-off, a pace and a budget."""

import os
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay

from components.shared import events
from components.shared.errors import UserError
from components.shared.recipe.teacher import Budget
from components.shared.teacher import EndpointLimits
from components.soft_labels.teachers.inference_protocol import error_message
from components.soft_labels.teachers.spending import Pace, Spending

_TRANSIENT = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_ACCESS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CONNECT_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 30.0
_NO_LIMIT = Budget.model_construct(requests=None, rows=None, seconds=None)


class EndpointFailed(Exception):  # noqa: N818 - reads as an event
    """The endpoint was out of reach, or out of order, for longer than retries last."""


class _Transient(Exception):  # noqa: N818 - reads as an adjective
    """What may be gone the next time."""

    def __init__(self, problem: str, wait_s: float = 0.0) -> None:
        super().__init__(problem)
        self.wait_s = wait_s
        """What the server asks for."""


class EndpointClient:
    """One server, for several threads."""

    def __init__(self, url: str, limits: EndpointLimits) -> None:
        """Connect to nothing yet.

        Args:
            url: of the server, above ``/v2``.
            limits: of its use.

        Raises:
            UserError: the token is not in the environment.
        """
        self._url, self._limits = url, limits
        self._pace = Pace(limits.max_rows_per_s)
        self._spending = Spending(limits.budget or _NO_LIMIT)
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=limits.concurrency)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        if limits.token_env is not None:
            self._session.headers["Authorization"] = f"Bearer {_token(limits.token_env)}"

    def wait_until_ready(self, path: str) -> None:
        """Return once the model at a path is loaded.

        Raises:
            UserError: there is none.
            EndpointFailed: it was not in time.
        """

        def attempt(_: int) -> None:
            answer = self._send("GET", f"{path}/ready")
            unready = answer.status_code == HTTPStatus.BAD_REQUEST  # Triton's way to say so
            if unready:
                raise _Transient(f"the model is not ready: {error_message(answer.content)}")
            self._refuse(f"{self._url}/{path}/ready", answer)

        self._patiently(path, attempt)

    def get(self, path: str) -> Any:
        """What the server says at a path, parsed.

        Raises:
            UserError: the request is wrong, or the answer is no JSON.
            EndpointFailed: there was no answer in time.
        """
        return self._patiently(path, lambda _: self._once("GET", path))

    def infer(self, path: str, body: bytes, rows: int) -> Any:
        """What the server says of some rows, parsed.

        Args:
            path: of the model.
            body: the request.
            rows: that are in it.

        Raises:
            BudgetSpent: the budget does not allow it.
            UserError: the request is wrong, or the answer is no JSON.
            EndpointFailed: there was no answer in time.
        """

        def attempt(number: int) -> Any:
            if number > 1:
                self._wait_for_turn(rows)
            self._spending.start(rows if number == 1 else 0)
            started, answered = time.monotonic(), 0
            try:
                answer = self._once("POST", f"{path}/infer", body)
                answered = rows
            finally:
                self._spending.end(time.monotonic() - started, answered)
            return answer

        self._wait_for_turn(rows)  # which is no time of trying
        return self._patiently(path, attempt)

    def _wait_for_turn(self, rows: int) -> None:
        time.sleep(self._pace.delay(rows, time.monotonic()))

    def _patiently(self, path: str, attempt: Callable[[int], Any]) -> Any:
        retrying = Retrying(
            retry=retry_if_exception_type(_Transient),
            stop=stop_before_delay(self._limits.retry_for_s),
            wait=_wait,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            for trial in retrying:
                with trial:
                    return attempt(trial.retry_state.attempt_number)
        except _Transient as error:
            raise EndpointFailed(
                f"the endpoint {self._url}/{path} gave no answer, with retries for "
                f"{self._limits.retry_for_s:g} s; the last error: {error}"
            ) from error
        raise AssertionError("tenacity ends in a result or an exception")

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        events.emit(
            "endpoint_retry",
            url=self._url,
            attempt=state.attempt_number,
            wait_s=round(state.upcoming_sleep, 2),
            error=str(error),
        )

    def _once(self, method: str, path: str, body: bytes | None = None) -> Any:
        answer, url = self._send(method, path, body), f"{self._url}/{path}"
        self._refuse(url, answer)
        try:
            return answer.json()
        except requests.exceptions.JSONDecodeError as error:
            raise UserError(
                f"the endpoint {url} answers with something that is no JSON: "
                f"{error_message(answer.content)}"
            ) from error

    def _send(self, method: str, path: str, body: bytes | None = None) -> requests.Response:
        url = f"{self._url}/{path}"
        try:
            return self._session.request(
                method,
                url,
                data=body,
                headers={"Content-Type": "application/json"} if body else None,
                timeout=(_CONNECT_S, self._limits.timeout_s),
                allow_redirects=False,  # another place is not to get the token
            )
        except requests.exceptions.SSLError as error:
            raise UserError(f"the endpoint {url}: TLS fails: {error}") from error
        except requests.exceptions.Timeout as error:
            raise _Transient(f"no answer within {self._limits.timeout_s:g} s") from error
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise _Transient(f"the connection failed: {_reason(error)}") from error
        except requests.exceptions.RequestException as error:
            raise UserError(f"the endpoint {url} cannot be asked: {error}") from error

    def _refuse(self, url: str, answer: requests.Response) -> None:
        """Raise what an answer other than 200 means."""
        status = answer.status_code
        if status == HTTPStatus.OK:
            return
        said = error_message(answer.content) or answer.reason
        if status in _TRANSIENT:
            wait_s = _retry_after(answer.headers.get("Retry-After"))
            raise _Transient(f"it answers {status}: {said}", wait_s)
        advice = ""
        if status in _ACCESS:
            variable = self._limits.token_env
            advice = (
                f"; check the token in {variable}"
                if variable
                else "; name the environment variable that holds a token in teacher.token_env"
            )
        raise UserError(f"the endpoint {url} answers {status}: {said}{advice}")


def _wait(state: RetryCallState) -> float:
    """Exponential, with jitter; or as long as the server asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, _Transient) else 0.0
    backoff = min(_FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1), _LONGEST_WAIT_S)
    return max(asked, backoff * random.uniform(0.5, 1.0))  # noqa: S311 - nothing secret


def _retry_after(value: str | None) -> float:
    """Seconds that the header ``Retry-After`` asks for: a number of them, or a date."""
    if value is None:
        return 0.0
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0


def _token(variable: str) -> str:
    token = os.environ.get(variable, "").strip()
    if not token:
        raise UserError(
            f"teacher.token_env: the environment variable {variable} is not set in this step; give "
            "it to the step from a secret"
        )
    return token


def _reason(error: Exception) -> str:
    """The innermost cause, which says most."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return f"{type(cause).__name__}: {cause}"
