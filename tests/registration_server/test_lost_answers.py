"""Recording a run on a server whose answers get lost: everything is made once, and said once."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from components.registration import retrying, tags
from components.registration.client import TrackingError, clear_errors, connect
from components.registration.logged_model import logged_model
from components.registration.model_version import new_version
from components.registration.store import Store
from components.registration.submission import Submission, read_submission
from components.registration.tracking import pipeline_run, record
from tests.registration.pipeline_run_files import RECIPE, write_pipeline_run
from tests.servers.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.servers.mlflow_server import MlflowServer

API = "/api/2.0/mlflow"
CREATES = {
    "experiment": ("POST", f"{API}/experiments/create"),
    "run": ("POST", f"{API}/runs/create"),
    "logged model": ("POST", f"{API}/logged-models"),
    "version": ("POST", f"{API}/model-versions/create"),
}
LOG = ("POST", f"{API}/runs/log-batch")
DELAY_S = 2.5


@pytest.fixture(scope="module")
def proxy(mlflow_on_postgres: MlflowServer) -> Iterator[FaultProxy]:
    with fault_proxy(mlflow_on_postgres.uri, DELAY_S) as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    proxy.heal()
    proxy.record()


@dataclass(frozen=True)
class Recording:
    """A pipeline run with an experiment and a model of its own, recorded through the proxy."""

    submission: Submission
    proxy: FaultProxy

    def attempt(self) -> str:
        """Everything that is made; returns the version."""
        store = Store(self.proxy.uri, None)
        with clear_errors(store):
            client = connect(store)
            with pipeline_run(client, store, self.submission) as run:
                record(client, run, self.submission)
                model = logged_model(client, run, self.submission)
                self._create_model(client)
                return new_version(client, run, model, self.submission)

    def made(self, client: MlflowClient) -> dict[str, object]:
        """How many there are of each, and all that the run says but for names."""
        registry = self.submission.registry
        experiment = client.get_experiment_by_name(registry.experiment).experiment_id
        runs = client.search_runs([experiment])
        return {
            "runs": len(runs),
            "logged models": len(client.search_logged_models([experiment])),
            "versions": len(client.search_model_versions(f"name = '{registry.model}'")),
            "points": {
                name: len(client.get_metric_history(runs[0].info.run_id, name))
                for name in runs[0].data.metrics
            },
            "parameters": {
                name: value
                for name, value in runs[0].data.params.items()
                if not name.startswith("registry.")
            },
            "status": runs[0].info.status,
        }

    def _create_model(self, client: MlflowClient) -> None:
        with suppress(MlflowException):  # an earlier attempt has made it
            client.create_registered_model(self.submission.registry.model)


@pytest.fixture(scope="module")
def recording(
    tmp_path_factory: pytest.TempPathFactory, proxy: FaultProxy
) -> Callable[[], Recording]:
    """A new pipeline run at each call."""
    folder = tmp_path_factory.mktemp("recording")
    numbers = count()

    def new() -> Recording:
        name = f"{folder.name}-{next(numbers)}"
        recipe = RECIPE | {"registry": {"model": name, "experiment": name}}
        run = write_pipeline_run(folder / name, name, recipe=recipe)
        return Recording(read_submission(run.inputs, run.run_id), proxy)

    return new


@pytest.fixture(scope="module")
def client(mlflow_on_postgres: MlflowServer) -> MlflowClient:
    return MlflowClient(mlflow_on_postgres.uri, mlflow_on_postgres.uri)


@dataclass(frozen=True)
class Undisturbed:
    """An attempt without a fault."""

    calls: list[tuple[str, str]]
    made: dict[str, object]

    def position(self, call: tuple[str, str]) -> int:
        """Of the first such call, counted from 1."""
        return self.calls.index(call) + 1


@pytest.fixture(scope="module")
def undisturbed(
    recording: Callable[[], Recording], proxy: FaultProxy, client: MlflowClient
) -> Undisturbed:
    proxy.record()
    attempted = recording()
    attempted.attempt()
    return Undisturbed([tuple(call) for call in proxy.calls], attempted.made(client))


@pytest.mark.parametrize(
    ("call", "fault"),
    [*((call, Fault.LOST) for call in (*CREATES.values(), LOG)), (CREATES["run"], Fault.REFUSE)],
    ids=[*CREATES, "figures", "run, connection closed"],
)
def test_answer_that_gets_lost_is_made_up_for_in_the_same_attempt(
    recording, undisturbed, proxy, client, call, fault
):
    disturbed = recording()
    proxy.inject(fault, at=undisturbed.position(call))

    version = disturbed.attempt()

    assert proxy.failed == [call]
    assert version == "1"
    assert disturbed.made(client) == undisturbed.made


@pytest.mark.parametrize("call", CREATES.values(), ids=CREATES)
def test_request_that_arrives_late_is_waited_for(
    recording, undisturbed, proxy, client, call, monkeypatch
):
    disturbed = recording()
    proxy.inject(Fault.SLOW, at=undisturbed.position(call))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    # A busy machine may let other requests wait for as long.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "10")
    monkeypatch.setattr(retrying, "_SHORTEST_SETTLING_S", 60)

    version = disturbed.attempt()

    assert proxy.failed == [call]
    assert version == "1"
    assert disturbed.made(client) == undisturbed.made


@pytest.mark.parametrize("call", CREATES.values(), ids=CREATES)
def test_retry_finds_what_an_attempt_made_that_lost_the_server(
    recording, undisturbed, proxy, client, call
):
    disturbed = recording()
    proxy.inject(Fault.LOST, at=undisturbed.position(call), lasting=True)
    with pytest.raises(TrackingError, match="answered 500"):
        disturbed.attempt()
    proxy.heal()

    version = disturbed.attempt()

    assert version == "1"
    assert disturbed.made(client) == undisturbed.made


def test_figures_of_a_student_that_is_judged_anew_replace_the_old_ones(recording, client):
    first = recording()
    first.attempt()
    measured = first.submission.evaluation.candidates[0]
    worse = measured.measured.metrics["accuracy"].model_copy(update={"value": 0.5})
    result = measured.measured.model_copy(
        update={"metrics": measured.measured.metrics | {"accuracy": worse}}
    )
    evaluation = first.submission.evaluation.model_copy(
        update={"candidates": [measured.model_copy(update={"measured": result})]}
    )
    again = replace(
        first,
        submission=replace(first.submission, evaluation=evaluation, evaluation_digest="e" * 64),
    )

    assert again.attempt() == "1"
    assert again.attempt() == "1"

    experiment = client.get_experiment_by_name(first.submission.registry.experiment)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["deployed.accuracy"] == 0.5
    assert len(client.get_metric_history(run.info.run_id, "deployed.accuracy")) == 2
    version = client.get_model_version(first.submission.registry.model, "1")
    assert version.tags[tags.EVALUATION_DIGEST] == "e" * 64
    assert "50.0" in version.description
