"""A student that waits for approval, from the run to the alias and back."""

import json

import mlflow
import numpy as np

from tests.command_line import Ended, Workspace

MODEL = "approved-student"


def test_run_stops_at_challenger_and_a_person_promotes(promoted: tuple[Workspace, Ended]) -> None:
    workspace, _ = promoted
    ended = workspace.distil("approval", "registry.promotion=approval", f"registry.model={MODEL}")
    assert ended.status == 0, ended.stderr
    assert ended.summary["outcome"] == "challenger"
    assert "@challenger and waits for approval" in ended.stderr
    status = workspace.status(MODEL)
    assert status["champion"] is None
    assert status["challenger"]["state"] == "challenger"

    done = workspace.run("promote", MODEL, "--reason", "the report looks right", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["move"]["champion_after"] == "1"
    assert workspace.status(MODEL)["champion"]["version"] == "1"
    mlflow.set_tracking_uri(f"sqlite:///{workspace.folder}/.kubedistill/mlflow.db")
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    assert model.predict({"input": np.zeros((1, 1, 8, 8), np.float32)})["probabilities"].shape == (
        1,
        10,
    )
    again = workspace.run("promote", MODEL, "1")
    assert (again.returncode, "already" in again.stderr) == (0, True)
    undone = workspace.run("rollback", MODEL)
    assert undone.returncode == 2
    assert "no former champion" in undone.stderr
