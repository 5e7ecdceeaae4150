"""The API server goes away, loses answers, or the Lease is deleted, while the lock is held."""

import math
import re
import signal
import time
from datetime import UTC, datetime

import pytest

from tests.cluster.holders import NAMESPACE, Holders, wait_until


def test_holder_refuses_before_its_lease_ends_when_the_server_is_gone(holders: Holders) -> None:
    duration_s = 6
    refusal = re.compile(f"LockLost: lost the lease .*the Kubernetes API at {holders.server.url}")
    for _ in holders.attempts(lambda holder: not refusal.search(holder.said)):
        holders.server.start()
        holders.make_lease()
        holder = holders.start("write_often", "holder", duration_s=duration_s, seconds=60)
        holders.wait_for("holder holds")
        time.sleep(duration_s / 2)
        holders.server.kill()
        killed = time.time()
        ended = holder.end()
        assert holders.record.stat().st_mtime - killed < duration_s

    assert ended == 1
    assert refusal.search(holder.said)


def test_holder_that_is_stuck_when_the_server_is_gone_is_killed_with_a_word(
    holders: Holders,
) -> None:
    duration_s = 6
    for _ in holders.attempts(lambda holder: "lost the lease" not in holder.said):
        holders.server.start()
        holders.make_lease()
        holder = holders.start("be_stuck", "holder", duration_s=duration_s, seconds=60)
        holders.wait_for("holder holds")
        holders.server.kill()
        killed = time.time()
        assert holder.end() == -signal.SIGKILL
        assert (holders.folder / "holder.beat").stat().st_mtime - killed < duration_s
        assert holders.lines() == ["holder holds"]

    assert f"lost the lease {NAMESPACE}/{holders.lease}, term " in holder.said


def test_restart_of_the_server_within_the_lease_is_survived(holders: Holders) -> None:
    """On a slow machine, the server takes its time as well."""
    duration_s = max(60, 4 * math.ceil(holders.server.slowest_start_s))
    holders.make_lease()
    holder = holders.start("write_often", "holder", duration_s=duration_s, seconds=3 * duration_s)
    holders.wait_for("holder holds")
    holders.server.kill()
    killed = datetime.now(UTC)
    holders.server.start()
    wait_until(lambda: holders.found().spec.renew_time > killed, duration_s, "a renewal")
    (holders.folder / "stop").touch()

    holder.succeed()

    assert holders.found().spec.holder_identity == ""


def test_waiting_process_survives_a_restart_of_the_server(holders: Holders) -> None:
    holders.make_lease()
    first = holders.start("write_often", "first", duration_s=3, seconds=60)
    holders.wait_for("first holds")
    second = holders.start("write_once", "second", duration_s=3, patience_s=240)
    time.sleep(2)
    holders.server.kill()
    assert first.end() in (1, -signal.SIGKILL)
    holders.server.start()

    second.succeed(240)

    assert holders.lines()[-1] == "second"


@pytest.mark.parametrize("lost_answers", [1, 2])
def test_taking_is_not_delayed_by_lost_answers(holders: Holders, lost_answers: int) -> None:
    """The first look afterwards finds the Lease one's own."""
    holders.make_lease()
    started = time.time()
    holder = holders.start("write_once", "holder", duration_s=90, lost_answers=lost_answers)

    holder.succeed()

    assert holders.record.stat().st_mtime - started < 60
    assert holders.found().spec.holder_identity == ""


def test_new_lease_is_not_given_back_before_it_was_waited_out(holders: Holders) -> None:
    """Whoever comes next has the earlier holder to fear as well."""
    holder = holders.start("write_once", "holder", duration_s=30)
    wait_until(lambda: "is new: waiting 30 s" in holder.said, 90, "the new lease")
    holder.send(signal.SIGINT)

    assert holder.end(60) != 0

    assert holders.lines() == []
    assert holders.found().spec.holder_identity != ""


def test_creation_whose_answer_was_lost_is_waited_out_too(holders: Holders) -> None:
    for _ in holders.attempts():
        started = time.time()
        holder = holders.start("write_once", "holder", duration_s=3, lost_answers=1)
        holder.end()

    holder.succeed()
    assert holders.record.stat().st_mtime - started > 3
    assert "is new: waiting 3 s" in holder.said


def test_new_lease_is_waited_out(holders: Holders) -> None:
    """It may have been deleted under a holder."""
    for _ in holders.attempts():
        started = time.time()
        holder = holders.start("write_once", "holder", duration_s=3)
        holder.end()

    holder.succeed()
    assert holders.record.stat().st_mtime - started > 3
    assert "is new: waiting 3 s" in holder.said
    assert holders.found().spec.lease_transitions >= 1


def test_deleted_lease_lets_nobody_in_while_its_holder_writes(holders: Holders) -> None:
    for _ in range(3):
        for _ in holders.attempts():
            holders.make_lease()
            first = holders.start("write_often", "first", duration_s=3, seconds=30)
            holders.wait_for("first holds")
            second = holders.start("write_once", "second", duration_s=3)
            time.sleep(1)
            holders.leases.delete_namespaced_lease(holders.lease, NAMESPACE)
            ended = first.end()
            second.end()
            written = holders.writers()

        assert ended == 1
        assert "somebody deleted it" in first.said or "is held by" in first.said
        second.succeed()
        assert written[-1] == "second"


def test_label_that_somebody_adds_changes_nothing(holders: Holders) -> None:
    holders.make_lease()
    holder = holders.start("write_often", "holder", duration_s=30, seconds=12)
    holders.wait_for("holder holds")
    label = {"metadata": {"labels": {"owner": "platform"}}}
    holders.leases.patch_namespaced_lease(holders.lease, NAMESPACE, label)

    holder.succeed()

    found = holders.found()
    assert found.metadata.labels == {"owner": "platform"}
    assert found.spec.holder_identity == ""
