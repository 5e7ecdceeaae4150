"""The manifest of the KServe service that serves the champion.

The model is served in the format ``mlflow``, by MLServer over the open inference protocol (v2):
KServe then reads the folder that registration has uploaded as it lies in S3. MLServer installs
nothing of the model's pinned requirements, but the image that KServe sets up for its runtime
``kserve-mlserver`` (``seldonio/mlserver`` with all runtimes) brings MLflow and ONNX Runtime of its
own. With those that its release 1.7.1 pins (ONNX Runtime 1.20.0, MLflow 2.19.0), float32, float16
and both int8 forms predicted what ONNX Runtime predicts here; the images were not run. The
slim image ``seldonio/mlserver:…-mlflow`` has no ONNX Runtime; ``registry.kserve.runtime`` names a
runtime of one's own.

The format ``onnx`` is not offered. Triton, which serves it, wants ``<name>/<number>/model.onnx``,
which an MLflow model is not; and the Triton that KServe sets up (23.05) is older than the operators
of opset 20 that the student has.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from components.shared.errors import UserError
from components.shared.recipe.hooks import KServeSpec

GROUP = "serving.kserve.io"
API_VERSION = "v1beta1"
PLURAL = "inferenceservices"
_READABLE = ("s3", "gs", "hdfs", "webhdfs", "pvc", "https")
"""Schemes that KServe's storage initializer reads; ``https`` is a blob container of Azure."""
_LONGEST_NAME = 40
"""It is a part of host names of 63 characters, beside the namespace."""
_DOMAIN = "kubedistill.io"


class ApplyFailed(Exception):  # noqa: N818 - reads as an event
    """The cluster did not take the manifest."""


@dataclass(frozen=True)
class Served:
    """A version that is to be served."""

    model: str
    alias: str
    version: str
    artifact_uri: str
    """Folder of the MLflow model, as MLflow tells it for the version."""
    run_id: str | None
    """The pipeline run that made it."""
    model_digest: str | None
    """SHA-256 of its ONNX file."""


def inference_service(spec: KServeSpec, served: Served) -> dict[str, Any]:
    """The ``InferenceService`` that serves a version; the same input gives the same manifest.

    Raises:
        UserError: KServe cannot read the artifacts where they are, or the names of model and alias
            make no name of a service.
    """
    model: dict[str, Any] = {
        "modelFormat": {"name": "mlflow"},
        "protocolVersion": "v2",
        "storageUri": storage_uri(spec, served.artifact_uri),
    }
    if spec.runtime is not None:
        model["runtime"] = spec.runtime
    resources = {
        name: amounts
        for name, amounts in (("requests", spec.requests), ("limits", spec.limits))
        if amounts
    }
    if resources:
        model["resources"] = resources
    predictor: dict[str, Any] = {"minReplicas": spec.min_replicas, "model": model}
    if spec.max_replicas is not None:
        predictor["maxReplicas"] = spec.max_replicas
    if spec.service_account is not None:
        predictor["serviceAccountName"] = spec.service_account
    return {
        "apiVersion": f"{GROUP}/{API_VERSION}",
        "kind": "InferenceService",
        "metadata": {
            "name": spec.name or service_name(served.model, served.alias),
            "namespace": spec.namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "kubedistill",
                f"{_DOMAIN}/version": served.version,
            },
            "annotations": _annotations(served),
        },
        "spec": {"predictor": predictor},
    }


def to_yaml(manifest: dict[str, Any]) -> str:
    """A manifest as a file, the same bytes every time."""
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)


def service_name(model: str, alias: str) -> str:
    """The name of a service: ``Digits student`` gives ``digits-student``, and with another alias
    than ``champion`` that follows, as in ``digits-student-canary``.

    Raises:
        UserError: nothing that KServe takes is left.
    """
    named, whole = f"the registered model {model!r}", model
    if alias != "champion":
        named, whole = f"{named} with the alias {alias!r}", f"{model}-{alias}"
    name = re.sub(r"[^a-z0-9]+", "-", whole.lower()).strip("-")
    if not re.match(r"[a-z]", name) or len(name) > _LONGEST_NAME:
        raise UserError(
            f"{named} makes no name for an InferenceService, which begins with a letter and has at "
            f"most {_LONGEST_NAME} characters; set registry.kserve.name"
        )
    return name


def storage_uri(spec: KServeSpec, artifact_uri: str) -> str:
    """Where KServe reads a version's files.

    Args:
        spec: says where MLflow's server keeps what it hands out itself.
        artifact_uri: as MLflow tells it.

    Raises:
        UserError: KServe cannot read that.
    """
    parts = urlsplit(artifact_uri)
    if parts.scheme == "mlflow-artifacts" and spec.artifacts is not None:
        artifact_uri = f"{spec.artifacts}/{parts.path.lstrip('/')}"
        parts = urlsplit(artifact_uri)
    if parts.scheme in _READABLE and "@" not in parts.netloc:
        return artifact_uri
    kept = f"{parts.scheme}:" if parts.scheme else "a local path"
    raise UserError(
        f"registry.kserve: KServe cannot read the model's files at {kept}. Let MLflow write "
        "artifacts to S3 (mlflow server --default-artifact-root s3://bucket "
        "--no-serve-artifacts), or, where its server hands them out, set registry.kserve.artifacts "
        "to where it keeps them, such as s3://bucket"
    )


def _annotations(served: Served) -> dict[str, str]:
    """What is served, in full: labels are too short for digests, and have no spaces."""
    found = {
        f"{_DOMAIN}/model": served.model,
        f"{_DOMAIN}/alias": served.alias,
        f"{_DOMAIN}/run-id": served.run_id,
        f"{_DOMAIN}/model-digest": served.model_digest,
    }
    return {name: value for name, value in found.items() if value is not None}
