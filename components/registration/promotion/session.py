"""What may be done with an alias, and with the versions that may have it, under its lock."""

from collections.abc import Iterator
from contextlib import contextmanager

from components.registration.hints import command
from components.registration.locking.lock import Lock
from components.registration.promotion.ledger import Ledger, View
from components.registration.promotion.moves import Action, HistoryTampered
from components.registration.promotion.subject import Subject, expect_champion
from components.registration.promotion.writing import Writer, about
from components.shared.errors import UserError


@contextmanager
def exclusive(ledger: Ledger, lock: Lock, *, damaged: bool = False) -> Iterator["Session"]:
    """Hold the lock of an alias, with what an earlier holder left half-done completed.

    Args:
        ledger: of a registered model that exists.
        lock: keeps other writers out.
        damaged: whether a history that was tampered with is to be accepted in the block.

    Raises:
        LockBusy: somebody else holds the lock.
        HistoryTampered: nothing is moved on top of a history that is not what was written.
        UserError: other writers of this model use another lock.
    """
    with lock.hold() as hold:
        writer = Writer(ledger, hold)
        writer.take_guard(lock.guard)
        if not damaged:
            _verify(ledger, writer.view)
            writer.recover()
        yield Session(ledger, writer)


def settled_view(ledger: Ledger, lock: Lock) -> View | None:
    """The alias and its history, once nothing is half-done; null without a registered model.

    The lock is taken only where something is.

    Raises:
        HistoryTampered: the history is not what was written.
    """
    view = ledger.read()
    if view is None:
        return None
    _verify(ledger, view)
    if not view.unsettled(ledger.alias):
        return view
    with exclusive(ledger, lock) as session:
        return session.view


def _verify(ledger: Ledger, view: View) -> None:
    try:
        view.verify()
    except HistoryTampered as error:
        look = command("history", ledger.model, ledger.alias)
        raise HistoryTampered(
            f"{ledger.model!r}: {error}; {look} shows what is there, and lets it go on from there "
            "with --accept --reason TEXT"
        ) from None


class Session:
    """What may be done while the lock is held."""

    def __init__(self, ledger: Ledger, writer: Writer) -> None:
        self._ledger = ledger
        self._writer = writer

    @property
    def view(self) -> View:
        """The alias and its history, after the last move."""
        return self._writer.view

    def register(self, subject: Subject, reason: str) -> None:
        """A version becomes a candidate; again only where it was judged anew."""
        known = any(
            move.action == "register" and move.decision_digest == subject.decision_digest
            for move in self.view.of_version(subject.version)
        )
        if not known:
            self._allow("register", subject.version)
            self._writer.commit("register", subject, self.view.standing.champion, reason)

    def challenge(self, subject: Subject, reason: str) -> None:
        """A version waits for approval; an earlier one that did so is archived.

        Raises:
            ChampionMoved: it was measured against another champion than the present one.
        """
        self._allow("challenge", subject.version)
        self._expect_champion(subject)
        self._writer.commit("challenge", subject, self.view.standing.champion, reason)

    def promote(self, subject: Subject, reason: str, *, forced: bool = False) -> None:
        """A version becomes the champion.

        Args:
            subject: the version.
            reason: one sentence.
            forced: whatever its state, and whatever it was compared with.

        Raises:
            ChampionMoved: it was measured against another champion than the present one.
            UserError: it was rejected, or was champion before.
        """
        if not forced:
            self._allow("promote", subject.version)
            self._expect_champion(subject)
        self._writer.commit("promote", subject, subject.version, reason, forced=forced)

    def roll_back(self, subject: Subject, reason: str) -> None:
        """A former champion becomes the champion again; the present one is rejected.

        Raises:
            UserError: the version was never champion, or is it now.
        """
        self._allow("rollback", subject.version)
        self._writer.commit("rollback", subject, subject.version, reason)

    def reject(self, subject: Subject, reason: str) -> None:
        """A version that waits is turned down.

        Raises:
            UserError: it does not wait.
        """
        self._allow("reject", subject.version)
        self._writer.commit("reject", subject, self.view.standing.champion, reason)

    def accept(self, reason: str) -> None:
        """Let a history that was tampered with go on, from the champion that there is."""
        self._writer.set_aside_damaged()
        actual = self.view.aliases.get(self._ledger.alias)
        self._writer.commit("accept", about(actual), actual, reason)

    def _allow(self, action: Action, version: str) -> None:
        refusal = self.view.standing.refusal(action, version)
        if refusal:
            raise UserError(f"{self._ledger.model!r}: {refusal}")

    def _expect_champion(self, subject: Subject) -> None:
        found = self.view.standing.champion
        expect_champion(self._ledger.model, self._ledger.alias, found, subject.compared_with)
