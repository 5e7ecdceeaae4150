"""The event of a move, read by the official CloudEvents SDK."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from hooks_history import ORIGIN, START, write_history
from pipeline_run_files import write_pipeline_run

from components.registration.hooks.cloud_event import (
    CONTENT_TYPE,
    Origin,
    event_of_move,
    event_of_rejection,
)
from components.registration.promotion.moves import Entry
from components.shared.results import Decision

HISTORY = write_history()


def read(event):
    """The event as a receiver with the SDK sees it."""
    return from_structured_event(HTTPMessage({"content-type": CONTENT_TYPE}, event.body))


def test_promotion_tells_what_a_receiver_needs():
    entry = HISTORY[4]

    event = event_of_move(entry, ORIGIN, {"accuracy": 0.97, "latency_p95_ms": 0.2})

    seen = read(event)
    assert seen.get_specversion() == "1.0"
    assert seen.get_type() == "io.kubedistill.model.promoted.v1"
    assert seen.get_id() == event.id
    assert seen.get_source() == "https://mlflow.example.org/#/models/digits%20student"
    assert seen.get_subject() == "digits student/2"
    assert seen.get_time() == entry.move.at
    assert seen.get_datacontenttype() == "application/json"
    assert seen.get_extension("sequence") == "0000000005"
    assert seen.get_data() == {
        "model": "digits student",
        "alias": "champion",
        "sequence": 5,
        "version": "2",
        "champion_before": "1",
        "champion_after": "2",
        "compared_with": "1",
        "by": "ada@workstation",
        "reason": "because of “promote”",
        "forced": False,
        "run_id": "run-2",
        "decision_digest": "d" * 64,
        "model_digest": "e" * 64,
        "record_digest": entry.digest,
        "figures": {"accuracy": 0.97, "latency_p95_ms": 0.2},
    }


def test_moves_are_the_events_that_their_action_says():
    events = [event_of_move(entry, ORIGIN) for entry in HISTORY]

    assert [event and event.name for event in events] == [
        None,
        "promoted",
        None,
        "challenger",
        "promoted",
        "rejected",
        "rolled_back",
        "moved",
    ]
    assert all(
        read(event).get_type() == f"io.kubedistill.model.{event.name}.v1"
        for event in events
        if event
    )


@pytest.mark.parametrize(
    ("after", "expected"), [("2", "moved"), (None, "moved"), ("1", None)], ids=str
)
@pytest.mark.parametrize("action", ["external", "accept"])
def test_what_was_done_elsewhere_is_an_event_where_the_champion_is_another(action, after, expected):
    last = write_history([("promote", "1", "1"), (action, after, after)])[-1]

    event = event_of_move(last, ORIGIN)

    assert (event.name if event else None) == expected


def test_alias_that_is_gone_is_about_the_model():
    last = write_history([("promote", "1", "1"), ("external", None, None)])[-1]

    seen = read(event_of_move(last, ORIGIN))

    assert seen.get_subject() == "digits student"
    assert (seen.get_data()["champion_before"], seen.get_data()["champion_after"]) == ("1", None)


def test_event_is_the_same_bytes_every_time():
    first = event_of_move(HISTORY[1], ORIGIN, {"a": 1.0, "b": 2.0})
    again = event_of_move(
        Entry.of(type(HISTORY[1].move).model_validate_json(HISTORY[1].text)),
        Origin("https://mlflow.example.org/", "digits student", "champion"),
        {"b": 2.0, "a": 1.0},
    )

    assert again == first


def test_id_differs_where_the_move_the_model_or_the_alias_does():
    other_model = Origin(ORIGIN.tracking_uri, "other", "champion")
    other_alias = Origin(ORIGIN.tracking_uri, ORIGIN.model, "canary")
    edited = Entry.of(HISTORY[1].move.model_copy(update={"reason": "edited"}))

    ids = {
        event_of_move(entry, origin).id
        for entry, origin in (
            (HISTORY[1], ORIGIN),
            (HISTORY[4], ORIGIN),
            (HISTORY[1], other_model),
            (HISTORY[1], other_alias),
            (edited, ORIGIN),
        )
    }

    assert len(ids) == 5
    assert all(set(event_id) <= set("0123456789abcdef") for event_id in ids)


def test_figures_do_not_change_the_id():
    with_figures = event_of_move(HISTORY[1], ORIGIN, {"accuracy": 0.9})

    assert with_figures.id == event_of_move(HISTORY[1], ORIGIN).id


def test_figure_that_json_has_no_number_for_is_left_out():
    event = event_of_move(HISTORY[1], ORIGIN, {"a": float("nan"), "b": float("inf"), "c": 1.0})

    assert json.loads(event.body)["data"]["figures"] == {"c": 1.0}


def test_time_is_told_in_utc():
    local = START.astimezone(timezone(timedelta(hours=2)))
    entry = Entry.of(HISTORY[1].move.model_copy(update={"at": local}))

    assert json.loads(event_of_move(entry, ORIGIN).body)["time"] == "2026-11-27T10:30:00Z"


@pytest.fixture(scope="module")
def rejected(tmp_path_factory) -> Decision:
    run = write_pipeline_run(tmp_path_factory.mktemp("run"), "run-7", verdict="reject")
    return Decision.model_validate_json(run.inputs.decision.read_bytes())


def test_rejection_by_the_gates_is_an_event_without_a_version(rejected):
    at = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)

    event = event_of_rejection(rejected, "c" * 64, "run-7", ORIGIN, at)

    seen = read(event)
    assert event.name == "rejected"
    assert seen.get_type() == "io.kubedistill.model.rejected.v1"
    assert (seen.get_subject(), seen.get_time()) == ("digits student", at)
    data = seen.get_data()
    assert (data["version"], data["by"], data["run_id"]) == (None, "gates", "run-7")
    assert (data["reason"], data["decision_digest"]) == (rejected.summary, "c" * 64)
    assert data["model_digest"] == rejected.student_digest


def test_rejections_of_persons_and_of_gates_have_the_same_fields(rejected):
    by_gates = event_of_rejection(rejected, "c" * 64, "run-7", ORIGIN, START)
    by_person = event_of_move(HISTORY[5], ORIGIN)

    assert by_person.name == by_gates.name == "rejected"
    assert read(by_person).get_data().keys() == read(by_gates).get_data().keys()


def test_rejection_of_a_retried_run_has_the_same_id_and_of_another_verdict_another(rejected):
    first = event_of_rejection(rejected, "c" * 64, "run-7", ORIGIN, START)
    again = event_of_rejection(rejected, "c" * 64, "run-7", ORIGIN, START)
    judged_anew = event_of_rejection(rejected, "b" * 64, "run-7", ORIGIN, START)

    assert again == first
    assert judged_anew.id != first.id
