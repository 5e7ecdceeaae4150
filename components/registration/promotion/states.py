"""What a version is, by the history of the alias: a small state machine, without MLflow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from components.registration.promotion.moves import Action, Move


class State(StrEnum):
    """The states of a version."""

    CANDIDATE = "candidate"
    """Registered; its gates passed."""
    CHALLENGER = "challenger"
    """Waits for approval."""
    CHAMPION = "champion"
    """Serving reads it."""
    FORMER = "former"
    """Was champion, and can be again by a rollback."""
    REJECTED = "rejected"
    """A person turned it down, or rolled it back."""
    ARCHIVED = "archived"
    """Another version was promoted, or challenged, while it waited."""


_FROM: dict[Action, frozenset[State | None]] = {
    "register": frozenset({None, State.CANDIDATE, State.FORMER, State.ARCHIVED}),
    "challenge": frozenset({State.CANDIDATE, State.CHALLENGER, State.ARCHIVED}),
    "promote": frozenset({State.CANDIDATE, State.CHALLENGER, State.ARCHIVED}),
    "reject": frozenset({State.CANDIDATE, State.CHALLENGER}),
    "rollback": frozenset({State.FORMER}),
    "external": frozenset({None, *State}),
    "accept": frozenset({None, *State}),
}
"""From which states an action leads on; ``None`` is a version that the history does not know.
By force, a version can be promoted from every state."""
_VERBS: dict[Action, str] = {
    "register": "registered",
    "challenge": "made to wait for approval",
    "promote": "promoted",
    "reject": "rejected",
    "rollback": "rolled back to",
}
_IN_WORDS = {
    State.CANDIDATE: "a candidate, which does not wait for approval",
    State.CHALLENGER: "the challenger",
    State.CHAMPION: "the champion",
    State.FORMER: "a former champion",
    State.REJECTED: "rejected",
    State.ARCHIVED: "archived, since another version was promoted or challenged while it waited",
}
_TO: dict[Action, State] = {
    "register": State.CANDIDATE,
    "challenge": State.CHALLENGER,
    "promote": State.CHAMPION,
    "reject": State.REJECTED,
    "rollback": State.CHAMPION,
    "external": State.CHAMPION,
    "accept": State.CHAMPION,
}


@dataclass
class Standing:
    """Where all versions stand after some moves."""

    states: dict[str, State] = field(default_factory=dict)
    lineage: list[str] = field(default_factory=list)
    """The champions that a rollback can go back to and, last, the present one."""

    @property
    def champion(self) -> str | None:
        """The version that the alias should be on."""
        return self._only(State.CHAMPION)

    @property
    def challenger(self) -> str | None:
        """The version that waits for approval."""
        return self._only(State.CHALLENGER)

    @property
    def formers(self) -> list[str]:
        """Versions that a rollback can restore, the latest first."""
        return [v for v in reversed(self.lineage) if self.states[v] == State.FORMER]

    def allows(self, action: Action, version: str) -> bool:
        """Whether the state of a version permits an action."""
        return self.states.get(version) in _FROM[action]

    def refusal(self, action: Action, version: str) -> str | None:
        """Why the state of a version does not permit an action; null where it does."""
        if self.allows(action, version):
            return None
        state = self.states.get(version)
        why = f"it is {_IN_WORDS[state]}" if state else "the model's history does not know it"
        return f"version {version} cannot be {_VERBS[action]}: {why}"

    def apply(self, move: Move) -> None:
        """Follow one more move."""
        if move.champion_after != self.champion:
            self._replace_champion(move)
        if move.action == "challenge":
            self._set_all(State.CHALLENGER, State.ARCHIVED)
        if move.version is None:
            return
        self.states[move.version] = _TO[move.action]
        if _TO[move.action] == State.CHAMPION:
            self._follow(move.version, forget_later=move.action == "rollback")

    def leave_out(self, move: Move) -> None:
        """Follow a move that never took effect: whoever was to become champion waits no more."""
        if move.version is None or _TO[move.action] != State.CHAMPION:
            return
        if self.states.get(move.version) in {State.CANDIDATE, State.CHALLENGER, None}:
            self.states[move.version] = State.ARCHIVED

    def _replace_champion(self, move: Move) -> None:
        """The champion goes, and whoever was measured against it is out of date."""
        if self.champion is not None:
            left = State.REJECTED if move.action == "rollback" else State.FORMER
            self.states[self.champion] = left
        self._set_all(State.CANDIDATE, State.ARCHIVED)
        self._set_all(State.CHALLENGER, State.ARCHIVED)

    def _follow(self, version: str, *, forget_later: bool) -> None:
        """The version is the latest; a rollback also leaves behind what came after it."""
        if version in self.lineage:
            place = self.lineage.index(version)
            del self.lineage[place : None if forget_later else place + 1]
        self.lineage.append(version)

    def _set_all(self, old: State, new: State) -> None:
        for version, state in self.states.items():
            if state == old:
                self.states[version] = new

    def _only(self, state: State) -> str | None:
        return next((v for v, found in self.states.items() if found == state), None)


@dataclass(frozen=True)
class Succession:
    """One champion after another."""

    before: str | None
    after: str | None
    at: datetime


def abandoned_by(moves: Iterable[Move]) -> set[int]:
    """Sequence numbers of the moves that never took effect, as later ones found."""
    return {move.abandons for move in moves if move.abandons is not None}


def standing(moves: Sequence[Move]) -> Standing:
    """Where all versions stand after ``moves``, in their order."""
    result, abandoned = Standing(), abandoned_by(moves)
    for move in moves:
        if move.sequence in abandoned:
            result.leave_out(move)
        else:
            result.apply(move)
    return result


def successions(moves: Sequence[Move]) -> list[Succession]:
    """Each change of the champion that took effect, in their order."""
    found, champion, abandoned = [], None, abandoned_by(moves)
    for move in moves:
        if move.sequence not in abandoned and move.champion_after != champion:
            found.append(Succession(champion, move.champion_after, move.at))
            champion = move.champion_after
    return found
