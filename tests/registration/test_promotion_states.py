"""The states of versions: what leads where, and what holds after any moves."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.registration.promotion.moves import Action, Move
from components.registration.promotion.states import Standing, State, standing, successions

VERSIONS = ["1", "2", "3", "4"]
ACTIONS: list[Action] = ["register", "challenge", "promote", "rollback", "reject", "external"]


def move(action: Action, version: str | None, before: str | None) -> Move:
    moves_alias = action in {"promote", "rollback", "external"}
    return Move(
        sequence=1,
        action=action,
        at=datetime(2026, 11, 27, tzinfo=UTC),
        by="ada",
        version=version,
        champion_before=before,
        champion_after=version if moves_alias else before,
        reason="because",
        lock="file",
        previous="",
    )


def after(*steps: tuple[Action, str | None]) -> Standing:
    """What stands after these moves, each of which has to be allowed."""
    result = Standing()
    for action, version in steps:
        if version is not None:
            assert result.allows(action, version), f"{action} {version}: {result}"
        result.apply(move(action, version, result.champion))
    return result


def test_automatic_promotion_goes_from_candidate_to_champion():
    found = after(("register", "1"), ("promote", "1"), ("register", "2"), ("promote", "2"))

    assert found.states == {"1": State.FORMER, "2": State.CHAMPION}
    assert found.formers == ["1"]


def test_challenger_waits_while_the_champion_stays():
    found = after(("register", "1"), ("promote", "1"), ("register", "2"), ("challenge", "2"))

    assert (found.champion, found.challenger) == ("1", "2")


def test_later_challenger_archives_the_one_before():
    found = after(("register", "1"), ("challenge", "1"), ("register", "2"), ("challenge", "2"))

    assert found.states == {"1": State.ARCHIVED, "2": State.CHALLENGER}


def test_promotion_archives_whoever_was_measured_against_the_champion_before():
    found = after(
        ("register", "1"),
        ("register", "2"),
        ("challenge", "2"),
        ("register", "3"),
        ("promote", "3"),
    )

    assert found.states == {"1": State.ARCHIVED, "2": State.ARCHIVED, "3": State.CHAMPION}


def test_rollback_rejects_the_champion_and_goes_back_one_by_one():
    three = [step for v in "123" for step in (("register", v), ("promote", v))]

    once = after(*three, ("rollback", "2"))
    assert once.states == {"1": State.FORMER, "2": State.CHAMPION, "3": State.REJECTED}
    assert once.formers == ["1"]
    assert after(*three, ("rollback", "2"), ("rollback", "1")).formers == []


def test_rollback_past_a_former_champion_leaves_it_behind():
    three = [step for v in "123" for step in (("register", v), ("promote", v))]

    found = after(*three, ("rollback", "1"))

    assert found.states == {"1": State.CHAMPION, "2": State.FORMER, "3": State.REJECTED}
    assert found.formers == []


def test_forced_promotion_of_a_former_champion_keeps_the_others_to_go_back_to():
    three = [step for v in "123" for step in (("register", v), ("promote", v))]
    found = after(*three)

    found.apply(move("promote", "1", "3"))

    assert found.champion == "1"
    assert found.formers == ["3", "2"]


def test_alias_that_was_removed_leaves_no_champion():
    found = after(("register", "1"), ("promote", "1"), ("external", None))

    assert found.champion is None
    assert found.formers == ["1"]
    assert found.allows("rollback", "1")


@pytest.mark.parametrize(
    ("action", "steps"),
    [
        ("promote", []),
        ("promote", [("register", "1"), ("reject", "1")]),
        ("challenge", [("register", "1"), ("reject", "1")]),
        ("reject", [("register", "1"), ("promote", "1")]),
        ("rollback", [("register", "1")]),
        ("rollback", [("register", "1"), ("promote", "1")]),
        ("register", [("register", "1"), ("reject", "1")]),
    ],
)
def test_what_a_state_does_not_permit(action, steps):
    assert not after(*steps).allows(action, "1")


def numbered(*steps: tuple[Action, str | None], abandons: int | None = None) -> list[Move]:
    """These moves; the last one says which of those before it never took effect."""
    moves: list[Move] = []
    for number, (action, version) in enumerate(steps, start=1):
        made = move(action, version, moves[-1].champion_after if moves else None)
        moves.append(made.model_copy(update={"sequence": number}))
    return [*moves[:-1], moves[-1].model_copy(update={"abandons": abandons})]


def test_challenge_that_never_took_effect_leaves_the_champion_a_former_one():
    steps = [("register", "5"), ("promote", "5"), ("register", "7"), ("challenge", "7")]
    found = standing(numbered(*steps, ("external", "4"), abandons=4))

    assert found.states == {"5": State.FORMER, "7": State.ARCHIVED, "4": State.CHAMPION}
    assert found.formers == ["5"]


def test_rollback_that_never_took_effect_leaves_both_versions_to_go_back_to():
    steps = [("register", "5"), ("promote", "5"), ("register", "6"), ("promote", "6")]
    found = standing(numbered(*steps, ("rollback", "5"), ("external", "4"), abandons=5))

    assert found.champion == "4"
    assert found.formers == ["6", "5"]


def test_promotion_that_never_took_effect_is_no_succession():
    steps = [("register", "5"), ("promote", "5"), ("register", "6"), ("promote", "6")]
    moves = numbered(*steps, ("external", "5"), abandons=4)

    assert [(one.before, one.after) for one in successions(moves)] == [(None, "5")]
    assert standing(moves).states == {"5": State.CHAMPION, "6": State.ARCHIVED}


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(VERSIONS))))
def test_there_is_at_most_one_champion_and_one_challenger(steps):
    found, moves = Standing(), []
    for action, version in steps:
        if not found.allows(action, version):
            continue
        moves.append(move(action, version, found.champion))
        found.apply(moves[-1])
        states = list(found.states.values())
        assert states.count(State.CHAMPION) <= 1
        assert states.count(State.CHALLENGER) <= 1
        assert found.champion == moves[-1].champion_after
        assert len(found.lineage) == len(set(found.lineage))
        assert found.champion is None or found.lineage[-1] == found.champion
        assert all(found.states[v] == State.FORMER for v in found.formers)
    assert standing(moves) == found
