"""Histories of an alias to tell others of, as promotion writes them."""

from datetime import UTC, datetime, timedelta

from components.registration.hooks.cloud_event import Origin
from components.registration.promotion.moves import Action, Entry, Move

ORIGIN = Origin("https://mlflow.example.org", "digits student", "champion")
START = datetime(2026, 11, 27, 10, 30, tzinfo=UTC)
STEPS: list[tuple[Action, str | None, str | None]] = [
    ("register", "1", None),
    ("promote", "1", "1"),
    ("register", "2", "1"),
    ("challenge", "2", "1"),
    ("promote", "2", "2"),
    ("reject", "3", "2"),
    ("rollback", "1", "1"),
    ("external", "3", "3"),
]
"""Action, version, champion afterwards."""


def write_history(steps: list[tuple[Action, str | None, str | None]] = STEPS) -> list[Entry]:
    """One entry for each step, chained."""
    entries: list[Entry] = []
    champion = None
    for sequence, (action, version, after) in enumerate(steps, start=1):
        move = Move(
            sequence=sequence,
            action=action,
            at=START + timedelta(minutes=sequence),
            by="ada@workstation",
            version=version,
            champion_before=champion,
            champion_after=after,
            compared_with=champion,
            reason=f"because of “{action}”",
            run_id=f"run-{version}",
            decision_digest="d" * 64,
            model_digest="e" * 64,
            lock="file mlflow.db.lock",
            previous=entries[-1].digest if entries else "",
        )
        entries.append(Entry.of(move))
        champion = after
    return entries
