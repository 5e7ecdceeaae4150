"""What a step measures of itself, and where it goes."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.shared import events, telemetry
from components.shared.telemetry.measurements import Measurements


@dataclass
class Gateway:
    """An HTTP server in the place of a Pushgateway, which keeps what is put to it."""

    url: str
    status: int = 200
    puts: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found.puts.append((self.path, body))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Gateway(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_RUN_ID", "run-7")
    monkeypatch.setenv("KUBEDISTILL_RECIPE", "digits")


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            assert (sample.labels.pop("recipe"), sample.labels.pop("step")) == ("digits", "a_step")
            name = sample.name.removeprefix("kubedistill_")
            found.setdefault(name, []).append((sample.labels, sample.value))
    return found


def run_step() -> None:
    with events.step("a_step"):
        labelling = events.Progress("labelling", total=100, unit="rows")
        labelling.found(60)
        labelling.update(100)
        for steps in (10, 30):  # two trainings of one name
            events.Progress("student", total=steps, unit="steps").update(steps)
        events.emit("decided", verdict="reject", gates={"gates.accuracy.min": True, "b": False})
        events.emit("registered", outcome="rejected")


def test_metrics_of_a_step_are_in_the_textfile(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_METRICS_FILE", str(tmp_path / "{step}.prom"))

    run_step()

    text = (tmp_path / "a_step.prom").read_text()
    found = samples(text)
    assert found["step_info"] == [({"run_id": "run-7"}, 1)]
    assert found["step_succeeded"] == [({}, 1)]
    assert found["labelled_rows_total"] == [({}, 40)]
    assert found["labelling_rows_per_second"][0][1] > 0
    assert found["training_steps_total"] == [({"activity": "student"}, 40)]
    assert found["training_steps_per_second"][0][1] > 0
    assert found["gate_passed"] == [({"gate": "gates.accuracy.min"}, 1), ({"gate": "b"}, 0)]
    assert found["verdict"] == [({"verdict": "promote"}, 0), ({"verdict": "reject"}, 1)]
    assert ({"outcome": "rejected"}, 1) in found["outcome"]
    assert sum(value for _, value in found["outcome"]) == 1
    assert "# TYPE kubedistill_labelled_rows_total counter" in text
    assert [path.name for path in tmp_path.iterdir()] == ["a_step.prom"]


def test_failed_step_is_in_the_metrics(tmp_path, monkeypatch):
    path = tmp_path / "metrics.prom"
    monkeypatch.setenv("KUBEDISTILL_METRICS_FILE", str(path))
    with pytest.raises(ZeroDivisionError), events.step("a_step"):
        _ = 1 / 0
    assert samples(path.read_text())["step_succeeded"] == [({}, 0)]

    with pytest.raises(SystemExit), events.step("a_step"):
        sys.exit(143)  # as after SIGTERM
    assert samples(path.read_text())["step_succeeded"] == [({}, 0)]


def test_pushgateway_gets_one_group_for_each_recipe_and_step(gateway, monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_PUSHGATEWAY", gateway.url)

    run_step()

    ((path, body),) = gateway.puts
    assert path == "/metrics/job/kubedistill/recipe/digits/step/a_step"
    assert samples(body)["labelled_rows_total"] == [({}, 40)]


def test_metrics_are_pushed_while_a_step_works(gateway, monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_PUSHGATEWAY", gateway.url)
    monkeypatch.setattr(telemetry.publishing, "_INTERVAL_S", 0.0)

    with events.step("a_step"):
        events.Progress("labelling", total=10, unit="rows", interval=0).update(4)
        (_, body) = gateway.puts[0]

    assert samples(body)["labelled_rows_total"] == [({}, 4)]
    assert "step_succeeded" not in samples(body)


def test_relayed_events_of_another_process_are_measured(tmp_path, monkeypatch):
    path = tmp_path / "metrics.prom"
    monkeypatch.setenv("KUBEDISTILL_METRICS_FILE", str(path))
    program = (
        "from components.shared.events import Progress; "
        "Progress('teacher', total=8, unit='steps').update(8)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    with events.step("a_step"):
        for line in ran.stdout.splitlines(keepends=True):
            events.relay(line)

    assert samples(path.read_text())["training_steps_total"] == [({"activity": "teacher"}, 8)]


@pytest.mark.parametrize("status", [400, 500])
def test_pushgateway_that_refuses_is_one_warning(gateway, monkeypatch, capsys, status):
    monkeypatch.setenv("KUBEDISTILL_PUSHGATEWAY", gateway.url)
    monkeypatch.setattr(telemetry.publishing, "_INTERVAL_S", 0.0)
    gateway.status = status

    run_step()

    (warning,) = warnings_in(capsys.readouterr().out)
    assert str(status) in warning["reason"]
    assert len(gateway.puts) == 2  # the first one, and once more at the end


def test_what_cannot_be_written_fails_no_step_and_says_no_password(tmp_path, monkeypatch, capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        closed = f"http://ada:hunter2@127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("KUBEDISTILL_PUSHGATEWAY", closed)
    monkeypatch.setenv("KUBEDISTILL_METRICS_FILE", str(tmp_path / "none" / "metrics.prom"))

    run_step()

    output = capsys.readouterr().out
    assert sorted(warning["target"] for warning in warnings_in(output)) == sorted(
        [str(tmp_path / "none" / "metrics.prom"), "Pushgateway 127.0.0.1"]
    )
    assert all(warning["step"] == "a_step" for warning in warnings_in(output))
    assert "hunter2" not in output


def test_step_without_a_place_for_metrics_loads_nothing_to_send_them():
    program = (
        "import sys\nfrom components.shared import events\n"
        "with events.step('a_step'): pass\n"
        "print([name for name in ('prometheus_client', 'http.client') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_throughput_is_kept_beside_an_artifact(tmp_path):
    with events.step("a_step"):
        events.Progress("student", total=10, unit="steps").update(10)
        events.Progress("candidate 10 steps", total=10, unit="steps").found(10)
        telemetry.keep(tmp_path)

    found = telemetry.kept(tmp_path)
    assert found.keys() == {"student.steps", "student.steps_per_second"}
    assert found["student.steps"] == 10
    assert telemetry.kept(tmp_path / "elsewhere") == {}


def test_peak_of_memory_is_the_highest_of_all_activities():
    measured = Measurements()
    for peak in (100, 700, 300):
        measured.observe(
            {"event": "progress", "activity": "a", "unit": "steps", "processed": 1, "rate": 1.0}
            | {"done": 1, "total": 2, "time": 5.0, "gpu_memory_peak_bytes": peak}
        )
    assert measured.throughput()["gpu_memory_peak_bytes"] == 700


def warnings_in(output: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in output.splitlines()]
    return [line for line in lines if line["event"] == "metrics_failed"]
