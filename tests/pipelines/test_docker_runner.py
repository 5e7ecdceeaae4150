"""What containers are given, and how their ends are judged, without an engine."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.shared.errors import StepFailed, UserError
from components.shared.recipe import Recipe, load_recipe
from pipelines.docker_runner.endings import Ending, ending_of, problem
from pipelines.docker_runner.engine import bring, check_network, connected
from pipelines.docker_runner.handler import Steps
from pipelines.docker_runner.hardening import container_arguments
from pipelines.docker_runner.runner import exec_interpreter
from pipelines.docker_runner.surroundings import Surroundings, surroundings_of
from pipelines.following import Follower
from tests.command_line import DIGITS, Workspace

EMBEDDED = "MLFLOW_TRACKING_URI"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "KUBEDISTILL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def digits(home: Path, *overrides: str) -> Recipe:
    return load_recipe(
        DIGITS, overrides, absolute_paths=True, storage=str(home / "kept" / "storage")
    )


def given(home: Path, *overrides: str, **environment: str) -> Surroundings:
    variables = {EMBEDDED: f"sqlite:///{home}/kept/mlflow.db", **environment}
    return surroundings_of(digits(home, *overrides), environment=variables)


def test_a_run_on_the_disks_of_this_machine_has_no_network_and_the_folders_it_writes_to(
    home: Path,
) -> None:
    seen = given(home)
    assert seen.network == "none"
    assert seen.read_only == ()
    cache = home / ".cache" / "kubedistill" / "objects"
    assert set(seen.writable) == {home / "kept", home / "kept" / "storage", cache}
    assert all(folder.is_dir() for folder in seen.writable)
    assert seen.environment["KUBEDISTILL_CACHE_DIR"] == str(cache)


def test_data_tokenizers_and_teachers_are_read_only(home: Path) -> None:
    data, bundle = home / "data", home / "bundle"
    data.mkdir()
    bundle.mkdir()
    seen = given(home, f"data.uri={data}", f"teacher={{source: bundle, uri: {bundle}}}")
    assert seen.read_only == (bundle, data)


def test_what_is_not_there_is_left_to_the_step_that_needs_it(home: Path) -> None:
    assert given(home, f"data.uri={home}/nothing").read_only == ()


@pytest.mark.parametrize(
    ("overrides", "environment", "network"),
    [
        ((), {EMBEDDED: "https://mlflow.example.org"}, "bridge"),
        ((), {EMBEDDED: "http://127.0.0.1:5000"}, "host"),
        ((), {EMBEDDED: "http://localhost:5000"}, "host"),
        (("storage=s3://bucket/kept",), {}, "bridge"),
        (("storage=s3://bucket/kept",), {"AWS_ENDPOINT_URL_S3": "http://127.0.0.2:1"}, "host"),
        (("data.uri=s3://bucket/data",), {}, "bridge"),
        # Nobody asks the endpoint where nothing is in S3.
        ((), {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "none"),
        (("registry.webhooks=[{url: 'https://hooks.example.org'}]",), {}, "bridge"),
    ],
)
def test_the_network_is_the_least_that_the_run_can_do_with(
    home: Path, overrides: tuple[str, ...], environment: dict[str, str], network: str
) -> None:
    assert given(home, *overrides, **environment).network == network


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL"])
def test_an_endpoint_that_is_no_url_is_the_users_mistake(home: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name} is not a URL; it should be one such as https:"):
        given(home, "storage=s3://bucket/kept", **{name: "http://[s3"})


def test_a_chosen_network_is_taken_as_it_is(home: Path) -> None:
    variables = {EMBEDDED: f"sqlite:///{home}/mlflow.db"}
    assert surroundings_of(digits(home), "inside", variables).network == "inside"


def test_credentials_and_settings_go_in_and_the_rest_of_the_environment_stays_out(
    home: Path,
) -> None:
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "a",
        "MLFLOW_TRACKING_PASSWORD": "b",
        "KUBEDISTILL_CHECKPOINT_SECONDS": "5",
        "HOOK": "c",
        "https_proxy": "d",
    }
    hook = "registry.webhooks=[{url: 'https://hooks.example.org', secret_env: HOOK}]"
    others = {"GITHUB_TOKEN": "never", "PATH": "/never"}
    seen = given(home, hook, **secrets, **others).environment
    assert secrets.items() <= seen.items()
    assert not others.keys() & seen.keys()


def test_files_with_credentials_are_read_only_and_only_where_there_is_a_network(home: Path) -> None:
    (home / ".aws").mkdir()
    credentials = home / ".aws" / "credentials"
    credentials.touch()
    bundle = home / "ca.pem"
    bundle.touch()
    assert credentials not in given(home).read_only
    seen = given(home, "storage=s3://bucket/kept", AWS_CA_BUNDLE=str(bundle))
    assert set(seen.read_only) == {credentials, bundle}
    assert seen.environment["AWS_SHARED_CREDENTIALS_FILE"] == str(credentials)


def test_the_lock_of_a_server_is_one_for_all_containers_of_the_user(home: Path) -> None:
    seen = given(home, MLFLOW_TRACKING_URI="https://mlflow.example.org")
    assert home / ".local" / "state" / "kubedistill" / "locks" in seen.writable
    assert seen.environment["XDG_STATE_HOME"] == str(home / ".local" / "state")


def test_relative_paths_mean_the_same_in_a_container(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    (home / "ca.pem").touch()
    files = {"SSL_CERT_FILE": "ca.pem", "KUBEDISTILL_METRICS_FILE": "figures/step.prom"}
    seen = given(home, MLFLOW_TRACKING_URI="sqlite:///mlflow.db", **files)
    assert seen.environment["SSL_CERT_FILE"] == str(home / "ca.pem")
    assert home / "ca.pem" in seen.read_only
    assert seen.environment["KUBEDISTILL_METRICS_FILE"] == str(home / "figures" / "step.prom")
    assert seen.environment["MLFLOW_TRACKING_URI"] == f"sqlite:///{home}/mlflow.db"
    assert home in seen.writable


def test_a_container_may_do_nothing_that_a_step_does_not_need() -> None:
    surroundings = Surroundings({"A": "1"}, (Path("/data"),), (Path("/kept"),), "none")
    arguments = container_arguments(surroundings, {"label": "run"})
    assert arguments["read_only"]
    assert arguments["cap_drop"] == ["ALL"]
    assert arguments["security_opt"] == ["no-new-privileges"]
    assert arguments["network_mode"] == "none"
    assert arguments["pids_limit"] > 0
    assert [(m["Source"], m["Target"], m["ReadOnly"]) for m in arguments["mounts"]] == [
        ("/data", "/data", True),
        ("/kept", "/kept", False),
    ]
    assert arguments["environment"]["HOME"] == "/tmp"  # noqa: S108
    assert not {"cap_add", "privileged", "devices", "pid_mode", "ipc_mode"} & arguments.keys()


def event(action: str, **attributes: str) -> dict[str, Any]:
    return {"Action": action, "Actor": {"Attributes": attributes}}


DIED = event("die", exitCode="0")
KILLED = event("die", exitCode="137")


@pytest.mark.parametrize(
    ("events", "finished", "said"),
    [
        ([DIED], True, None),
        ([DIED], False, "without having run it"),
        ([], True, "does not tell how its container ended"),
        ([event("create"), event("start")], True, "does not tell how its container ended"),
        ([event("die", exitCode="1")], True, "status 1 in image"),
        ([event("oom"), KILLED], False, "ran out of memory"),
        ([KILLED], False, "killed by the system"),
        ([event("kill", signal="15"), event("die", exitCode="143")], False, "(signal 15)"),
        (
            [event("kill", signal="15"), event("kill", signal="9"), KILLED],
            False,
            "(signal 15, 9)",
        ),
        ([event("die", exitCode="127")], False, "no python3 in image"),
    ],
)
def test_a_step_is_done_only_when_that_is_certain(
    events: list[dict[str, Any]], finished: bool, said: str | None
) -> None:
    reason = problem(ending_of(events), finished, "image")
    if said is None:
        assert reason is None
    else:
        assert reason is not None
        assert said in reason


class _Held:
    """The end of a run is not what is tested here."""

    is_cut = False


def test_steps_that_run_at_once_do_not_finish_for_each_other() -> None:
    follower = Follower(io.StringIO(), lambda _: None)
    steps = Steps("run", follower, _Held())  # type: ignore[arg-type]
    for name in ("a", "b"):
        follower.write(f'{{"event": "started", "step": "{name}", "time": 1.0}}\n')
    follower.write('{"event": "finished", "step": "a", "time": 2.0}\n')
    assert steps.judge("a", Ending(0), "image")
    assert not steps.judge("b", Ending(0), "image")
    assert str(steps.failure).startswith("b: its container ended without having run it")


def test_signals_reach_the_interpreter_of_every_step(digits_recipe: Recipe) -> None:
    from pipelines.compiling import compile_recipe

    compiled = exec_interpreter(compile_recipe(digits_recipe, for_cluster=False))
    executors = yaml.safe_load(compiled.split("\n---\n")[0])["deploymentSpec"]["executors"]
    for name, executor in executors.items():
        command = "".join(executor["container"]["command"])
        assert "_KFP_RUNTIME=true exec python3 -m kfp.dsl.executor_main" in command, name


def test_options_for_containers_are_refused_without_them(workspace: Workspace) -> None:
    done = workspace.run("run", DIGITS, "--network", "none")
    assert done.returncode == 2
    assert "--network and --images are for containers; add --runner docker" in done.stderr


def test_a_store_that_mlflow_does_not_write_to_is_said_before_anything_runs(home: Path) -> None:
    with pytest.raises(UserError, match="MLflow keeps no registry in plain folders"):
        given(home, MLFLOW_TRACKING_URI="file:///somewhere")


class _Engine(BaseHTTPRequestHandler):
    """Tells its version, takes no name of an image for one, and then breaks down."""

    def do_GET(self) -> None:
        status, body = 200, b'{"ApiVersion": "1.41"}'
        if self.path.endswith("/images/A/json"):
            status, body = 400, b'{"message": "repository name must be lowercase"}'
        elif not self.path.endswith("/version"):
            return
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def _breaking_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Engine)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.usefixtures("_breaking_engine")
def test_what_the_engine_refuses_is_the_users_and_what_breaks_is_not() -> None:
    with connected() as client:
        with pytest.raises(UserError, match="image A: .*repository name must be lowercase"):
            bring(client, "A", print)
        with pytest.raises(UserError, match="--network container:: the Docker engine has no such"):
            check_network(client, "container:")
    with pytest.raises(StepFailed, match="does not answer any more"), connected() as client:
        bring(client, "b", print)
