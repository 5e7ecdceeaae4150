"""A connection to Kubeflow: requests with a time limit, repeated for as long as is worth it."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from components.shared.errors import UserError
from pipelines.kubeflow.failures import Taken, Unanswered, failure_of, is_object, not_kubeflow
from pipelines.kubeflow.place import Place, find_place, namespace_of_pod

T = TypeVar("T")

_TIMEOUT_S = (10, 30)
"""For connecting, and for each part of an answer."""
_PAGE = 100
_FIRST_PAUSE_S = 1.0
"""Before a request is repeated; it doubles."""
_LONGEST_PAUSE_S = 15.0


@dataclass(frozen=True)
class Patience:
    """For how long a Kubeflow that does not answer is asked again."""

    first_contact_s: float = 10.0
    """Before it has answered for the first time: the address may be wrong."""
    outage_s: float = 30.0
    """Afterwards; following a run has more."""


class Kubeflow:
    """The API of one installation."""

    def __init__(self, place: Place, client: Any, patience: Patience) -> None:
        self.place = place
        self.patience = patience
        self._client = client
        self._healthz = client.healthzs
        self._transport = self._healthz.healthz_service_get_healthz.__self__.api_client
        self.runs = client.runs
        self.recurring_runs = client.recurring_runs
        self.experiments = client.experiments
        self.pipelines = client.pipelines
        self.uploads = client.pipeline_uploads
        self.namespace: str | None = None
        """Where runs are, on an installation of several users; null on others."""

    def healthz(self) -> Any:
        """What the API says of itself.

        Raises:
            UserError: it is not Kubeflow, or does not let this process in.
            Unanswered: it is out of reach.
        """
        return self._repeat(
            lambda: self._once(self._healthz.healthz_service_get_healthz),
            self.patience.first_contact_s,
        )

    def ask(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """A request that may be repeated, such as one that only reads.

        Raises:
            Missing: there is no such thing.
            Refused: Kubeflow will not do it.
            Unanswered: it was out of reach for longer than the patience lasts.
        """
        return self._repeat(lambda: self._once(method, *args, **kwargs), self.patience.outage_s)

    def once(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """A request that is sent once.

        Raises:
            Missing, Taken, Refused, Unanswered: as its answer was.
        """
        return self._once(method, *args, **kwargs)

    def create_once(self, find: Callable[[], T | None], create: Callable[[], T]) -> tuple[T, bool]:
        """What ``find`` finds, or else what ``create`` makes, also where answers get lost.

        Args:
            find: looks for the thing; asks by itself as often as is worth it.
            create: asks for it in one request.

        Returns:
            The thing, and whether it is new.

        Raises:
            Unanswered: it could not be made for longer than the patience lasts.
        """

        def attempt() -> tuple[T, bool]:
            found = find()
            return (create(), True) if found is None else (found, False)

        return self._repeat(attempt, self.patience.outage_s, (Unanswered, Taken))

    def all_pages(self, method: Callable[..., Any], field: str, **kwargs: Any) -> list[Any]:
        """Everything that a request for a list finds."""
        found: list[Any] = []
        token = ""
        while True:
            page = self.ask(method, page_token=token, page_size=_PAGE, **kwargs)
            found += getattr(page, field) or []
            token = page.next_page_token
            if not token:
                return found

    def _repeat(
        self,
        attempt: Callable[[], T],
        patience_s: float,
        worth_it: tuple[type[Exception], ...] = (Unanswered,),
    ) -> T:
        deadline = time.monotonic() + patience_s
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return attempt()
            except worth_it:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _once(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        try:
            answer = method(*args, _request_timeout=_TIMEOUT_S, **kwargs)
        except Exception as error:
            failure = failure_of(error, self.place)
            if failure is None:
                raise
            raise failure from None
        # The client makes an empty object of whatever it cannot read, such as a login page.
        if not is_object(self._transport.last_response.data):
            raise not_kubeflow(self.place, "a page came back instead of data")
        return answer


def connect(
    endpoint: str | None, namespace: str | None, patience: Patience = Patience()
) -> Kubeflow:
    """A connection to the Kubeflow that the options, the environment or the pod name.

    Args:
        endpoint: URL of the API; null for the environment's.
        namespace: where runs are to be, on an installation of several users.
        patience: how often what gets no answer is repeated.

    Raises:
        UserError: there is no Kubeflow there, it does not let this process in, or has several
            users and nothing says whose namespace is meant.
        Unanswered: it is out of reach.
    """
    place = find_place(endpoint, namespace)
    client = _client(place)
    kubeflow = Kubeflow(place, client, patience)
    if kubeflow.healthz().multi_user:
        chosen = place.namespace or client.get_user_namespace() or namespace_of_pod()
        if not chosen:
            raise UserError(
                f"Kubeflow at {place.endpoint} has several users; say with --namespace or "
                "KFP_NAMESPACE in whose namespace the runs are to be"
            )
        kubeflow.namespace = chosen
    return kubeflow


def equals(key: str, value: str) -> str:
    """A filter of a request for a list."""
    return _filter("EQUALS", key, value)


def contains(key: str, value: str) -> str:
    """A filter of a request for a list."""
    return _filter("IS_SUBSTRING", key, value)


def _filter(operation: str, key: str, value: str) -> str:
    import json

    predicate = {"operation": operation, "key": key, "stringValue": value}
    return json.dumps({"predicates": [predicate]})


def _client(place: Place) -> Any:
    """KFP's own client, without its habit of asking five times with a traceback each."""
    import kfp
    from kfp.client import ServiceAccountTokenVolumeCredentials
    from kfp_server_api import V2beta1GetHealthzResponse  # type: ignore[import-untyped]

    class Client(kfp.Client):  # type: ignore[misc]
        def _load_config(self, *args: Any, **kwargs: Any) -> Any:
            configuration = super()._load_config(*args, **kwargs)
            # Repeating is decided here, where it is known what a repetition would do.
            configuration.retries = False
            return configuration

        def get_kfp_healthz(self, *_: Any) -> Any:
            return V2beta1GetHealthzResponse(multi_user=False)

    credentials = None
    if place.token is None and place.token_file is not None:
        credentials = ServiceAccountTokenVolumeCredentials(str(place.token_file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Client(
            host=place.endpoint,
            existing_token=place.token,
            credentials=credentials,
            proxy=place.proxy,
            ssl_ca_cert=place.certificates,
            ui_host=place.interface,
        )
