"""What a Lease object says, and what is written into it: pure, on the JSON of Kubernetes.

It is kept as JSON, so that fields which this program does not know are given back as they were.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Lease:
    """A Lease of ``coordination.k8s.io/v1``, as the server returned it."""

    document: dict[str, Any]

    @property
    def holder(self) -> str | None:
        """Identity of the holding; null where nobody has it."""
        return self._spec.get("holderIdentity") or None

    @property
    def since(self) -> str:
        """When the holder took it, on the holder's wall clock: for people only."""
        return str(self._spec.get("acquireTime"))

    @property
    def duration_s(self) -> float | None:
        """How long the holder may be silent before others take over, in seconds."""
        return self._spec.get("leaseDurationSeconds")

    @property
    def term(self) -> int:
        """Number of this holding: greater than that of every holding before."""
        return self._spec.get("leaseTransitions") or 0

    @property
    def version(self) -> tuple[str, str]:
        """Another one after every write, by whomever."""
        metadata = self.document["metadata"]
        return metadata["uid"], metadata["resourceVersion"]

    def taken(self, identity: str, duration_s: int) -> dict[str, Any]:
        """What a new holder writes over it."""
        return self._with(
            holderIdentity=identity,
            leaseDurationSeconds=duration_s,
            acquireTime=_now(),
            renewTime=_now(),
            leaseTransitions=self.term + 1,
        )

    def renewed(self) -> dict[str, Any]:
        """What its holder writes over it to keep it."""
        return self._with(renewTime=_now())

    def released(self) -> dict[str, Any]:
        """What its holder writes over it to give it back."""
        return self._with(renewTime=_now(), holderIdentity="")

    @property
    def _spec(self) -> dict[str, Any]:
        return self.document.get("spec") or {}

    def _with(self, **fields: object) -> dict[str, Any]:
        return {**self.document, "spec": {**self._spec, **fields}}


def new_lease(name: str, identity: str, duration_s: int) -> dict[str, Any]:
    """A Lease that its creator holds."""
    empty: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
    }
    return Lease(empty).taken(identity, duration_s)


class Sightings:
    """Tells a holder that is gone from one that renews, by this process's monotonic clock alone.

    As client-go's leader election does: a record that has not changed for as long as its holder
    asked for, counted from when it was first seen here, is nobody's. Wall clocks play no part, so
    that a holder whose clock is wrong by hours keeps what it renews and no more.
    """

    def __init__(self, default_duration_s: float) -> None:
        self._default_duration_s = default_duration_s
        self._version: tuple[str, str] | None = None
        self._since = 0.0

    def is_free(self, lease: Lease, at: float) -> bool:
        """Whether ``lease``, which was read at ``at`` (monotonic seconds), may be taken."""
        if lease.version != self._version:
            self._version, self._since = lease.version, at
        duration = lease.duration_s or self._default_duration_s
        return lease.holder is None or at - self._since >= duration


def _now() -> str:
    """As Kubernetes wants it: always with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
