"""The history of an alias: one record a move, each with the hash of the one before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from components.shared.errors import UserError
from components.shared.files import sha256_bytes
from components.shared.results.base import Result

FORMAT_VERSION = 1
"""Of a record."""
LONGEST_REASON = 1000
"""Characters; MLflow keeps 5,000 of a record on PostgreSQL."""

Action = Literal["register", "challenge", "promote", "rollback", "reject", "external", "accept"]
"""``register``: a version became a candidate. ``challenge``: it waits for approval.
``external``: somebody moved the alias without this program, which was noticed afterwards.
``accept``: a person looked at a damaged history, and let it go on from there."""


class Move(Result):
    """One move: what, when, who, from, to, why, and by which run."""

    format_version: Literal[1] = 1
    sequence: Annotated[int, Field(ge=1)]
    """1 for the first move of the alias, without gaps."""
    action: Action
    at: datetime
    by: Annotated[str, Field(max_length=200)]
    """The person or service account, as far as the environment tells."""
    version: str | None
    """The version that the move is about; null where the alias was found to be gone."""
    champion_before: str | None
    champion_after: str | None
    compared_with: str | None = None
    """The champion that the version was measured against."""
    reason: Annotated[str, Field(max_length=LONGEST_REASON)]
    """One sentence."""
    run_id: str | None = None
    """The pipeline run that made the version."""
    decision_digest: str | None = None
    """SHA-256 of ``decision.json``, as the run logged it."""
    model_digest: str | None = None
    """SHA-256 of the version's ONNX file."""
    recipe_digest: str | None = None
    """SHA-256 of ``recipe.yaml``, as the run logged it."""
    forced: bool = False
    """Whether a person overrode what forbade it."""
    abandons: int | None = None
    """Sequence number of the move before, where that one never took effect."""
    accepts: str | None = None
    """Of an ``accept``: the hash of all records that were there, none of which may change later."""
    lock: str
    """The lock under which it was written, and which holding of it that was."""
    previous: str
    """SHA-256 of the record before, as it is kept; empty for the first."""


@dataclass(frozen=True)
class Entry:
    """A move, and its record as it is kept."""

    move: Move
    text: str

    @classmethod
    def of(cls, move: Move) -> "Entry":
        """The record of a new move."""
        return cls(move, move.model_dump_json())

    @property
    def digest(self) -> str:
        """What the next record has as ``previous``: SHA-256, in hex."""
        return sha256_bytes(self.text.encode())


class HistoryTampered(UserError):  # noqa: N818 - reads as an event
    """Records of the history were edited, removed or added by somebody else."""


def digest_of_records(entries: Sequence[Entry]) -> str:
    """SHA-256 over all records, in hex."""
    return sha256_bytes("\n".join(entry.digest for entry in entries).encode())


def faults(entries: Sequence[Entry], last: int) -> Iterator[tuple[int, str]]:
    """Where the history does not follow from itself: sequence number, and what is wrong there.

    Args:
        entries: all records that are kept, in the order of their names.
        last: the highest sequence number that was ever completed.
    """
    previous, champion, number = "", None, 0
    for found in entries:
        move = found.move
        for missing in range(number + 1, move.sequence):
            yield missing, f"move {missing} is missing"
        if move.previous != previous and move.sequence == number + 1:
            yield (
                move.sequence,
                f"move {number} was edited, or move {move.sequence} was not written after it",
            )
        if move.champion_before != champion and move.sequence == number + 1:
            yield (
                move.sequence,
                f"move {move.sequence} starts from champion {move.champion_before or 'none'}, but "
                f"the move before left {champion or 'none'}",
            )
        previous, champion, number = found.digest, move.champion_after, move.sequence
    for missing in range(number + 1, last + 1):
        yield missing, f"move {missing} is missing"


def verify(entries: Sequence[Entry], last: int, last_digest: str = "") -> None:
    """Check that nothing was changed, removed or put in between, since a person last accepted it.

    Args:
        entries: all records that are kept, in the order of their names.
        last: the highest sequence number that was ever completed.
        last_digest: the hash of its record; empty where that is not known.

    Raises:
        HistoryTampered: naming the first record at which that shows.
    """
    accepted = max((e.move.sequence for e in entries if e.move.action == "accept"), default=0)
    for number, what in faults(entries, last):
        if number > accepted:
            raise HistoryTampered(f"the history was tampered with: {what}")
    for place, found in enumerate(entries):
        move = found.move
        if move.sequence == accepted and move.accepts != digest_of_records(entries[:place]):
            what = f"what move {accepted} had accepted was changed afterwards"
            raise HistoryTampered(f"the history was tampered with: {what}")
        if move.sequence == last >= accepted and last_digest not in {"", found.digest}:
            raise HistoryTampered(f"the history was tampered with: move {last} was edited")
