"""A server of the Open Inference Protocol, version 2, over HTTP, with a real model behind it.

It can be told to misbehave.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.servers.processes import HOST

Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
"""From rows of shape (rows, \\*input shape) to numbers of shape (rows, classes)."""


@dataclass(frozen=True)
class Fault:
    """What is done in the place of an answer."""

    status: int = 200
    body: bytes = b'{"error": "injected"}'
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Send half of the body, and hang up."""
    seconds: float = 0.0
    """Wait before."""
    change: Callable[[dict[str, Any]], None] | None = None
    """Answer rightly, but for this."""


@dataclass
class InferenceServer:
    """A server that is running. The model is called ``digits``, and has the version ``3``."""

    url: str
    predict: Predict
    shape: tuple[int, ...]
    classes: int
    token: str | None = None
    datatype: str = "FP32"
    ready: bool = True
    faults: list[Fault] = field(default_factory=list)
    """For the next calls of ``infer``, one each."""
    requests: list[int] = field(default_factory=list)
    """Rows of each call of ``infer``, in order of arrival."""
    most_at_once: int = 0
    _at_work: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def metadata(self) -> dict[str, Any]:
        """What it says of the model."""
        return {
            "name": "digits",
            "versions": ["3"],
            "platform": "python",
            "inputs": [{"name": "pixels", "datatype": self.datatype, "shape": [-1, *self.shape]}],
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": [-1, 1]},
                {"name": "scores", "datatype": "FP32", "shape": [-1, self.classes]},
            ],
        }

    def infer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        (tensor,) = request["inputs"]
        rows = np.asarray(tensor["data"], np.float32).reshape(tensor["shape"])
        scores = self.predict(rows)
        wanted = [output["name"] for output in request.get("outputs", [])]
        outputs = {
            "label": {"datatype": "INT64", "shape": [len(rows), 1]},
            "scores": {"datatype": "FP32", "shape": list(scores.shape)},
        }
        outputs["label"]["data"] = scores.argmax(axis=1).tolist()
        outputs["scores"]["data"] = scores.ravel().tolist()
        return {
            "model_name": "digits",
            "model_version": "3",
            "id": request.get("id"),
            "outputs": [{"name": name, **outputs[name]} for name in wanted or outputs],
        }

    @contextmanager
    def at_work(self, rows: int) -> Iterator[Fault | None]:
        """Count a call of ``infer``; gives the fault that is due."""
        with self._lock:
            self.requests.append(rows)
            self._at_work += 1
            self.most_at_once = max(self.most_at_once, self._at_work)
            fault = self.faults.pop(0) if self.faults else None
        try:
            yield fault
        finally:
            with self._lock:
                self._at_work -= 1


@contextmanager
def inference_server(
    predict: Predict, shape: Sequence[int], classes: int, **further: Any
) -> Iterator[InferenceServer]:
    """Run a server for the block.

    Args:
        predict: the model.
        shape: of a row, as the model takes it.
        classes: numbers in a row of its output ``scores``.
        further: fields of :class:`InferenceServer`.
    """
    httpd = ThreadingHTTPServer((HOST, 0), _Handler)
    url = f"http://{HOST}:{httpd.server_port}"
    server = InferenceServer(url, predict, tuple(shape), classes, **further)
    httpd.inference = server  # type: ignore[attr-defined]
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def inference(self) -> InferenceServer:
        return self.server.inference  # type: ignore[attr-defined, no-any-return]

    def do_GET(self) -> None:
        if not self._is_allowed():
            return
        path = self.path.replace("/versions/3", "")
        if path == "/v2/models/digits/ready":
            ready = self.inference.ready
            self._send(200 if ready else 503, json.dumps({"name": "digits", "ready": ready}))
        elif path == "/v2/models/digits":
            self._send(200, json.dumps(self.inference.metadata))
        else:
            self._send(404, json.dumps({"error": f"no model at {self.path}"}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_allowed():
            return
        request = json.loads(body)
        with self.inference.at_work(request["inputs"][0]["shape"][0]) as fault:
            if fault is None:
                self._send(200, json.dumps(self.inference.infer(request)))
                return
            time.sleep(fault.seconds)
            text = fault.body.decode()
            if fault.change is not None:
                answer = self.inference.infer(request)
                fault.change(answer)
                text = json.dumps(answer)
            self._send(fault.status, text, fault.headers, fault.cut)

    def _is_allowed(self) -> bool:
        token = self.inference.token
        if token is None or self.headers.get("Authorization") == f"Bearer {token}":
            return True
        self._send(401, json.dumps({"error": "who are you?"}))
        return False

    def _send(
        self, status: int, text: str, headers: dict[str, str] | None = None, cut: bool = False
    ) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
