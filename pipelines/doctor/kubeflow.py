"""Kubeflow Pipelines: whether its API answers, lets this process in, and which version it is."""

import re
from collections.abc import Iterator
from typing import Any

from components.shared.errors import StepFailed, UserError
from pipelines.doctor.findings import Finding
from pipelines.doctor.reach import only_in_cluster

_COMPILED_FOR = (2, 17)
"""The version of the SDK that compiles pipelines."""


def check_kubeflow(endpoint: str | None, namespace: str | None) -> Iterator[Finding]:
    """The installation that the option, the environment or the pod names.

    Raises:
        UserError: the option is no usable URL.
    """
    from pipelines.kubeflow.connecting import connect
    from pipelines.kubeflow.place import find_place

    try:
        place = find_place(endpoint, namespace)
    except UserError as error:
        if endpoint is not None:
            raise
        yield Finding("kubeflow", "unchecked", str(error))
        return
    hidden = only_in_cluster(place.endpoint, "the endpoint")
    if hidden:
        advice = "run this in a pod, or kubectl port-forward and give --endpoint"
        yield Finding("kubeflow", "unchecked", hidden, advice)
        return
    try:
        kubeflow = connect(endpoint, namespace)
        kubeflow.ask(kubeflow.runs.run_service_list_runs, page_size=1, **_where(kubeflow))
    except (UserError, StepFailed) as error:
        advice = "check --endpoint, KFP_EXISTING_TOKEN and the network policies"
        yield Finding("kubeflow", "failed", str(error), advice)
        return
    yield judge_version(_version(kubeflow), place.endpoint)


def judge_version(version: str, server: str) -> Finding:
    """What an installation of a version such as ``2.17.0`` is good for."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None:
        return Finding("kubeflow", "ok", f"lets this process in at {server}; its version is hidden")
    if (int(numbers[1]), int(numbers[2])) < _COMPILED_FOR:
        compiled = ".".join(map(str, _COMPILED_FOR))
        said = f"{version} at {server} is older than what pipelines are compiled for, {compiled}"
        return Finding("kubeflow", "warning", said, f"use Kubeflow Pipelines {compiled} or later")
    return Finding("kubeflow", "ok", f"{version} at {server}")


def _where(kubeflow: Any) -> dict[str, str]:
    return {} if kubeflow.namespace is None else {"namespace": kubeflow.namespace}


def _version(kubeflow: Any) -> str:
    """The tag of the API server's image, which only the older path tells; empty where it does
    not."""
    client = kubeflow.runs.api_client
    try:
        told = kubeflow.ask(
            client.call_api,
            "/apis/v1beta1/healthz",
            "GET",
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
        )
    except (UserError, StepFailed):
        return ""
    # Through the user interface's server, it has another name.
    return str(told.get("tag_name") or told.get("apiServerTagName") or "")
