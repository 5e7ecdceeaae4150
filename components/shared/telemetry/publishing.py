"""Where metrics go: into a file for node-exporter's textfile collector, to a Pushgateway, or both.

Neither can fail a step: what goes wrong is said once.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from components.shared.telemetry.measurements import Measurements

if TYPE_CHECKING:
    from components.shared.telemetry.exposition import Identity

METRICS_FILE = "KUBEDISTILL_METRICS_FILE"
"""A path that ends in ``.prom``; ``{step}`` in it becomes the step's name."""
PUSHGATEWAY = "KUBEDISTILL_PUSHGATEWAY"
"""URL of a Pushgateway, without credentials."""

_JOB = "kubedistill"
_INTERVAL_S = 15.0
"""Between two publications while a step works."""
_TIMEOUT_S = 3.0
"""How long a step waits for a Pushgateway; one that failed is asked again at the end only."""

Warn = Callable[..., None]
"""Takes the name of an event and its fields."""
Sink = Callable[["Identity", Measurements], None]


@dataclass
class Publisher:
    """Publishes the measurements of one step, at most every few seconds and at the end."""

    step: str
    environment: Mapping[str, str]
    warn: Warn
    _failed: set[str] = field(default_factory=set)
    _published: float = field(default_factory=time.monotonic)

    def publish(self, measured: Measurements, *, last: bool = False) -> None:
        """Publish what was measured where the environment says so, if it is time to.

        Args:
            measured: of the step.
            last: whether nothing comes after it.
        """
        sinks = self._sinks()
        now = time.monotonic()
        if not sinks or not (last or now - self._published >= _INTERVAL_S):
            return
        self._published = now
        for target, sink in sinks.items():
            if last or target not in self._failed:
                self._send(target, sink, measured)

    def _sinks(self) -> dict[str, Sink]:
        found: dict[str, Sink] = {}
        path, gateway = self.environment.get(METRICS_FILE), self.environment.get(PUSHGATEWAY)
        if path:
            path = path.replace("{step}", self.step)
            found[path] = _to_file(path)
        if gateway:
            found[f"Pushgateway {_host(gateway)}"] = _to_gateway(gateway)
        return found

    def _send(self, target: str, sink: Sink, measured: Measurements) -> None:
        from http.client import HTTPException

        try:
            from components.shared.telemetry.exposition import Identity

            identity = Identity(
                step=self.step,
                recipe=self.environment.get("KUBEDISTILL_RECIPE", ""),
                run_id=self.environment.get("KUBEDISTILL_RUN_ID", ""),
            )
            sink(identity, measured)
        except (OSError, HTTPException, ImportError, ValueError) as error:
            if target not in self._failed:
                # Other errors than the system's may repeat a URL, with what should not be in it.
                said = isinstance(error, OSError | ImportError)
                reason = str(error) if said else type(error).__name__
                self.warn("metrics_failed", target=target, reason=reason)
            self._failed.add(target)


def _to_file(path: str) -> Sink:
    def write(identity: "Identity", measured: Measurements) -> None:
        from prometheus_client import write_to_textfile

        from components.shared.telemetry.exposition import registry_of

        write_to_textfile(path, registry_of(identity, measured))

    return write


def _to_gateway(url: str) -> Sink:
    def push(identity: "Identity", measured: Measurements) -> None:
        from prometheus_client import push_to_gateway

        from components.shared.telemetry.exposition import registry_of

        # A Pushgateway forgets nothing: a group for each run would stay for ever. So the next run
        # of a recipe replaces the last one's, and step_info says which run it was.
        push_to_gateway(
            url,
            job=_JOB,
            registry=registry_of(identity, measured),
            grouping_key=identity.labels,
            timeout=_TIMEOUT_S,
        )

    return push


def _host(url: str) -> str:
    """The host, without a password that might be before it."""
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or "without a host"
    except ValueError:
        return "that is no URL"
