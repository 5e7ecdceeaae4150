"""The log of a step: one line an event, with the ids by which two logs are joined."""

import json
import logging
import sys
import threading
import time
import types
import warnings

import pytest

from components.shared import events
from components.shared.errors import UserError


@pytest.fixture
def in_pipeline(monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_RUN_ID", "run-7")
    monkeypatch.setenv("KUBEDISTILL_RECIPE", "digits")


@pytest.fixture
def logged(capsys):
    """Reads the lines that were printed; each must be an event."""

    def read():
        found = [events.parse_event(line) for line in capsys.readouterr().out.splitlines()]
        assert None not in found
        return found

    return read


def test_every_line_of_a_step_says_step_run_and_recipe(in_pipeline, logged):
    with events.step("train_student"):
        events.emit("resumed", done=3)

    assert [(e["event"], e["step"], e["run_id"], e["recipe"]) for e in logged()] == [
        (name, "train_student", "run-7", "digits") for name in ("started", "resumed", "finished")
    ]


def test_ids_that_the_environment_does_not_tell_are_left_out(monkeypatch, logged):
    monkeypatch.delenv("KUBEDISTILL_RUN_ID", raising=False)
    monkeypatch.setenv("KUBEDISTILL_RECIPE", "")

    events.emit("measured")

    assert logged()[0].keys() == {"event", "time", "step"}


def test_error_has_the_ids_as_well(in_pipeline, logged):
    with pytest.raises(SystemExit), events.step("evaluate"):
        raise UserError("no rows")

    error = logged()[-1]
    assert (error["event"], error["run_id"], error["message"]) == ("error", "run-7", "no rows")


def test_what_libraries_log_in_a_pod_are_events(in_pipeline, logged):
    with events.step("train"):
        logging.getLogger("botocore.retries").warning("retry %d\nof a request", 2)
        warnings.warn("old API", stacklevel=1)
        try:
            raise ValueError("bad")
        except ValueError:
            logging.getLogger("x").exception("failed")

    first, second, third = logged()[1:4]
    assert (first["event"], first["logger"], first["level"], first["run_id"], first["step"]) == (
        "log",
        "botocore.retries",
        "warning",
        "run-7",
        "train",
    )
    assert first["message"] == "retry 2\nof a request"
    assert "old API" in second["message"]
    assert third["traceback"].endswith("ValueError: bad")


def test_message_that_cannot_be_formatted_fails_no_step(in_pipeline, capsys):
    with events.step("train"):
        logging.getLogger("x").warning("%d items", "many")

    assert "finished" in capsys.readouterr().out


def test_what_threads_of_libraries_log_says_the_step(in_pipeline, logged):
    with events.step("train"):
        thread = threading.Thread(target=logging.getLogger("x").warning, args=("lost",))
        thread.start()
        thread.join()

    assert [event["step"] for event in logged()] == ["train"] * 3


def test_logging_of_libraries_is_afterwards_and_outside_of_a_pod_as_it_was(monkeypatch, logged):
    before = logging.getLogger().handlers[:]
    monkeypatch.setenv("KUBEDISTILL_RUN_ID", "run-7")
    with events.step("train"):
        assert logging.getLogger().handlers != before
    assert logging.getLogger().handlers == before

    monkeypatch.delenv("KUBEDISTILL_RUN_ID")
    with events.step("train"):
        assert logging.getLogger().handlers == before


def test_what_was_found_done_does_not_count_in_the_rate(logged):
    progress = events.Progress("training", total=1000, unit="steps", interval=0)

    progress.found(900)
    time.sleep(0.05)
    progress.update(901)

    found, worked = logged()
    assert (found["done"], found["processed"]) == (900, 0)
    assert (worked["done"], worked["processed"]) == (901, 1)
    assert worked["rate"] <= 20
    assert worked["seconds_left"] >= 99 * 0.05 - 0.1


def test_relayed_lines_are_printed_as_they_are(capsys):
    line = '{"event": "progress", "step": "of another process", "time": 1}'

    events.relay(f"{line}\n")
    events.relay("NCCL INFO ring 0")

    assert capsys.readouterr().out == f"{line}\nNCCL INFO ring 0\n"


@pytest.mark.parametrize("fields", ["", ', "time": "12:00", "step": ""', ', "time": 1'])
def test_line_of_another_logger_is_no_event_and_fails_no_step(fields, capsys):
    line = f'{{"event": "progress"{fields}}}'

    with events.step("train"):
        events.relay(line)

    assert line in capsys.readouterr().out
    assert events.parse_event(line) is None


def test_gpu_memory_is_asked_of_torch_only_where_it_uses_one(monkeypatch, logged):
    # There is no GPU here: this stands for a torch that has one at work.
    cuda = types.SimpleNamespace(is_initialized=lambda: True, max_memory_allocated=lambda: 2**31)
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    events.Progress("training", total=1, unit="steps").update(1)
    cuda.is_initialized = lambda: False
    events.Progress("training", total=1, unit="steps").update(1)

    used, unused = logged()
    assert used["gpu_memory_peak_bytes"] == 2**31
    assert "gpu_memory_peak_bytes" not in unused


def test_events_stay_json_on_one_line(capsys):
    events.emit("error", message="two\nlines")

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "two\nlines"
