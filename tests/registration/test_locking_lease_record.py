"""Reading and writing a Lease's record, without a server."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.registration.locking.lease_record import Lease, Sightings, new_lease
from components.registration.locking.names import lease_name, lock_file_name

DURATION_S = 30


def lease(resource_version: str = "1", **spec: Any) -> Lease:
    document = new_lease("lock", "somebody", DURATION_S)
    document["metadata"] |= {"uid": "u", "resourceVersion": resource_version}
    document["spec"] |= spec
    return Lease(document)


def test_new_lease_is_its_creators_first_term() -> None:
    made = Lease(new_lease("lock", "me", DURATION_S))

    assert (made.holder, made.term, made.duration_s) == ("me", 1, DURATION_S)


@pytest.mark.parametrize("holder", ["", None, "somebody"])
def test_every_holding_has_a_greater_term(holder: str | None) -> None:
    taken = Lease(lease(holderIdentity=holder, leaseTransitions=4).taken("me", 20))

    assert (taken.holder, taken.term, taken.duration_s) == ("me", 5, 20)


def test_renewal_and_release_keep_the_term_and_what_others_wrote() -> None:
    found = lease(leaseTransitions=4, strategy="OldestEmulationVersion")
    found.document["metadata"]["labels"] = {"owner": "platform"}

    released = Lease(Lease(found.renewed()).released())

    assert (released.holder, released.term) == (None, 4)
    assert released.document["spec"]["strategy"] == "OldestEmulationVersion"
    assert released.document["metadata"] == found.document["metadata"]


def test_times_always_have_microseconds() -> None:
    """Kubernetes refuses others, as one in a million would be without."""
    spec = new_lease("lock", "me", DURATION_S)["spec"]

    for name in ("acquireTime", "renewTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", spec[name])


def test_held_lease_is_free_once_it_was_seen_unchanged_for_its_duration() -> None:
    sightings = Sightings(default_duration_s=1)

    assert not sightings.is_free(lease("1"), at=100)
    assert not sightings.is_free(lease("1"), at=129.9)
    assert sightings.is_free(lease("1"), at=130)


def test_every_change_starts_the_wait_anew() -> None:
    sightings = Sightings(default_duration_s=1)

    assert not sightings.is_free(lease("1"), at=100)
    assert not sightings.is_free(lease("2"), at=129)
    assert not sightings.is_free(lease("2"), at=158)
    assert sightings.is_free(lease("2"), at=159)


@pytest.mark.parametrize("renewed", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
def test_what_the_holders_clock_says_plays_no_part(renewed: str) -> None:
    sightings = Sightings(default_duration_s=1)

    assert not sightings.is_free(lease(renewTime=renewed), at=100)
    assert sightings.is_free(lease(renewTime=renewed), at=130)


@pytest.mark.parametrize("holder", ["", None])
def test_released_lease_is_free_at_once(holder: str | None) -> None:
    assert Sightings(default_duration_s=1).is_free(lease(holderIdentity=holder), at=100)


def test_lease_without_a_duration_lasts_as_long_as_ones_own() -> None:
    sightings = Sightings(default_duration_s=5)
    found = lease(leaseDurationSeconds=None)

    assert not sightings.is_free(found, at=100)
    assert sightings.is_free(found, at=105)


@given(model=st.text(min_size=1), alias=st.text(min_size=1))
def test_names_are_labels_and_file_names(model: str, alias: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", lease_name(model, alias))
    assert re.fullmatch(
        r"[a-z0-9][-a-z0-9]{0,62}\.lock", lock_file_name("http://mlflow", model, alias)
    )


def test_name_can_be_read() -> None:
    assert re.fullmatch(
        r"kubedistill-digits-student-champion-[0-9a-f]{12}",
        lease_name("digits_student", "champion"),
    )


def test_what_looks_the_same_as_a_label_has_names_of_its_own() -> None:
    models = [
        ("a.b", "c"),
        ("a-b", "c"),
        ("a", "b-c"),
        ("A-B", "c"),
        ("x" * 90, "c"),
        ("x" * 91, "c"),
    ]

    assert len({lease_name(*model) for model in models}) == len(models)
    assert lease_name("m", "champion") != lease_name("m", "champion-eu")
    assert lock_file_name("http://a", "m", "c") != lock_file_name("http://b", "m", "c")
