"""The server fails at each single call of a command in turn: a retry ends as if it had not."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import mlflow
import numpy as np
import pytest
from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from mlflow.tracking import MlflowClient

from components.registration import retrying, steps
from components.registration.client import TrackingError
from components.registration.history import read_history
from components.registration.promotion.commands import promote, reject, roll_back
from components.registration.promotion.registered import registered
from components.shared.recipe import RegistrySpec
from tests.registration.pipeline_run_files import (
    RECIPE,
    ROWS,
    PipelineRun,
    write_pipeline_run,
)
from tests.servers.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.servers.mlflow_server import MlflowServer

LASTING = {Fault.REFUSE, Fault.ERROR, Fault.SLOW}
"""The server stays like that until the attempt has ended; an answer is lost once."""
HASTY = {
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.name: "1",
    MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.name: "0",
}
"""Of the client in the attempt that fails; in the retry it has the time that it usually has."""
IMPATIENT = {
    MLFLOW_HTTP_REQUEST_TIMEOUT.name: "0.2",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES.name: "0",
}
"""From the call on that is to be slow; before it, a server that is only busy is waited for."""
SLOW_S = 0.4
SETTLING_S = 1.0
"""Of a call that got no answer. Nothing can be found meanwhile, for the server stays slow."""


@dataclass
class Registry:
    """A registered model behind the proxy, and one student after the other."""

    proxy: FaultProxy
    client: MlflowClient
    """Not through the proxy."""
    folder: Path
    model: str
    champion: str | None = None
    students: int = 0

    @property
    def spec(self) -> RegistrySpec:
        return RegistrySpec(model=self.model, experiment=self.model)

    def write(self, mode: str = "automatic") -> PipelineRun:
        """A student that was measured against the present champion, and passed."""
        self.students += 1
        run_id = f"run-{self.students}"
        return write_pipeline_run(
            self.folder / run_id,
            run_id,
            champion=self.champion,
            seed=self.students,
            recipe={
                **RECIPE,
                "registry": {"model": self.model, "experiment": self.model, "promotion": mode},
            },
        )

    def register(self, run: PipelineRun) -> None:
        steps.register_student(run.inputs, self.proxy.uri, run.run_id, run.output)

    def approve(self, number: str) -> None:
        """As a person does, and again where it did not end well; done once, it stays done."""
        with registered(self.spec, self.proxy.uri) as model:
            promote(model, number, reason="approved", force=False, dry_run=False)

    def undo(self) -> None:
        """Repeated blindly, as a person or a script does after an error."""
        with registered(self.spec, self.proxy.uri) as model:
            roll_back(model, None, reason="undone", dry_run=False)

    def turn_down(self) -> None:
        if "challenger" in self.aliases:
            with registered(self.spec, self.proxy.uri) as model:
                reject(model, None, reason="no", dry_run=False)

    def interrupted(self, act: Callable[[], None], fault: Fault, call: int) -> bool:
        """Do it with a fault at a call, then again without; whether the fault was met at all."""
        announce = partial(os.environ.update, IMPATIENT) if fault is Fault.SLOW else None
        try:
            with patch.dict(os.environ, HASTY):
                self.proxy.inject(fault, at=call, lasting=fault in LASTING, announce=announce)
                act()
            survived = True
        except (TrackingError, SystemExit):
            survived = False
        met = bool(self.proxy.failed)
        self.proxy.heal()
        self.proxy.wait_until_idle()
        if not survived:
            act()
        return met

    @property
    def aliases(self) -> dict[str, str]:
        found = self.client.get_registered_model(self.model).aliases
        return {alias: str(version) for alias, version in found.items()}

    def check(self, run: PipelineRun) -> str:
        """One version, one MLflow run and an intact history; the version."""
        client, model = self.client, self.model
        versions = client.search_model_versions(
            f"name = '{model}' AND tags.`kubedistill.run_id` = '{run.run_id}'"
        )
        assert len(versions) == 1
        experiment = client.get_experiment_by_name(model)
        made = client.search_runs(
            [experiment.experiment_id], f"tags.`kubedistill.run_id` = '{run.run_id}'"
        )
        assert len(made) == 1
        assert made[0].info.status == "FINISHED"
        history = read_history(self.spec, self.proxy.uri)
        assert history.fault is None
        of_this_run = [m.action for m in history.moves if m.run_id == run.run_id]
        assert len(of_this_run) == len(set(of_this_run))
        return str(versions[0].version)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts of a fraction of a second, where MLflow reads whole ones."""
    monkeypatch.setattr(MLFLOW_HTTP_REQUEST_TIMEOUT, "type", float)
    monkeypatch.setattr(retrying, "_SHORTEST_SETTLING_S", SETTLING_S)


@pytest.fixture
def registry(
    mlflow_on_postgres: MlflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Registry]:
    monkeypatch.setenv("KUBEDISTILL_LOCK", f"file:{tmp_path / 'locks'}")
    with fault_proxy(mlflow_on_postgres.uri, SLOW_S) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
        client = MlflowClient(mlflow_on_postgres.uri)
        yield Registry(proxy, client, tmp_path / "runs", f"faults-{uuid.uuid4().hex[:8]}")


@pytest.mark.parametrize("fault", sorted(LASTING))
def test_registration_ends_as_undisturbed_wherever_the_server_fails(registry, fault):
    registry.register(registry.write())
    registry.champion = "1"
    for call in range(1, 1000):
        run = registry.write()

        met = registry.interrupted(lambda run=run: registry.register(run), fault, call)

        version = registry.check(run)
        assert registry.aliases == {"champion": version, "former-champion": registry.champion}
        registry.champion = version
        if not met:
            break
    assert call > 40
    assert predicts(registry, run)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.LOST])
def test_commands_end_as_undisturbed_wherever_the_server_fails(registry, fault):
    registry.register(registry.write())
    registry.champion = "1"
    for call in range(1, 1000):
        run = registry.write("approval")
        registry.register(run)
        number = registry.aliases["challenger"]

        met = registry.interrupted(lambda: registry.approve(number), fault, call)  # noqa: B023
        assert registry.aliases == {"champion": number, "former-champion": "1"}
        met |= registry.interrupted(registry.undo, fault, call)

        assert registry.aliases == {"champion": "1"}
        registry.check(run)
        if not met:
            break
    assert call > 10


@pytest.mark.parametrize("fault", [Fault.ERROR])
def test_rejecting_ends_as_undisturbed_wherever_the_server_fails(registry, fault):
    registry.register(registry.write())
    registry.champion = "1"
    for call in range(1, 1000):
        run = registry.write("approval")
        registry.register(run)

        met = registry.interrupted(registry.turn_down, fault, call)

        assert registry.aliases == {"champion": "1"}
        registry.check(run)
        if not met:
            break
    assert call > 5


def predicts(registry: Registry, run: PipelineRun) -> bool:
    """Whether what serving loads is the student of a run."""
    model = mlflow.pyfunc.load_model(f"models:/{registry.model}@champion")
    found = model.predict(ROWS)["probabilities"]
    return bool(np.array_equal(found, run.probabilities(ROWS)))
