"""Where the history of an alias is kept: in tags of the registered model.

They are read together with the aliases in one request, need no right but the one to move the alias,
and outlive every version.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration.client import existing
from components.registration.promotion.moves import (
    FORMAT_VERSION,
    Entry,
    HistoryTampered,
    Move,
    verify,
)
from components.registration.promotion.states import (
    Standing,
    Succession,
    abandoned_by,
    standing,
    successions,
)
from components.shared.errors import UserError

_MOVE = "kubedistill.move"
_SETTLED = "kubedistill.settled"
_GUARD = "kubedistill.lock"
_DAMAGED = "kubedistill.damaged"
_DIGITS = 6


@dataclass(frozen=True)
class View:
    """An alias and its history at one moment."""

    aliases: dict[str, str]
    """Version by alias, all aliases of the registered model."""
    entries: list[Entry]
    settled: int
    """Sequence number of the last move whose aliases were set."""
    settled_digest: str
    """Hash of its record; empty before the first."""
    guard: str | None
    """The lock that every writer has to hold; null before the first move."""
    tags: dict[str, str]
    """All tags of the registered model."""
    damaged: dict[int, str]
    """Records that cannot be read any more, by their sequence number."""

    @property
    def last(self) -> int:
        """Sequence number of the last move; 0 before the first."""
        return max(self.settled, *self.damaged, *(move.sequence for move in self.moves), 0)

    @property
    def done(self) -> list[Entry]:
        """The moves that took effect, as far as that is known."""
        abandoned = abandoned_by(self.moves)
        return [
            found
            for found in self.entries
            if found.move.sequence <= self.settled and found.move.sequence not in abandoned
        ]

    @property
    def moves(self) -> list[Move]:
        """All moves, the first one first."""
        return [found.move for found in self.entries]

    @cached_property
    def standing(self) -> Standing:
        """Where all versions stand."""
        return standing(self.moves)

    def unsettled(self, alias: str) -> bool:
        """Whether a move is half-done, or one was made without this program."""
        return self.last > self.settled or self.aliases.get(alias) != self.standing.champion

    def of_version(self, version: str) -> list[Move]:
        """The moves that are about a version."""
        return [move for move in self.moves if move.version == version]

    @cached_property
    def successions(self) -> list[Succession]:
        """Each change of the champion, the first one first."""
        return successions(self.moves)

    def promoted_at(self, version: str) -> datetime | None:
        """When the alias was last moved to a version; null where the history does not know."""
        moved = [change.at for change in self.successions if change.after == version]
        return moved[-1] if moved else None

    def took_over_from(self, version: str) -> str | None:
        """The champion before a version, when the alias was last moved to it; null for none."""
        moved = [change.before for change in self.successions if change.after == version]
        return moved[-1] if moved else None

    def replaced_by(self, version: str) -> str | None:
        """The version that last took the alias over from a version."""
        later = [change.after for change in self.successions if change.before == version]
        return next((v for v in reversed(later) if v is not None), None)

    def verify(self) -> None:
        """Check the chain of records.

        Raises:
            HistoryTampered: a record was edited, removed or added.
        """
        for number in self.damaged:
            raise HistoryTampered(
                f"the history was tampered with: what is kept of move {number} is no record"
            )
        verify(self.entries, self.settled, self.settled_digest)


class Ledger:
    """Reads and extends the history of one alias."""

    def __init__(self, client: MlflowClient, model: str, alias: str) -> None:
        self._client = client
        self.model = model
        self.alias = alias

    def read(self) -> View | None:
        """The alias and its history, from one request; null where there is no registered model."""
        found = existing(lambda: self._client.get_registered_model(self.model))
        if found is None:
            return None
        tags: dict[str, str] = dict(found.tags)
        settled, _, settled_digest = tags.get(self._key(_SETTLED), "").partition(":")
        entries, damaged = self._records(tags)
        return View(
            aliases={alias: str(version) for alias, version in found.aliases.items()},
            entries=entries,
            settled=int(settled) if settled.isdecimal() else 0,
            settled_digest=settled_digest,
            guard=tags.get(self.guard_tag),
            tags=tags,
            damaged=damaged,
        )

    @property
    def is_served(self) -> bool:
        """Whether it is kept by a server, and not in a database on this machine."""
        return not self._client.tracking_uri.startswith("sqlite:")

    def create_model(self) -> None:
        """Make the registered model, unless it is there."""
        try:
            self._client.create_registered_model(self.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def append(self, entry: Entry) -> None:
        """Write a record."""
        self._set(self._numbered(_MOVE, entry.move.sequence), entry.text)

    def keep_damaged(self, number: int, text: str) -> None:
        """Keep a record that cannot be read under another name as well."""
        self._set(self.damaged_tag(number), text)

    def damaged_tag(self, number: int) -> str:
        """The other name."""
        return self._numbered(_DAMAGED, number)

    def remove(self, number: int) -> None:
        """Remove a record that is kept under another name."""
        self._client.delete_registered_model_tag(self.model, self._numbered(_MOVE, number))

    def settle(self, entry: Entry) -> None:
        """Note that the aliases are as the history says, up to a move."""
        self._set(self._key(_SETTLED), f"{entry.move.sequence}:{entry.digest}")

    @property
    def guard_tag(self) -> str:
        """The tag that names the lock of all writers."""
        return self._key(_GUARD)

    def set_guard(self, guard: str) -> None:
        """Note which lock every writer has to hold."""
        self._set(self.guard_tag, guard)

    def set_tag(self, key: str, value: str) -> None:
        """Set a further tag of the registered model."""
        self._set(key, value)

    def set_alias(self, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it."""
        if version is None:
            self._client.delete_registered_model_alias(self.model, alias)
        else:
            self._client.set_registered_model_alias(self.model, alias, version)

    def exists(self, version: str) -> bool:
        """Whether a version is still registered."""
        return existing(lambda: self._client.get_model_version(self.model, version)) is not None

    def _key(self, name: str) -> str:
        return f"{name}.{self.alias}"

    def _numbered(self, name: str, number: int) -> str:
        return f"{self._key(name)}.{number:0{_DIGITS}d}"

    def _set(self, key: str, value: str) -> None:
        self._client.set_registered_model_tag(self.model, key, value)

    def _records(self, tags: dict[str, str]) -> tuple[list[Entry], dict[int, str]]:
        """The records that can be read, in order, and those that cannot."""
        pattern = re.compile(rf"{re.escape(self._key(_MOVE))}\.([0-9]+)")
        texts = {
            int(match[1]): text
            for key, text in tags.items()
            if (match := pattern.fullmatch(key)) and key == self._numbered(_MOVE, int(match[1]))
        }
        entries, damaged = [], {}
        for number in sorted(texts):
            try:
                move = Move.model_validate_json(texts[number])
            except ValueError:
                self._refuse_newer(number, texts[number])
                move = None
            if move is None or move.sequence != number:
                damaged[number] = texts[number]
            else:
                entries.append(Entry(move, texts[number]))
        return entries, damaged

    def _refuse_newer(self, number: int, text: str) -> None:
        """A record that only a later release can read is none that was damaged."""
        try:
            record = json.loads(text)
        except ValueError:
            return
        version = record.get("format_version") if isinstance(record, dict) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise UserError(
                f"move {number} of {self.model!r} was written by a newer kubedistill (format "
                f"{version}, this one reads {FORMAT_VERSION}): upgrade this one"
            )
