"""A real MLflow on SQLite for each test."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from pipeline_run_files import PipelineRun, write_pipeline_run

from components.registration import steps
from components.registration.client import connect
from components.registration.store import locate
from components.shared.results import Registration


class Tracking:
    """An MLflow store in a folder, and the pipeline runs that are registered in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "mlflow.db"
        self.uri = f"sqlite:///{self.database}"

    @property
    def client(self) -> MlflowClient:
        return connect(locate(self.uri))

    def write(self, run_id: str, **fields: object) -> PipelineRun:
        return write_pipeline_run(self.folder / "runs" / run_id, run_id, **fields)

    def register(self, run: PipelineRun) -> Registration:
        return steps.register_student(run.inputs, self.uri, run.run_id, run.output)

    def promoted(self, run_id: str, **fields: object) -> PipelineRun:
        run = self.write(run_id, **fields)
        self.register(run)
        return run

    def create_experiment(self, name: str) -> str:
        """As a platform does; without a location MLflow writes to the working directory."""
        return self.client.create_experiment(name, (self.folder / name).as_uri())

    def registry(self) -> dict[str, object]:
        """Everything that is in the registry, to be compared."""
        client = self.client
        return {
            "models": [
                (m.name, dict(m.aliases), dict(m.tags)) for m in client.search_registered_models()
            ],
            "versions": [dict(v) for v in client.search_model_versions()],
        }


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(locate(f"sqlite:///{database}"))
    return database


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def tracking(empty_database: Path, tmp_path: Path) -> Tracking:
    shutil.copyfile(empty_database, tmp_path / "mlflow.db")
    return Tracking(tmp_path)


@pytest.fixture
def stdout_events(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, object]]]:
    """The events that were printed since the last call."""
    from components.shared.events import parse_event

    def read() -> list[dict[str, object]]:
        parsed = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
        return [event for event in parsed if event]

    return read
