"""Writing a move down, and making the aliases what the history says.

The history is a write-ahead log: a move is written first, and made then. A process that dies in
between leaves a move that whoever holds the lock next completes, before anything else. So no move
is ever made that is not in the history.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from components.registration import tags
from components.registration.locking.lock import Hold, LockLost
from components.registration.outages import is_outage
from components.registration.promotion.actor import actor
from components.registration.promotion.ledger import Ledger, View
from components.registration.promotion.moves import (
    LONGEST_REASON,
    Action,
    Entry,
    Move,
    digest_of_records,
)
from components.registration.promotion.states import Standing, standing
from components.registration.promotion.subject import ChampionMoved, Subject
from components.registration.retrying import write_in_turn
from components.shared import events
from components.shared.errors import UserError

_LONGEST_TERM = 300


class Writer:
    """Moves one alias, while its lock is held."""

    def __init__(self, ledger: Ledger, hold: Hold) -> None:
        """Look at the alias and its history; nothing is written."""
        self._ledger = ledger
        self._hold = hold
        self._guard: str | None = None
        self.view = _present(ledger)

    def take_guard(self, guard: str | None) -> None:
        """See that all writers of the alias use one lock.

        Raises:
            UserError: others use another one.
        """
        self._guard = guard
        if self.view.guard is None and guard is not None:
            self._write(
                partial(self._ledger.set_guard, guard), shows=lambda view: view.guard == guard
            )
            self.view = _present(self._ledger)  # another lock's holder may have begun as well
        self._expect_guard()

    def recover(self) -> None:
        """Complete a move whose aliases were not all set, or note one that was made elsewhere."""
        view, actual = self.view, self.view.aliases.get(self._ledger.alias)
        wanted = view.standing.champion
        half_done = view.last > view.settled and bool(view.entries)
        moved_since = half_done and actual != wanted and self._surely_took_effect()
        if half_done and not moved_since:
            pending = view.entries[-1].move
            untouched = actual in {pending.champion_before, wanted}
            if untouched and (wanted in {None, actual} or self._ledger.exists(wanted)):
                self._set_aliases()
                events.emit("completed_move", sequence=pending.sequence, action=pending.action)
            else:
                self._abandon(pending, actual)
        elif actual != wanted:
            self.commit("external", about(actual), actual, self._elsewhere(actual, wanted))

    def commit(
        self,
        action: Action,
        subject: Subject | None,
        champion: str | None,
        reason: str,
        *,
        forced: bool = False,
        abandons: int | None = None,
    ) -> None:
        """Write a move down, then do it.

        Raises:
            ChampionMoved: somebody wrote without the lock.
        """
        view = self.view
        move = Move(
            sequence=view.last + 1,
            action=action,
            at=datetime.now(UTC),
            by=actor(),
            version=subject.version if subject else None,
            champion_before=view.standing.champion,
            champion_after=champion,
            compared_with=subject.compared_with if subject else None,
            reason=reason[:LONGEST_REASON],
            run_id=subject.run_id if subject else None,
            decision_digest=subject.decision_digest if subject else None,
            model_digest=subject.model_digest if subject else None,
            recipe_digest=subject.recipe_digest if subject else None,
            forced=forced,
            abandons=abandons,
            accepts=digest_of_records(view.entries) if action == "accept" else None,
            lock=self._hold.term[:_LONGEST_TERM],
            previous=view.entries[-1].digest if view.entries else "",
        )
        entry = Entry.of(move)
        self._write(
            lambda: self._ledger.append(entry),
            shows=lambda view: view.entries[-1:] == [entry],
        )
        self.view = _present(self._ledger)
        self._expect_guard()
        if self.view.entries[-1:] != [entry]:
            raise ChampionMoved(
                f"somebody else wrote to the history of {self._ledger.model!r} without the lock"
            )
        self._set_aliases()

    def set_aside_damaged(self) -> None:
        """Keep records that cannot be read under other names."""
        for number, text in self.view.damaged.items():
            self._write(
                partial(self._ledger.keep_damaged, number, text),
                shows=partial(_has_tag, self._ledger.damaged_tag(number)),
            )
            self._write(
                partial(self._ledger.remove, number),
                shows=partial(_has_not, number),
            )

    def _expect_guard(self) -> None:
        if self.view.guard == self._guard:
            return
        raise UserError(
            f"moves of {self._ledger.model!r} are made under "
            f"{self.view.guard or 'no lock that it names'}, but here the lock would be "
            f"{self._guard or 'the file beside the database'}: set KUBEDISTILL_LOCK to the one in "
            "use, or, where nobody uses that any more, remove the tag "
            f"{self._ledger.guard_tag} of the registered model"
        )

    def _set_aliases(self) -> None:
        """Make the aliases what the history says, and see that they are.

        The alias itself comes first: where the others are set, it was.
        """
        wanted = self._wanted_aliases(self.view.standing)
        for alias, version in wanted.items():
            if self.view.aliases.get(alias) != version:
                self._write(
                    partial(self._ledger.set_alias, alias, version),
                    shows=partial(_has_alias, alias, version),
                )
        if not self._settle():
            return
        champion, actual = wanted[self._ledger.alias], self.view.aliases.get(self._ledger.alias)
        if actual != champion:
            raise ChampionMoved(
                f"somebody else moved the alias {self._ledger.alias!r} of {self._ledger.model!r} "
                f"to {actual or 'no version'} at the same moment, without the lock"
            )

    def _settle(self) -> bool:
        """Note that the move is done; whether that could be seen.

        It is done already: a failure here must not look like one of the move, or a person would
        make the move again. Whoever comes next sees it through.
        """
        last = self.view.entries[-1]
        try:
            self._write(
                partial(self._ledger.settle, last),
                shows=lambda view: view.settled >= last.move.sequence,
            )
            self.view = _present(self._ledger)
        except Exception as error:
            if not (isinstance(error, LockLost) or is_outage(error)):
                raise
            events.emit("unconfirmed_move", sequence=self.view.last, problem=type(error).__name__)
            return False
        return True

    def _write(self, write: Callable[[], object], shows: Callable[[View], bool]) -> None:
        """Write while the lock is held; a database on this machine has no requests to wait for."""
        if self._ledger.is_served:
            write_in_turn(write, lambda: shows(_present(self._ledger)), self._hold.check)
        else:
            self._hold.check()
            write()

    def _surely_took_effect(self) -> bool:
        """Whether the last move was made, so that an alias elsewhere was moved since.

        One that moves the alias had set it where it had set other aliases. Where it changes none,
        that cannot be told.
        """
        if self.view.entries[-1].move.action not in {"promote", "rollback"}:
            return True
        before = self._wanted_aliases(standing(self.view.moves[:-1]))
        after = self._wanted_aliases(self.view.standing)
        changed = {name for name in after if after[name] != before[name]} - {self._ledger.alias}
        return bool(changed) and all(self.view.aliases.get(n) == after[n] for n in changed)

    def _abandon(self, pending: Move, actual: str | None) -> None:
        """Note that a move that was written down never took effect."""
        if actual in {pending.champion_before, pending.champion_after}:
            reason = f"version {pending.champion_after} was deleted before the alias was on it"
        else:
            reason = self._elsewhere(actual, pending.champion_before)
        self.commit("external", about(actual), actual, reason, abandons=pending.sequence)

    def _wanted_aliases(self, standing: Standing) -> dict[str, str | None]:
        """Version by alias; a version that was deleted has none."""
        alias = self._ledger.alias
        former, challenger = tags.former_alias(alias), tags.challenger_alias(alias)
        waiting = [standing.challenger] if standing.challenger else []
        return {
            alias: standing.champion,
            former: self._first_existing(standing.formers, former),
            challenger: self._first_existing(waiting, challenger),
        }

    def _first_existing(self, versions: list[str], alias: str) -> str | None:
        # MLflow removes the aliases of a version that is deleted, so one that has its alias exists.
        return next(
            (v for v in versions if self.view.aliases.get(alias) == v or self._ledger.exists(v)),
            None,
        )

    def _elsewhere(self, actual: str | None, wanted: str | None) -> str:
        alias = self._ledger.alias
        if not self.view.entries:
            return f"version {actual} had the alias {alias} before this history began"
        if actual is None:
            return f"the alias {alias} was found to be gone from version {wanted}"
        return f"the alias {alias} was found on version {actual}, moved without this program"


def _present(ledger: Ledger) -> View:
    view = ledger.read()
    if view is None:
        raise UserError(f"the registered model {ledger.model!r} is gone")
    return view


def _has_alias(alias: str, version: str | None, view: View) -> bool:
    return view.aliases.get(alias) == version


def _has_tag(tag: str, view: View) -> bool:
    return tag in view.tags


def _has_not(damaged: int, view: View) -> bool:
    return damaged not in view.damaged


def about(version: str | None) -> Subject | None:
    """A version of which nothing else is known, if there is one."""
    return None if version is None else Subject(version)
