"""The InferenceService manifest of a champion."""

from dataclasses import replace

import pytest
import yaml

from components.registration.hooks.kserve import (
    Served,
    inference_service,
    service_name,
    storage_uri,
    to_yaml,
)
from components.registration.hooks.kserve_apply import apply
from components.shared import cluster
from components.shared.errors import UserError
from components.shared.recipe.hooks import KServeSpec

SPEC = KServeSpec(namespace="serving")
SERVED = Served(
    model="Digits student",
    alias="champion",
    version="7",
    artifact_uri="s3://mlflow/1/models/m-0123/artifacts",
    run_id="run-7",
    model_digest="e" * 64,
)


def test_manifest_serves_the_version_as_an_mlflow_model():
    assert (
        to_yaml(inference_service(SPEC, SERVED))
        == f"""\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: digits-student
  namespace: serving
  labels:
    app.kubernetes.io/managed-by: kubedistill
    kubedistill.io/version: '7'
  annotations:
    kubedistill.io/model: Digits student
    kubedistill.io/alias: champion
    kubedistill.io/run-id: run-7
    kubedistill.io/model-digest: {"e" * 64}
spec:
  predictor:
    minReplicas: 1
    model:
      modelFormat:
        name: mlflow
      protocolVersion: v2
      storageUri: s3://mlflow/1/models/m-0123/artifacts
"""
    )


def test_manifest_says_what_the_recipe_does():
    spec = KServeSpec(
        namespace="serving",
        name="digits",
        service_account="s3-reader",
        runtime="own-mlserver",
        min_replicas=0,
        max_replicas=4,
        requests={"cpu": "500m", "memory": "1Gi"},
        limits={"cpu": 1},
    )

    manifest = inference_service(spec, SERVED)

    assert manifest["metadata"]["name"] == "digits"
    assert manifest["spec"]["predictor"] == {
        "minReplicas": 0,
        "maxReplicas": 4,
        "serviceAccountName": "s3-reader",
        "model": {
            "modelFormat": {"name": "mlflow"},
            "protocolVersion": "v2",
            "storageUri": SERVED.artifact_uri,
            "runtime": "own-mlserver",
            "resources": {
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "limits": {"cpu": "1"},
            },
        },
    }


def test_manifest_is_the_same_bytes_every_time_and_yaml_that_reads_back():
    manifest = inference_service(SPEC, SERVED)

    assert to_yaml(manifest) == to_yaml(inference_service(SPEC, replace(SERVED)))
    assert yaml.safe_load(to_yaml(manifest)) == manifest


def test_version_of_another_tool_has_no_run_and_no_digest():
    manifest = inference_service(SPEC, replace(SERVED, run_id=None, model_digest=None))

    assert set(manifest["metadata"]["annotations"]) == {
        "kubedistill.io/model",
        "kubedistill.io/alias",
    }


@pytest.mark.parametrize(
    ("model", "alias", "name"),
    [
        ("digits-student", "champion", "digits-student"),
        ("digits-student", "canary", "digits-student-canary"),
        ("digits-student", "EU_west", "digits-student-eu-west"),
        ("Digits student v1.2", "champion", "digits-student-v1-2"),
        ("a", "champion", "a"),
        ("x_", "champion", "x"),
        ("m" * 40, "champion", "m" * 40),
    ],
)
def test_name_of_the_service_follows_from_the_model_and_an_alias_of_its_own(model, alias, name):
    assert service_name(model, alias) == name
    manifest = inference_service(SPEC, replace(SERVED, model=model, alias=alias))
    assert manifest["metadata"]["name"] == name


@pytest.mark.parametrize(
    ("model", "alias"),
    [("7digits", "champion"), ("m" * 41, "champion"), ("数字", "champion"), ("m" * 35, "canary")],
)
def test_model_that_makes_no_name_is_refused(model, alias):
    with pytest.raises(UserError, match=r"set registry\.kserve\.name"):
        service_name(model, alias)
    named = KServeSpec(namespace="serving", name="digits")
    assert inference_service(named, replace(SERVED, model=model, alias=alias))


@pytest.mark.parametrize(
    "uri",
    [
        "s3://mlflow/1/models/m-0123/artifacts",
        "gs://mlflow/1",
        "hdfs://name/mlflow",
        "pvc://mlflow/1",
        "https://account.blob.core.windows.net/mlflow/1",
    ],
)
def test_place_that_kserve_reads_is_taken_as_it_is(uri):
    assert storage_uri(SPEC, uri) == uri


@pytest.mark.parametrize(
    ("uri", "kept"),
    [
        ("mlflow-artifacts:/1/models/m-0123/artifacts", "mlflow-artifacts:"),
        ("file:///data/artifacts", "file:"),
        ("/data/artifacts", "a local path"),
        ("wasbs://c@account.blob.core.windows.net/1", "wasbs:"),
        ("dbfs:/mlflow", "dbfs:"),
        ("https://ada:hunter2@example.org/model", "https:"),
    ],
)
def test_place_that_kserve_cannot_read_is_refused_with_what_to_do(uri, kept):
    with pytest.raises(UserError, match=rf"at {kept}\. Let MLflow write artifacts to S3") as caught:
        storage_uri(SPEC, uri)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("artifacts", "uri", "expected"),
    [
        ("s3://mlflow", "mlflow-artifacts:/1/models/m-01/artifacts", "s3://mlflow/1/models/m-01"),
        ("s3://a/b/", "mlflow-artifacts:/1/m", "s3://a/b/1/m"),
        ("pvc://mlflow/data", "mlflow-artifacts://server:5000/1/m", "pvc://mlflow/data/1/m"),
        ("s3://elsewhere", "s3://mlflow/1/m", "s3://mlflow/1/m"),
    ],
)
def test_artifacts_that_the_server_hands_out_are_read_where_it_keeps_them(artifacts, uri, expected):
    spec = KServeSpec(namespace="serving", artifacts=artifacts)

    assert storage_uri(spec, uri).startswith(expected)


def test_pod_whose_service_account_is_not_whole_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    (tmp_path / "token").touch()

    with pytest.raises(UserError, match="Token file exists but empty; let Kubernetes mount"):
        apply(inference_service(SPEC, SERVED))
