"""A step that trains in a TrainJob, as the pod of a pipeline runs it.

Call it as ``python -m tests.cluster.train_job_step SETTINGS``, with ``exit RUN_ID`` for the exit
task, or with ``student ARGUMENTS`` for the training step itself; the cluster is told by KUBECONFIG.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from components.shared import events
from components.shared.train_job import TrainJobSettings
from components.training import trainjob
from components.training.trainjob import logs
from components.training.trainjob.deleting import delete_train_jobs

NAME = "train-student-0123456789"
COMMAND = ["python", "-m", "torch.distributed.run", "-m", "components.training.worker", "s3://b/r"]


# Tests do not wait for a pod as long as a step does.
logs._PAUSE_S = 0.2
logs._WITHOUT_PODS_S = float(os.environ.get("TEST_WITHOUT_PODS_S", logs._WITHOUT_PODS_S))


def train_student(arguments: dict[str, Any]) -> None:
    from components.training import steps

    paths = {name: Path(arguments.pop(name)) for name in ("dataset", "output")}
    steps.train_student(**paths, **arguments)


def main(settings: str) -> None:
    given = {name: os.environ[name] for name in (events.RUN_ID, events.RECIPE)}
    with events.step("train_student"):
        trainjob.run(TrainJobSettings.model_validate_json(settings), NAME, COMMAND, given)


if __name__ == "__main__":
    if sys.argv[1] == "exit":
        delete_train_jobs(sys.argv[2])
    elif sys.argv[1] == "student":
        train_student(json.loads(sys.argv[2]))
    else:
        main(sys.argv[1])
