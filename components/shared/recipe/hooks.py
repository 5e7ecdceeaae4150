"""The recipe's ``registry.webhooks`` and ``registry.kserve``: who is told of a move, and how."""

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from components.shared.recipe.base import PositiveInt, Spec, repeated

EventName = Literal["promoted", "rejected", "rolled_back", "challenger", "moved"]
"""``promoted``: a version became the champion. ``rejected``: the gates or a person turned one down.
``rolled_back``: a former champion became it again. ``challenger``: a version waits for approval.
``moved``: the alias was found on another version, moved without this program."""

_IN_CLUSTER = (".svc", ".svc.cluster.local")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|[KMGTPE]i?)?")
_DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_DNS_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"


class WebhookSpec(Spec):
    """A receiver of signed CloudEvents, by the Standard Webhooks specification.

    The signature proves who sent an event, but hides nothing: so the receiver is reached by
    ``https``, and by ``http`` only where the way there stays on this machine (``localhost``,
    ``127.0.0.1``, ``::1``) or inside the cluster (``receiver``, ``receiver.namespace.svc``,
    ``receiver.namespace.svc.cluster.local``). The recipe is logged and shown: so the URL has no
    user, no password and no query, which is where tokens are put.
    """

    url: str
    """Where events are posted, as in ``https://hooks.example.org/models``."""
    secret_env: str = "KUBEDISTILL_WEBHOOK_SECRET"  # noqa: S105 - a name, not a secret
    """Environment variable with the signing secret: base64 of 24 to 64 bytes, with ``whsec_``
    before it or without. Several, separated by spaces, sign each, so that a secret can be
    replaced."""
    events: Annotated[list[EventName], Field(min_length=1)] = [
        "promoted",
        "rejected",
        "rolled_back",
        "challenger",
        "moved",
    ]
    """Which events are sent."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Seconds to wait for the connection, and for the answer, at each attempt."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 4
    """Attempts before an event is left for the next command."""

    @field_validator("url")
    @classmethod
    def _reachable_and_open(cls, url: str) -> str:
        parts = _split(url)
        host = parts.hostname or ""
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                "holds a user or password, but recipes are logged; receivers know the sender by "
                "the signature"
            )
        if parts.query or parts.fragment or "?" in url or "#" in url:
            raise ValueError("should have no query and no fragment: recipes are logged")
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("should be a URL such as https://hooks.example.org/models")
        if parts.scheme == "http" and not _stays_inside(host):
            raise ValueError(
                f"should be https://: http:// is for this machine and services of the cluster, "
                f"such as http://receiver.namespace.svc, and {host} is neither"
            )
        return url

    @field_validator("secret_env")
    @classmethod
    def _a_name(cls, name: str) -> str:
        # What was given is not repeated: it may be the secret.
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name.startswith("whsec_"):
            raise ValueError("should be the name of an environment variable, not the secret itself")
        return name

    @field_validator("events")
    @classmethod
    def _each_event_once(cls, events: list[EventName]) -> list[EventName]:
        if twice := repeated(events):
            raise ValueError(f"{twice} is listed more than once")
        return events


def _each_url_once(webhooks: list[WebhookSpec]) -> list[WebhookSpec]:
    if twice := repeated([webhook.url for webhook in webhooks]):
        raise ValueError(f"{twice} is listed more than once")
    return webhooks


Webhooks = Annotated[list[WebhookSpec], AfterValidator(_each_url_once)]
"""Receivers, each URL once: what was delivered is remembered by URL."""


def _as_text(value: Any) -> Any:
    """Let ``cpu: 1`` stand for ``cpu: "1"``."""
    return f"{value:g}" if isinstance(value, int | float) else value


def _quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value):
        raise ValueError(f"should be a quantity such as 500m, 2 or 1Gi, not {value!r}")
    return value


Quantity = Annotated[str, BeforeValidator(_as_text), AfterValidator(_quantity)]
Resources = dict[str, Quantity]
"""Amount by resource, such as ``{cpu: 1, memory: 2Gi}``."""


class KServeSpec(Spec):
    """The KServe ``InferenceService`` that serves the champion."""

    namespace: Annotated[str, Field(pattern=_DNS_LABEL)]
    """Where it lies."""
    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")] | None = None
    """By default made from the name of the registered model, and of its alias where that is not
    ``champion``."""
    service_account: Annotated[str, Field(pattern=_DNS_NAME)] | None = None
    """The one whose secret lets KServe read the artifacts, as S3's credentials."""
    runtime: Annotated[str, Field(pattern=_DNS_NAME)] | None = None
    """A ``ServingRuntime`` or ``ClusterServingRuntime`` for MLflow models, by default the one that
    KServe chooses, which is ``kserve-mlserver``; its image needs ``onnxruntime``."""
    min_replicas: Annotated[int, Field(ge=0)] = 1
    """0 lets KServe scale to none, where it runs on Knative."""
    max_replicas: PositiveInt | None = None
    """By default as KServe is set up."""
    requests: Resources = {}
    """Of the model's container, by default those of the runtime."""
    limits: Resources = {}
    """Of the model's container, by default those of the runtime."""
    artifacts: str | None = None
    """Where MLflow's server keeps the artifacts that it hands out itself (``mlflow-artifacts:``),
    its ``--artifacts-destination``, as KServe reads it: ``s3://mlflow``, ``pvc://mlflow/data``."""
    apply: bool = False
    """Apply the manifest at every move of the champion; otherwise it is only written."""

    @field_validator("artifacts")
    @classmethod
    def _no_credentials(cls, uri: str | None) -> str | None:
        if uri is None:
            return uri
        parts = _split(uri)
        if not parts.scheme or not parts.netloc or "@" in parts.netloc:
            raise ValueError("should be a URI without credentials, such as s3://bucket/prefix")
        return uri.rstrip("/")

    @model_validator(mode="after")
    def _in_order(self) -> "KServeSpec":
        if self.max_replicas is not None and self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas is {self.max_replicas}, but min_replicas is {self.min_replicas}"
            )
        return self


def _split(url: str) -> SplitResult:
    """The parts of a URL. What was given is not repeated in the error: it may hold a secret."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # is only read, and refused, when it is asked for
    except ValueError:
        raise ValueError("is not a URL") from None
    if re.search(r"[\s\x00-\x1f\\]", url):  # which urlsplit drops, or takes for a slash
        raise ValueError("is not a URL")
    return parts


def _stays_inside(host: str) -> bool:
    """Whether a host is this machine, or a service of the cluster."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    # A number without dots is an address too.
    return bool(re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", host)) or host.endswith(_IN_CLUSTER)
