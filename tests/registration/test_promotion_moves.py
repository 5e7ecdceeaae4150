"""The chain of records: whatever is changed in it shows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.registration.promotion.moves import (
    Entry,
    HistoryTampered,
    Move,
    digest_of_records,
    verify,
)

START = datetime(2026, 11, 27, tzinfo=UTC)


def chain(champions: list[str | None]) -> list[Entry]:
    """A history in which the alias was on one version after the other."""
    entries: list[Entry] = []
    before = None
    for number, after in enumerate(champions, start=1):
        move = Move(
            sequence=number,
            action="promote",
            at=START + timedelta(hours=number),
            by="ada@host",
            version=after,
            champion_before=before,
            champion_after=after,
            reason="it was better",
            lock="file",
            previous=entries[-1].digest if entries else "",
        )
        entries.append(Entry.of(move))
        before = after
    return entries


histories = st.lists(st.integers(1, 9).map(str), min_size=1, max_size=8).map(chain)


@given(histories)
def test_history_as_it_was_written_is_intact(entries):
    verify(entries, len(entries))


@given(histories, st.data())
def test_edited_record_is_noticed(entries, data):
    place = data.draw(st.integers(0, len(entries) - 1))
    edited = entries[place].move.model_copy(update={"reason": "it was cheaper"})
    changed = [*entries[:place], Entry.of(edited), *entries[place + 1 :]]

    with pytest.raises(HistoryTampered, match=f"move {place + 1} was edited"):
        verify(changed, len(changed), entries[-1].digest)


@given(histories, st.data())
def test_removed_record_is_named(entries, data):
    place = data.draw(st.integers(0, len(entries) - 1))

    with pytest.raises(HistoryTampered, match=f"move {place + 1} is missing"):
        verify([*entries[:place], *entries[place + 1 :]], len(entries))


def test_record_that_starts_from_another_champion_is_noticed():
    first, second = chain(["1", "2"])
    wrong = second.move.model_copy(update={"champion_before": "7"})

    with pytest.raises(HistoryTampered, match="starts from champion 7, but the move before left 1"):
        verify([first, Entry.of(wrong)], 2)


def acceptance(of: list[Entry]) -> Move:
    """The move by which a person accepts these records."""
    return of[-1].move.model_copy(
        update={
            "sequence": 4,
            "action": "accept",
            "champion_before": "3",
            "champion_after": "3",
            "accepts": digest_of_records(of),
            "previous": of[-1].digest,
        }
    )


def test_what_a_person_accepted_cannot_be_changed_afterwards():
    first, second, third = chain(["1", "2", "3"])
    accepted = Entry.of(acceptance([first, third]))
    edited = Entry.of(first.move.model_copy(update={"reason": "it was cheaper"}))

    for changed in ([third], [edited, third], [first], [], [first, second, third]):
        with pytest.raises(HistoryTampered, match="what move 4 had accepted was changed"):
            verify([*changed, accepted], 4)


def test_acceptance_that_was_not_confirmed_yet_counts():
    first, second, third = chain(["1", "2", "3"])
    edited = Entry.of(third.move.model_copy(update={"reason": "it was cheaper"}))

    verify([first, second, edited, Entry.of(acceptance([first, second, edited]))], 3, third.digest)


def test_after_a_person_accepted_it_only_later_damage_counts():
    first, second, third = chain(["1", "2", "3"])
    accepted = acceptance([first, third])
    entries = [first, third, Entry.of(accepted)]
    verify(entries, 4)

    later = accepted.model_copy(update={"sequence": 5, "action": "promote", "previous": "0" * 64})
    with pytest.raises(HistoryTampered, match="move 4 was edited"):
        verify([*entries, Entry.of(later)], 5)
    assert second.move.sequence == 2


def test_record_is_the_same_after_it_was_read_back():
    (entry,) = chain(["1"])

    assert Entry.of(Move.model_validate_json(entry.text)) == entry
    assert len(entry.text) < 1500
