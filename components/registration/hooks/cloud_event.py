"""What others are told of a move: a CloudEvents 1.0 event in JSON, the same bytes every time."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from components.registration.promotion.moves import Action, Entry, Move
from components.shared.files import digest_of
from components.shared.recipe.hooks import EventName
from components.shared.results import Decision

CONTENT_TYPE = "application/cloudevents+json"
"""Structured mode: attributes and data in one JSON object."""
_TYPE = "io.kubedistill.model.{name}.v1"
_ID_LENGTH = 32
_URI_CHARACTERS = ":/?[]@!$&'()*+,;=%"
_EVENTS: dict[Action, EventName] = {
    "promote": "promoted",
    "rollback": "rolled_back",
    "reject": "rejected",
    "challenge": "challenger",
    "external": "moved",
    "accept": "moved",
}


@dataclass(frozen=True)
class Origin:
    """Whose history an event is from."""

    tracking_uri: str
    """Of MLflow, without credentials."""
    model: str
    alias: str

    @property
    def source(self) -> str:
        """URI of the registered model; with a server, its page in MLflow's user interface."""
        server = quote(self.tracking_uri.rstrip("/"), safe=_URI_CHARACTERS)
        return f"{server}/#/models/{quote(self.model, safe='')}"


@dataclass(frozen=True)
class Event:
    """An event, as it is sent."""

    id: str
    """Hex digits; every delivery of the event has the same, so that a receiver can tell a
    repetition."""
    name: EventName
    body: bytes
    """UTF-8 JSON."""


def event_name(move: Move) -> EventName | None:
    """The event that a move is; null where nobody is told.

    What somebody did without this program is an event where the champion became another.
    """
    name = _EVENTS.get(move.action)
    if name == "moved" and move.champion_after == move.champion_before:
        return None
    return name


def event_of_move(
    entry: Entry, origin: Origin, figures: Mapping[str, float] | None = None
) -> Event | None:
    """The event of a move in the history; null where nobody is told of it.

    Args:
        entry: the move.
        origin: whose history it is in.
        figures: what was measured of the version, by name; those that are not finite are left out.
    """
    move = entry.move
    name = event_name(move)
    if name is None:
        return None
    identity = {
        "model": origin.model,
        "alias": origin.alias,
        "sequence": move.sequence,
        "record_digest": entry.digest,
    }
    data = identity | {
        "version": move.version,
        "champion_before": move.champion_before,
        "champion_after": move.champion_after,
        "compared_with": move.compared_with,
        "by": move.by,
        "reason": move.reason,
        "forced": move.forced,
        "run_id": move.run_id,
        "decision_digest": move.decision_digest,
        "model_digest": move.model_digest,
        "figures": _finite(figures),
    }
    return _event(name, identity, origin, move.version, move.at, data, sequence=move.sequence)


def event_of_rejection(
    decision: Decision,
    decision_digest: str,
    run_id: str,
    origin: Origin,
    at: datetime,
    figures: Mapping[str, float] | None = None,
) -> Event:
    """The event of a student that the gates rejected, which the history knows nothing of.

    Args:
        decision: the verdict.
        decision_digest: SHA-256 of ``decision.json``, as the run logged it.
        run_id: the pipeline run.
        origin: whose champion it would have become.
        at: when the run was recorded; the same at every attempt.
        figures: what was measured of the student, by name.
    """
    identity = {
        "model": origin.model,
        "alias": origin.alias,
        "run_id": run_id,
        "decision_digest": decision_digest,
    }
    data = identity | {
        "sequence": None,
        "record_digest": None,
        "version": None,
        "champion_before": decision.champion_version,
        "champion_after": decision.champion_version,
        "compared_with": decision.champion_version,
        "by": "gates",
        "reason": decision.summary,
        "forced": False,
        "model_digest": decision.student_digest,
        "figures": _finite(figures),
    }
    return _event("rejected", identity, origin, None, at, data)


def _event(
    name: EventName,
    identity: Mapping[str, Any],
    origin: Origin,
    version: str | None,
    at: datetime,
    data: Mapping[str, Any],
    sequence: int | None = None,
) -> Event:
    event_id = digest_of({"event": name, **identity})[:_ID_LENGTH]
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": origin.source,
        "type": _TYPE.format(name=name),
        "subject": origin.model if version is None else f"{origin.model}/{version}",
        "time": _rfc3339(at),
        "datacontenttype": "application/json",
        "data": data,
    }
    if sequence is not None:
        # CloudEvents' own extension for order: compared as text.
        attributes["sequence"] = f"{sequence:010d}"
    body = json.dumps(
        attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return Event(id=event_id, name=name, body=body.encode())


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _finite(figures: Mapping[str, float] | None) -> dict[str, float]:
    """JSON has no NaN."""
    return {name: value for name, value in (figures or {}).items() if math.isfinite(value)}
