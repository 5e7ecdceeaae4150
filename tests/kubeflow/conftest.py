"""Kubeflow on a free port, MLflow in a folder, a small recipe, and the command line."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from components.registration import steps
from components.registration.client import connect
from components.registration.store import locate
from components.shared.results import Registration
from pipelines.kubeflow import connecting, waiting
from tests.command_line import Done, run_here
from tests.kubeflow.server import Kubeflow, serving
from tests.registration.pipeline_run_files import RECIPE, write_pipeline_run

_VARIABLES = (
    "KFP_ENDPOINT",
    "KF_PIPELINES_ENDPOINT",
    "KF_PIPELINES_UI_ENDPOINT",
    "KF_PIPELINES_SA_TOKEN_PATH",
    "KFP_EXISTING_TOKEN",
    "KFP_NAMESPACE",
    "KUBERNETES_SERVICE_HOST",
    "SSL_CERT_FILE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "_FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(waiting, "_FIRST_POLL_S", 0.02)


@pytest.fixture
def kubeflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubeflow]:
    """A server that the environment points at."""
    with serving() as server:
        monkeypatch.setenv("KFP_ENDPOINT", server.url)
        yield server
    assert server.wrong == []


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose data are in S3, of the model that :class:`Records` registers."""
    document = {**RECIPE, "data": {**RECIPE["data"], "uri": "s3://rows/tiny.parquet"}}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


class Records:
    """An MLflow store, in which the runs of a pipeline are recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = connect(locate(self.uri))

    def record(self, run_id: str, **fields: object) -> Registration:
        """What the last step of a run records."""
        run = write_pipeline_run(self.folder / "runs" / run_id, run_id, **fields)
        return steps.register_student(run.inputs, self.uri, run.run_id, run.output)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    connect(locate(f"sqlite:///{folder / 'mlflow.db'}"))
    return folder / "mlflow.db"


@pytest.fixture
def records(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    shutil.copyfile(empty_store, folder / "mlflow.db")
    found = Records(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
    return found


@pytest.fixture
def kubedistill(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Runs ``kubedistill`` in this process."""

    def run(*arguments: str | Path) -> Done:
        return run_here(monkeypatch, capsys, *arguments)

    return run
