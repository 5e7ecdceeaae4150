"""Holders of one Lease keep each other out, whatever their clocks say."""

import re
import signal
import time

import pytest

from tests.cluster.holders import Holders

HOUR = 3600


def test_many_holdings_of_several_processes_never_overlap_and_have_terms_of_their_own(
    holders: Holders,
) -> None:
    processes, rounds = 4, 15
    holders.make_lease()
    (holders.folder / "number").write_text("0")

    started = [
        holders.start("count", f"p{n}", duration_s=12, patience_s=180, rounds=rounds)
        for n in range(processes)
    ]
    for holder in started:
        holder.succeed(240)

    total = processes * rounds
    assert (holders.folder / "number").read_text() == str(total)
    terms = [int(re.search(r"term (\d+) of ", line).group(1)) for line in holders.lines()]
    assert len(terms) == total
    assert terms == sorted(set(terms)), "each is greater than the one before"


def test_released_lease_is_had_at_once(holders: Holders) -> None:
    holders.make_lease()
    first = holders.start("write_often", "first", duration_s=120, seconds=4)
    holders.wait_for("first holds")
    second = holders.start("write_often", "second", duration_s=120, patience_s=180)
    holders.wait_for("first released")
    released = time.monotonic()
    holders.wait_for("second holds")

    assert time.monotonic() - released < 60
    first.succeed()
    second.succeed()
    assert holders.found().spec.holder_identity == ""


def test_holder_keeps_the_lease_by_renewal_for_longer_than_it_lasts(holders: Holders) -> None:
    for _ in holders.attempts():
        holders.make_lease()
        first = holders.start("write_often", "first", duration_s=3, seconds=7)
        holders.wait_for("first holds")
        second = holders.start("write_once", "second")
        first.end()
        second.end()
        written = holders.writers()

    first.succeed()
    second.succeed()
    assert written[-1] == "second"
    assert len(written) > 20


def test_who_waits_in_vain_is_told_who_holds_it(holders: Holders) -> None:
    holders.make_lease()
    holders.start("write_often", "first", duration_s=60, seconds=120)
    holders.wait_for("first holds")

    second = holders.start("write_once", "second", duration_s=60, patience_s=2)

    assert second.end() == 1
    holder = holders.found().spec.holder_identity
    assert f"LockBusy: the lease default/{holders.lease} is held by {holder} since" in second.said


@pytest.mark.parametrize("offset_s", [0, -HOUR, HOUR])
def test_crashed_holder_is_replaced_once_its_lease_ran_out(
    holders: Holders, offset_s: float
) -> None:
    """Also where its clock is wrong, so that its renewals seem an hour old or yet to come."""
    duration_s = 4
    for _ in holders.attempts():
        holders.make_lease()
        first = holders.start(
            "write_often", "first", duration_s=duration_s, seconds=120, clock_offset_s=offset_s
        )
        holders.wait_for("first holds")
        second = holders.start("write_once", "second", duration_s=duration_s)
        holders.wait_for_file("second.started")
        before_renewal = wait_for_renewal(holders)
        first.send(signal.SIGKILL)
        killed = time.time()
        second.end()
        written = holders.writers()

    second.succeed()
    assert written[-1] == "second"
    replaced = holders.record.stat().st_mtime
    assert replaced - before_renewal >= duration_s
    assert replaced - killed < duration_s + 40


@pytest.mark.parametrize("offset_s", [-HOUR, HOUR])
def test_live_holder_is_not_replaced_by_one_whose_clock_is_wrong(
    holders: Holders, offset_s: float
) -> None:
    for _ in holders.attempts():
        holders.make_lease()
        first = holders.start("write_often", "first", duration_s=3, seconds=6)
        holders.wait_for("first holds")
        second = holders.start("write_once", "second", duration_s=3, clock_offset_s=offset_s)
        first.end()
        second.end()
        written = holders.writers()

    first.succeed()
    second.succeed()
    assert written[-1] == "second"


def wait_for_renewal(holders: Holders) -> float:
    """The time of the last look before one."""
    before = time.time()
    deadline = before + 60
    old = holders.found().metadata.resource_version
    while time.time() < deadline:
        looked = time.time()
        if holders.found().metadata.resource_version != old:
            return before
        before = looked
        time.sleep(0.02)
    raise AssertionError("there was no renewal")
