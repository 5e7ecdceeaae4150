"""A holder that slept through its lease never writes again."""

import signal
import time

import pytest

from tests.cluster.holders import Holders

POINTS = {
    "taken": [],
    "between check and write 1": [],
    "after write 1": ["sleeper 1"],
    "between check and write 2": ["sleeper 1"],
    "after write 2": ["sleeper 1", "sleeper 2"],
}
"""Where the sleeper is stopped, and what it has written until then."""


@pytest.mark.parametrize("point", POINTS)
def test_stopped_holder_dies_instead_of_writing_after_the_take_over(
    holders: Holders, point: str
) -> None:
    holders.make_lease()
    sleeper = holders.start("be_stopped", "sleeper", stop_at=point)
    sleeper.wait_until_stopped()

    holders.start("write_once", "taker").succeed()
    assert holders.lines() == [*POINTS[point], "taker"]
    sleeper.send(signal.SIGCONT)

    assert sleeper.end() == -signal.SIGKILL
    assert holders.lines() == [*POINTS[point], "taker"]


def test_holder_that_is_stopped_anywhere_never_writes_after_the_take_over(
    holders: Holders,
) -> None:
    """At other moments: in a write, in a renewal, in a request that is on its way."""
    for number in range(6):
        for _ in holders.attempts():
            holders.make_lease()
            sleeper = holders.start("write_often", "sleeper", duration_s=2, seconds=60)
            holders.wait_for("sleeper holds")
            taker = holders.start("write_once", "taker", duration_s=2)
            time.sleep(0.27 * number)
            sleeper.send(signal.SIGSTOP)
            taker.end()
            sleeper.send(signal.SIGCONT)
            ended = sleeper.end()
            written = holders.writers()

        taker.succeed()
        assert ended == -signal.SIGKILL
        assert written[-1] == "taker"


def test_holder_that_slept_for_less_than_its_lease_goes_on(holders: Holders) -> None:
    holders.make_lease()
    sleeper = holders.start("be_stopped", "sleeper", duration_s=60, stop_at="after write 1")
    sleeper.wait_until_stopped()
    time.sleep(3)
    sleeper.send(signal.SIGCONT)

    sleeper.succeed()

    assert holders.lines() == ["sleeper 1", "sleeper 2", "sleeper released"]


def test_holder_may_sleep_for_as_long_as_it_likes_once_it_has_released(holders: Holders) -> None:
    holders.make_lease()
    sleeper = holders.start("be_stopped", "sleeper", stop_at="released")
    sleeper.wait_until_stopped()
    time.sleep(3)
    sleeper.send(signal.SIGCONT)

    sleeper.succeed()

    assert holders.lines()[-1] == "sleeper released"


def test_holder_stopped_while_it_waits_takes_nothing_that_was_renewed_meanwhile(
    holders: Holders,
) -> None:
    for _ in holders.attempts():
        holders.make_lease()
        first = holders.start("write_often", "first", seconds=120)
        holders.wait_for("first holds")
        second = holders.start("write_once", "second")
        holders.wait_for_file("second.started")
        time.sleep(1)
        second.send(signal.SIGSTOP)
        time.sleep(5)
        second.send(signal.SIGCONT)
        time.sleep(1)
        (holders.folder / "stop").touch()
        first.end()
        second.end()
        written = holders.writers()

    first.succeed()
    second.succeed()
    assert written[-1] == "second"
