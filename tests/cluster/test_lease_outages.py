"""The API server goes away, loses answers, or the Lease is deleted, while the lock is held."""

import math
import signal
import time

import pytest

from tests.cluster.holders import NAMESPACE, Holders, wait_until


def test_holder_refuses_before_its_lease_ends_when_the_server_is_gone(holders: Holders) -> None:
    duration_s = 6
    holders.make_lease()
    holder = holders.start("write_often", "holder", duration_s=duration_s, seconds=60)
    holders.wait_for("holder holds")
    time.sleep(duration_s / 2)
    holders.server.kill()
    killed = time.time()

    assert holder.end() == 1

    assert holders.record.stat().st_mtime - killed < duration_s
    assert "LockLost: lost the lease" in holder.said
    assert f"the Kubernetes API at {holders.server.url}: " in holder.said


def test_holder_that_is_stuck_when_the_server_is_gone_is_killed_with_a_word(
    holders: Holders,
) -> None:
    duration_s = 6
    holders.make_lease()
    holder = holders.start("be_stuck", "holder", duration_s=duration_s, seconds=60)
    holders.wait_for("holder holds")
    holders.server.kill()
    killed = time.monotonic()

    assert holder.end() == -signal.SIGKILL

    assert time.monotonic() - killed < duration_s
    assert f"lost the lease {NAMESPACE}/{holders.lease}, term 8 of " in holder.said
    assert holders.lines() == ["holder holds"]


def test_restart_of_the_server_within_the_lease_is_survived(holders: Holders) -> None:
    """On a slow machine, the server takes its time as well."""
    duration_s = 4 * math.ceil(holders.server.slowest_start_s)
    without_renewal_s = duration_s * 2 / 3
    holders.make_lease()
    holder = holders.start(
        "write_often", "holder", duration_s=duration_s, seconds=without_renewal_s + 1
    )
    holders.wait_for("holder holds")
    holders.server.kill()
    holders.server.start()

    holder.succeed()

    assert holders.found().spec.holder_identity == ""


def test_waiting_process_survives_a_restart_of_the_server(holders: Holders) -> None:
    holders.make_lease()
    first = holders.start("write_often", "first", duration_s=3, seconds=60)
    holders.wait_for("first holds")
    second = holders.start("write_once", "second", duration_s=3, patience_s=90)
    time.sleep(2)
    holders.server.kill()
    assert first.end() == 1
    holders.server.start()

    second.succeed(90)

    assert holders.lines()[-1] == "second"


@pytest.mark.parametrize("lost_answers", [1, 2])
def test_taking_is_not_delayed_by_lost_answers(holders: Holders, lost_answers: int) -> None:
    """The first look afterwards finds the Lease one's own."""
    duration_s = 30
    holders.make_lease()
    started = time.time()
    holder = holders.start("write_once", "holder", duration_s=duration_s, lost_answers=lost_answers)

    holder.succeed()

    assert holders.record.stat().st_mtime - started < duration_s / 2
    assert holders.found().spec.holder_identity == ""


def test_new_lease_is_not_given_back_before_it_was_waited_out(holders: Holders) -> None:
    """Whoever comes next has the earlier holder to fear as well."""
    holder = holders.start("write_once", "holder", duration_s=30)
    wait_until(lambda: "is new: waiting 30 s" in holder.said, 30, "the new lease")
    holder.send(signal.SIGINT)

    assert holder.end(20) != 0

    assert holders.lines() == []
    assert holders.found().spec.holder_identity != ""


def test_creation_whose_answer_was_lost_is_waited_out_too(holders: Holders) -> None:
    started = time.time()
    holder = holders.start("write_once", "holder", duration_s=3, lost_answers=1)

    holder.succeed()

    assert holders.record.stat().st_mtime - started > 3
    assert "is new: waiting 3 s" in holder.said


def test_new_lease_is_waited_out(holders: Holders) -> None:
    """It may have been deleted under a holder."""
    started = time.time()
    holder = holders.start("write_once", "holder", duration_s=3)

    holder.succeed()

    assert holders.record.stat().st_mtime - started > 3
    assert "is new: waiting 3 s" in holder.said
    assert holders.found().spec.lease_transitions == 1


def test_deleted_lease_lets_nobody_in_while_its_holder_writes(holders: Holders) -> None:
    for _ in range(3):
        holders.record.write_text("")
        first = holders.start("write_often", "first", duration_s=3, seconds=30)
        holders.wait_for("first holds")
        second = holders.start("write_once", "second", duration_s=3)
        time.sleep(1)
        holders.leases.delete_namespaced_lease(holders.lease, NAMESPACE)

        assert first.end() == 1
        second.succeed()

        assert "somebody deleted it" in first.said or "is held by" in first.said
        written = [line for line in holders.lines() if line in ("first", "second")]
        assert written == [*["first"] * (len(written) - 1), "second"]


def test_label_that_somebody_adds_changes_nothing(holders: Holders) -> None:
    holders.make_lease()
    holder = holders.start("write_often", "holder", seconds=4)
    holders.wait_for("holder holds")
    label = {"metadata": {"labels": {"owner": "platform"}}}
    holders.leases.patch_namespaced_lease(holders.lease, NAMESPACE, label)

    holder.succeed()

    found = holders.found()
    assert found.metadata.labels == {"owner": "platform"}
    assert found.spec.holder_identity == ""
