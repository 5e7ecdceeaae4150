"""A server that speaks the API of Kubeflow Pipelines 2, as the client's own code defines it.

Its routes, query parameters and bodies are read from ``kfp_server_api``, and its answers are made
of that package's models. What that does not say (defaults, conflicts, filters, what may be empty)
follows the API server of Kubeflow Pipelines 2.17.
"""

import email
import email.policy
import inspect
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import yaml

START = datetime(2026, 11, 1, 3, tzinfo=UTC)
_FILTERS = {
    "run": {"run_id", "display_name", "created_at", "description", "state", "storage_state"},
    "recurring_run": {"recurring_run_id", "display_name", "created_at", "description"},
    "experiment": {"experiment_id", "display_name", "created_at", "description"},
    "pipeline_version": {"pipeline_version_id", "name", "display_name", "created_at"},
}


class Route(NamedTuple):
    """One operation of the API."""

    operation: str
    method: str
    pattern: re.Pattern[str]
    query: frozenset[str]
    body: str | None
    """Name of the model; null where there is none."""


def _routes() -> list[Route]:
    routes = []
    for name in dir(api.api):
        service = getattr(api.api, name)
        if not inspect.isclass(service):
            continue
        for operation, function in inspect.getmembers(service, inspect.isfunction):
            if not operation.endswith("_with_http_info"):
                continue
            source = inspect.getsource(function)
            path, method = re.search(r"call_api\(\s*'([^']+)', '(\w+)'", source).groups()
            names = re.findall(r"query_params\.append\(\('(\w+)'", source)
            parameter = re.search(r"body_params = local_var_params\['(\w+)'\]", source)
            body = parameter and re.search(rf":type {parameter[1]}: (\w+)", source)[1]
            pattern = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
            routes.append(
                Route(
                    operation.removesuffix("_with_http_info"),
                    method,
                    re.compile(re.sub(r"{([\w.\\]+)}", _group, pattern)),
                    frozenset(names),
                    body if body and hasattr(api, body) else None,
                )
            )
    # The more literal one first: /pipelines/names/{name} before /pipelines/{pipeline_id}/…
    return sorted(routes, key=lambda route: route.pattern.pattern.count("(?P<"))


def _group(match: re.Match[str]) -> str:
    return f"(?P<{match[1].replace('.', '_').replace(chr(92), '')}>[^/:]+)"


ROUTES = _routes()
_CONVERTER = api.ApiClient()


@dataclass
class Fault:
    """What becomes of the next requests for an operation, instead of an answer."""

    operation: str
    """An operation, or ``*`` for all."""
    kind: str
    """A status such as ``500``; ``drop``: no answer; ``late``: done, but no answer; ``hang``;
    ``page``: one of a login, in the encoding of long ago."""
    times: int = 1
    skip: int = 0
    """Requests that pass before."""
    message: str = "scripted"


class Moment(NamedTuple):
    """What a run looks like at one look."""

    state: str
    tasks: dict[str, str | tuple[str, str]] = {}  # noqa: RUF012
    """State by the name of the task, or state and message."""


SUCCEEDS = [Moment("PENDING"), Moment("RUNNING"), Moment("SUCCEEDED")]


class Failed(Exception):  # noqa: N818 - reads as an event
    """An answer that is an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class Request:
    """A request that arrived."""

    operation: str
    query: dict[str, str]
    body: dict[str, Any] | None
    authorization: str | None


@dataclass
class Kubeflow:
    """The state of the server, for tests to look at and to script."""

    url: str = ""
    multi_user: bool = False
    version: str | None = None
    """What the path of the older API, which the client's code does not know, tells."""
    tokens: set[str] | None = None
    """Those that are let in; null for everybody."""
    most_per_page: int = 100
    story: list[Moment] = field(default_factory=lambda: list(SUCCEEDS))
    """What new runs go through, one moment a look; the last one stays."""
    faults: list[Fault] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    """Ids of the next runs."""
    requests: list[Request] = field(default_factory=list)
    pipelines: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """YAML of the versions."""
    experiments: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    recurring_runs: dict[str, Any] = field(default_factory=dict)
    firing: list[int] = field(default_factory=list)
    """How many recurring runs were switched on, after each request that may change it."""
    deleted_with: list[str | None] = field(default_factory=list)
    """Propagation policies of deletions."""
    wrong: list[str] = field(default_factory=list)
    """Requests that the definition of the API does not allow."""
    seconds: int = 0
    on_request: Callable[[Request], None] | None = None

    def now(self) -> datetime:
        self.seconds += 1
        return START + timedelta(seconds=self.seconds)

    def operations(self) -> list[str]:
        return [request.operation for request in self.requests]

    def enabled(self) -> list[Any]:
        return [run for run in self.recurring_runs.values() if run.status == "ENABLED"]


def _plain(model: Any) -> Any:
    return _CONVERTER.sanitize_for_serialization(model)


def _check(model: str, value: Any, where: str) -> list[str]:
    """What in a body is not as the API defines it."""
    kind = getattr(api, model, None)
    if kind is None or getattr(kind, "allowable_values", None):
        allowed = getattr(kind, "allowable_values", None)
        return [] if not allowed or value in allowed else [f"{where}: {value!r} is no {model}"]
    if not isinstance(value, dict):
        return [f"{where}: should be a {model}"]
    names = {json_name: name for name, json_name in kind.attribute_map.items()}
    problems = [f"{where}: {model} has no {key}" for key in value if key not in names]
    for key in value.keys() & names.keys():
        expected, found = kind.openapi_types[names[key]], value[key]
        simple = {"str": str, "bool": bool, "int": int}.get(expected)
        if simple is not None and not isinstance(found, simple):
            problems.append(f"{where}.{key}: should be {expected}, not {found!r}")
        elif hasattr(api, expected):
            problems += _check(expected, found, f"{where}.{key}")
    return problems


class _Api:
    """What each operation does to the state."""

    def __init__(self, state: Kubeflow) -> None:
        self.state = state

    def healthz_service_get_healthz(self, path, query, body):
        return api.V2beta1GetHealthzResponse(multi_user=self.state.multi_user)

    def pipeline_service_get_pipeline_by_name(self, path, query, body):
        for pipeline in self.state.pipelines.values():
            if pipeline.name == path["name"] and (pipeline.namespace or "") == self._in(query):
                return pipeline
        raise Failed(404, 5, f"Pipeline {path['name']} not found")

    def pipeline_service_create_pipeline(self, path, query, body):
        namespace = self._in(body)
        if any(
            (p.name, p.namespace or "") == (body.get("name") or body["display_name"], namespace)
            for p in self.state.pipelines.values()
        ):
            raise Failed(409, 6, f"The name {body['display_name']} already exist")
        made = api.V2beta1Pipeline(
            pipeline_id=str(uuid.uuid4()),
            name=body.get("name") or body["display_name"],
            display_name=body["display_name"],
            description=body.get("description"),
            namespace=namespace or None,
            created_at=self.state.now(),
        )
        self.state.pipelines[made.pipeline_id] = made
        return made

    def upload_pipeline_version(self, path, query, body):
        if query["pipelineid"] not in self.state.pipelines:
            raise Failed(400, 3, "Failed to create a pipeline version")
        text, name = body["uploadfile"], query["name"]
        documents = list(yaml.load_all(text, yaml.CSafeLoader))
        if documents[0]["schemaVersion"] != "2.1.0":
            raise Failed(400, 3, "unknown schema")
        if any(
            (v.pipeline_id, v.name) == (query["pipelineid"], name)
            for v in self.state.versions.values()
        ):
            raise Failed(409, 6, "Failed to create a pipeline version")
        made = api.V2beta1PipelineVersion(
            pipeline_id=query["pipelineid"],
            pipeline_version_id=str(uuid.uuid4()),
            name=name,
            display_name=query.get("display_name", name),
            description=query.get("description"),
            created_at=self.state.now(),
        )
        self.state.versions[made.pipeline_version_id] = made
        self.state.texts[made.pipeline_version_id] = text
        return made

    def pipeline_service_list_pipeline_versions(self, path, query, body):
        of_pipeline = [
            version
            for version in self.state.versions.values()
            if version.pipeline_id == path["pipeline_id"]
        ]
        page, token, total = self._page(of_pipeline, query, "pipeline_version")
        return api.V2beta1ListPipelineVersionsResponse(
            pipeline_versions=page, next_page_token=token, total_size=total
        )

    def experiment_service_list_experiments(self, path, query, body):
        namespace = self._in(query)
        found = [e for e in self.state.experiments.values() if (e.namespace or "") == namespace]
        page, token, total = self._page(found, query, "experiment")
        return api.V2beta1ListExperimentsResponse(
            experiments=page, next_page_token=token, total_size=total
        )

    def experiment_service_create_experiment(self, path, query, body):
        namespace = self._in(body)
        if any(
            (e.display_name, e.namespace or "") == (body["display_name"], namespace)
            for e in self.state.experiments.values()
        ):
            raise Failed(409, 6, f"Experiment {body['display_name']} already exists")
        made = api.V2beta1Experiment(
            experiment_id=str(uuid.uuid4()),
            display_name=body["display_name"],
            namespace=namespace or None,
            created_at=self.state.now(),
            storage_state="AVAILABLE",
        )
        self.state.experiments[made.experiment_id] = made
        return made

    def run_service_create_run(self, path, query, body):
        self._check_source(body)
        run_id = self.state.run_ids.pop(0) if self.state.run_ids else str(uuid.uuid4())
        made = api.V2beta1Run(
            run_id=run_id,
            experiment_id=body["experiment_id"],
            display_name=body["display_name"],
            description=body.get("description"),
            pipeline_version_reference=body["pipeline_version_reference"],
            runtime_config=body.get("runtime_config"),
            service_account=body.get("service_account"),
            created_at=self.state.now(),
            state="PENDING",
            storage_state="AVAILABLE",
        )
        self.state.runs[run_id] = made
        self.state.looks[run_id] = 0
        return made

    def run_service_get_run(self, path, query, body):
        run = self._known(self.state.runs, path["run_id"], "Run")
        looks = self.state.looks[run.run_id]
        self.state.looks[run.run_id] += 1
        moment = self.state.story[min(looks, len(self.state.story) - 1)]
        run.state = moment.state
        run.run_details = api.V2beta1RunDetails(
            task_details=[
                self._task(run.run_id, name, state) for name, state in moment.tasks.items()
            ]
        )
        return run

    def run_service_list_runs(self, path, query, body):
        found = [
            run
            for run in self.state.runs.values()
            if query.get("experiment_id") in (None, run.experiment_id)
        ]
        page, token, total = self._page(found, query, "run")
        return api.V2beta1ListRunsResponse(runs=page, next_page_token=token, total_size=total)

    def recurring_run_service_create_recurring_run(self, path, query, body):
        self._check_source(body)
        if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
            raise Failed(400, 3, "Max concurrency of a recurring run must be at least 1")
        if not 5 <= len(body["trigger"]["cron_schedule"]["cron"].split()) <= 6:
            raise Failed(400, 3, "Schedule cron is not a supported format")
        on = body["mode"] == "ENABLE"
        made = api.V2beta1RecurringRun(
            recurring_run_id=str(uuid.uuid4()),
            display_name=body["display_name"],
            description=body.get("description"),
            experiment_id=body["experiment_id"],
            mode=body["mode"],
            status="ENABLED" if on else "DISABLED",
            pipeline_version_reference=body["pipeline_version_reference"],
            runtime_config=body.get("runtime_config"),
            trigger=body["trigger"],
            max_concurrency=body["max_concurrency"],
            no_catchup=body.get("no_catchup", False),
            service_account=body.get("service_account"),
            created_at=self.state.now(),
        )
        self.state.recurring_runs[made.recurring_run_id] = made
        return made

    def recurring_run_service_list_recurring_runs(self, path, query, body):
        self._in(query)
        found = list(self.state.recurring_runs.values())
        page, token, total = self._page(found, query, "recurring_run")
        return api.V2beta1ListRecurringRunsResponse(
            recurring_runs=page, next_page_token=token, total_size=total
        )

    def recurring_run_service_enable_recurring_run(self, path, query, body):
        return self._switch(path, "ENABLE")

    def recurring_run_service_disable_recurring_run(self, path, query, body):
        return self._switch(path, "DISABLE")

    def recurring_run_service_delete_recurring_run(self, path, query, body):
        self._known(self.state.recurring_runs, path["recurring_run_id"], "Recurring run")
        self.state.deleted_with.append(query.get("propagation_policy"))
        del self.state.recurring_runs[path["recurring_run_id"]]
        return {}

    def _switch(self, path, mode):
        run = self._known(self.state.recurring_runs, path["recurring_run_id"], "Recurring run")
        run.mode, run.status = mode, f"{mode}D"
        return {}

    def _known(self, things, identity, kind):
        if identity not in things:
            raise Failed(404, 5, f"{kind} {identity} not found")
        return things[identity]

    def _check_source(self, body):
        version = body["pipeline_version_reference"]["pipeline_version_id"]
        if version not in self.state.versions:
            raise Failed(404, 5, f"PipelineVersion {version} not found")
        if body["experiment_id"] not in self.state.experiments:
            raise Failed(404, 5, f"Experiment {body['experiment_id']} not found")

    def _in(self, query) -> str:
        """A namespace, which is left out of account on an installation of one user."""
        if not self.state.multi_user:
            return ""
        if not query.get("namespace"):
            raise Failed(400, 3, "Namespace cannot be empty in multi-user mode")
        return query["namespace"]

    def _page(self, found, query, kind):
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            if predicate["key"] not in _FILTERS[kind]:
                raise Failed(400, 3, f"invalid field {predicate['key']} in a filter of {kind}")
            equal = predicate["operation"] == "EQUALS"
            wanted = predicate["stringValue"]
            found = [
                one
                for one in found
                if (value := getattr(one, predicate["key"]) or "") is not None
                and (value == wanted if equal else wanted in value)
            ]
        start = int(query.get("page_token") or 0)
        end = start + min(int(query.get("page_size") or 20), self.state.most_per_page)
        return found[start:end], str(end) if end < len(found) else None, len(found)

    def _task(self, run_id, name, state):
        state, message = state if isinstance(state, tuple) else (state, "")
        history = None
        if message:
            history = [
                api.V2beta1RuntimeStatus(
                    state=state, error=api.GoogleRpcStatus(code=13, message=message)
                )
            ]
        return api.V2beta1PipelineTaskDetail(
            run_id=run_id,
            task_id=f"{run_id}-{name}",
            display_name=name,
            state=state,
            state_history=history,
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Kubeflow
    lock: threading.Lock

    def log_message(self, *arguments: Any) -> None:
        pass

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        data = self.rfile.read(length)
        route, path = self._route(parts.path)
        if parts.path == "/apis/v1beta1/healthz" and self.state.version:
            self._answer(200, json.dumps({"tag_name": self.state.version}).encode())
            return
        if route is None:
            self._answer(404, b"404 page not found", "text/plain")
            return
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        body = self._body(data)
        request = Request(route.operation, query, body, self.headers.get("authorization"))
        with self.lock:
            self.state.requests.append(request)
            self._check(route, query, body)
            fault = self._fault(route.operation)
        if self.state.on_request:
            self.state.on_request(request)
        if fault is not None and fault.kind not in {"late", "hang"}:
            self._fail(fault)
            return
        status, answer = self._do(route, path, query, body)
        if fault is not None:
            if fault.kind == "hang":
                time.sleep(float(fault.message))
            self.close_connection = True
            return
        self._answer(status, json.dumps(answer).encode())

    do_GET = do_POST = do_DELETE = do_PATCH = _handle  # noqa: N815

    def _do(self, route, path, query, body):
        tokens = self.state.tokens
        if tokens is not None and self.headers.get("authorization") not in {
            f"Bearer {token}" for token in tokens
        }:
            return 401, {"code": 16, "message": "Request header error: there is no user identity"}
        with self.lock:
            try:
                made = getattr(_Api(self.state), route.operation)(path, query, body)
            except Failed as error:
                return error.status, {"code": error.code, "message": str(error), "details": []}
            if "recurring_run" in route.operation and route.method != "GET":
                self.state.firing.append(len(self.state.enabled()))
            return 200, _plain(made)

    def _route(self, path: str) -> tuple[Route | None, dict[str, str]]:
        for route in ROUTES:
            match = route.pattern.fullmatch(path)
            if match and route.method == self.command:
                return route, match.groupdict()
        return None, {}

    def _body(self, data: bytes) -> dict[str, Any] | None:
        kind = self.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            head = f"Content-Type: {kind}\r\n\r\n".encode()
            message = email.message_from_bytes(head + data, policy=email.policy.HTTP)
            return {
                part.get_param("name", header="content-disposition"): part.get_payload(
                    decode=True
                ).decode()
                for part in message.iter_parts()
            }
        return json.loads(data) if data else None

    def _check(self, route: Route, query: dict[str, str], body: Any) -> None:
        unknown = set(query) - route.query
        self.state.wrong += [f"{route.operation}: unknown parameter {name}" for name in unknown]
        if route.body:
            self.state.wrong += _check(route.body, body, route.operation)

    def _fault(self, operation: str) -> Fault | None:
        for fault in self.state.faults:
            if fault.operation not in {"*", operation} or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "drop":
            self.close_connection = True
            return
        if fault.kind == "page":
            self._answer(200, fault.message.encode("latin-1"), "text/html")
            return
        answer = {"code": 13, "message": fault.message, "details": []}
        self._answer(int(fault.kind), json.dumps(answer).encode())

    def _answer(self, status: int, data: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving() -> Iterator[Kubeflow]:
    """A server on a free port of this machine."""
    state = Kubeflow()
    handler = type("Handler", (_Handler,), {"state": state, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
