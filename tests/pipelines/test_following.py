import io
import json
from typing import Any

from pipelines.cli.progress import describe
from pipelines.following import Follower


def line(event: str, time: float, step: str, **fields: Any) -> str:
    return json.dumps({"event": event, "time": time, "step": step, **fields}) + "\n"


def test_time_is_split_into_startup_and_work_without_gaps() -> None:
    follower = Follower(io.StringIO(), lambda _: None, _previous_end=100.0)
    follower.write("    " + line("started", 103.0, "a"))
    follower.write("noise\n" + line("finished", 108.0, "a"))
    follower.write(line("started", 108.5, "b") + line("finished", 109.0, "b"))
    assert (follower.timings["a"].startup, follower.timings["a"].work) == (3.0, 5.0)
    assert (follower.timings["b"].startup, follower.timings["b"].work) == (0.5, 0.5)


def test_events_are_found_in_output_that_comes_in_pieces() -> None:
    seen: list[str] = []
    log = io.StringIO()
    follower = Follower(log, lambda event: seen.append(event["event"]))
    text = "    " + line("started", 1.0, "a") + "{not json}\n" + line("finished", 2.0, "a")
    for character in text:
        follower.write(character)
    assert seen == ["started", "finished"]
    assert log.getvalue() == text


def test_error_event_is_kept() -> None:
    follower = Follower(io.StringIO(), lambda _: None)
    follower.write(line("error", 1.0, "a", kind="user", message="no rows"))
    assert follower.error is not None
    assert follower.error["message"] == "no rows"


def test_progress_line_has_loss_rate_and_time_left() -> None:
    event = {
        "activity": "student",
        "done": 50,
        "total": 1600,
        "unit": "steps",
        "loss": 0.12345,
        "rate": 800.4,
        "seconds_left": 1.94,
    }
    assert describe(event) == "student, 50/1,600 steps, loss 0.1235, 800/s, 2 s left"
