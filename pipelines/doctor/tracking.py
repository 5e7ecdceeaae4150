"""MLflow: whether its server answers, is recent enough, and may be written to."""

import re
from collections.abc import Iterator
from typing import Any

from components.shared.errors import UserError
from pipelines.doctor.findings import Finding
from pipelines.doctor.needs import Needs
from pipelines.doctor.reach import only_in_cluster

_OLDEST = (3, 0)
"""The first with logged models."""
_TESTED = (3, 17)
_PROBE = "kubedistill-doctor"


def check_mlflow(needs: Needs, tracking_uri: str | None) -> Iterator[Finding]:
    """The server that the option or ``MLFLOW_TRACKING_URI`` names.

    Raises:
        UserError: the option is no usable URI.
    """
    import os

    from components.registration.store import locate

    if not (tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")):
        advice = "set MLFLOW_TRACKING_URI, or give --tracking-uri"
        yield Finding("mlflow", "unchecked", "nothing says where MLflow is", advice)
        return
    store = locate(tracking_uri or "")
    if store.database is not None:
        said = f"{store.uri} is a file of this machine, which pods do not share"
        yield Finding("mlflow", "failed", said, "use a server: http://mlflow:5000")
        return
    hidden = only_in_cluster(store.uri, "the tracking URI")
    if hidden:
        yield Finding("mlflow", "unchecked", hidden, "run this in a pod")
        return
    yield from _check_server(store, needs.experiment or _PROBE)


def judge_version(version: str, server: str) -> Finding:
    """What a server of a version such as ``3.17.2`` is good for."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        said = f"{server} does not say its version: is it MLflow?"
        return Finding("mlflow", "warning", said, "check the tracking URI")
    found = (int(numbers[1]), int(numbers[2]))
    if found < _OLDEST:
        said = f"{version} at {server} has no logged models"
        return Finding("mlflow", "failed", said, "use MLflow 3.17 or later")
    if found < _TESTED:
        said = f"{version} at {server}; kubedistill is tested with 3.17"
        return Finding("mlflow", "warning", said, "use MLflow 3.17 or later")
    return Finding("mlflow", "ok", f"{version} at {server}")


def _check_server(store: Any, experiment: str) -> Iterator[Finding]:
    from components.registration.client import TrackingError, clear_errors, connect

    try:
        with clear_errors(store):
            client = connect(store)
            yield judge_version(_version(), store.public_uri)
    except (TrackingError, UserError) as error:
        advice = "check the URI, MLFLOW_TRACKING_USERNAME and _PASSWORD, and the network policies"
        yield Finding("mlflow", "failed", str(error), advice)
        return
    try:
        with clear_errors(store):
            _write(client, experiment)
    except (TrackingError, UserError) as error:
        advice = f"let its user write to the experiment {experiment}, and to the registry"
        yield Finding("mlflow: writing", "failed", str(error), advice)
        return
    yield Finding("mlflow: writing", "ok", f"a run could be made in {experiment}, and deleted")


def _version() -> str:
    from mlflow.tracking import get_tracking_uri
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    answer = http_request(get_default_host_creds(get_tracking_uri()), "/version", "GET")
    return str(answer.text) if answer.ok else ""


def _write(client: Any, experiment: str) -> None:
    """Make a run and delete it; in an experiment of its own where the recipe's is still to come."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        found = client.get_experiment_by_name(_PROBE)
    elif found.lifecycle_stage != "active":
        raise UserError(
            f"the experiment {experiment} is deleted; restore it (mlflow experiments restore -x "
            f"{found.experiment_id}) or choose another name in registry.experiment"
        )
    identity = found.experiment_id if found else client.create_experiment(_PROBE)
    run = client.create_run(identity, run_name=_PROBE)
    client.set_terminated(run.info.run_id)
    client.delete_run(run.info.run_id)
