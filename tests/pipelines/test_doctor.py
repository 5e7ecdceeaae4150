"""What the doctor makes of what it sees; that it sees it is tested in tests/cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import boto3
import pytest
import yaml

from components.shared.recipe import load_recipe
from components.shared.recipe.kubernetes import Toleration
from components.shared.train_job import TrainJobSettings
from pipelines.compiling import steps_of_recipe
from pipelines.doctor import cluster, gpus, kubeflow, storing, tracking
from pipelines.doctor.examining import Surroundings, examine
from pipelines.doctor.from_recipe import needs_of
from pipelines.doctor.gpus import Node, usable
from pipelines.doctor.needs import PIPELINE_ACCOUNT, TRAINING_ACCOUNT, GpuNeed, KeyedNeed, Needs
from pipelines.doctor.rights import needed
from tests.command_line import DIGITS
from tests.servers.mlflow_server import MlflowServer
from tests.servers.processes import free_ports
from tests.servers.s3 import S3

GPU = "nvidia.com/gpu"
OVERRIDES = (
    "storage=s3://bucket/storage",
    "resources.service_account=runs",
    "resources.image_pull_secrets=[registry]",
    "resources.defaults.secrets={s3: {env: [ID]}}",
    "resources.defaults.config_maps={config: {env: [URI], optional: true}}",
    "resources.training={nodes: 3, runtime: torch}",
    "resources.steps.train_teacher.gpu=4",
    "resources.steps.train_student.gpu=2",
    "resources.steps.train_student.pod_labels={kueue.x-k8s.io/queue-name: kubedistill}",
    "resources.steps.generate_soft_labels={gpu: 1, node_selector: {pool: gpu}}",
    "resources.steps.register_student.secrets={s3: {env: [KEY]}}",
)


@pytest.mark.parametrize(
    ("judge", "version", "status"),
    [
        (cluster.judge_version, "v1.33.2-gke.1", "ok"),
        (cluster.judge_version, "v1.24.17", "warning"),
        (cluster.judge_version, "", "ok"),
        (tracking.judge_version, "3.17.2", "ok"),
        (tracking.judge_version, "3.4.0", "warning"),
        (tracking.judge_version, "2.22.0", "failed"),
        (tracking.judge_version, "<html>", "warning"),
        (kubeflow.judge_version, "2.17.0", "ok"),
        (kubeflow.judge_version, "2.5.0", "warning"),
        (kubeflow.judge_version, "", "ok"),
    ],
)
def test_versions_are_judged_as_numbers(judge, version, status):
    found = judge(version, "https://server")

    assert found.status == status
    assert bool(found.advice) == (status != "ok")


@pytest.fixture(autouse=True)
def _no_mlflow_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow keeps its tracking URI in the environment, where the next test would find it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")


def test_needs_of_a_recipe_are_those_of_the_steps_that_it_has():
    recipe = load_recipe(DIGITS, OVERRIDES)

    needs = needs_of(recipe)

    assert "train_student" in steps_of_recipe(recipe)
    assert "import_teacher" not in steps_of_recipe(recipe)
    assert needs.gpus == (
        GpuNeed("generate_soft_labels", GPU, 1, 1, {"pool": "gpu"}),
        GpuNeed("train_student", GPU, 2, 3),
        GpuNeed("train_teacher", GPU, 4, 3),
    )
    assert set(needs.keyed) == {
        KeyedNeed("secret", "s3", ("ID", "KEY")),
        KeyedNeed("config map", "config", ("URI",), optional=True),
    }
    assert (needs.account, needs.pull_secrets) == ("runs", ("registry",))
    assert (needs.queues, needs.runtime) == (("kubedistill",), "torch")
    assert needs_of(load_recipe(DIGITS)).account is None


@pytest.mark.parametrize(
    ("labels", "status"),
    [
        ({"pod-security.kubernetes.io/enforce": "restricted"}, "ok"),
        ({"pod-security.kubernetes.io/enforce": "privileged"}, "warning"),
        ({"pod-security.kubernetes.io/warn": "restricted"}, "warning"),
    ],
)
def test_standard_counts_only_where_it_is_enforced(labels, status):
    assert cluster.judge_security("kubedistill", labels).status == status


@pytest.mark.parametrize(
    ("need", "on_nodes", "status"),
    [
        (GpuNeed("train", GPU, 2), [2], "ok"),
        (GpuNeed("train", GPU, 2), [1, 1], "failed"),
        (GpuNeed("train", GPU, 2, pods=2), [5], "ok"),
        (GpuNeed("train", GPU, 2, pods=2), [3, 1], "failed"),
        (GpuNeed("train", "amd.com/gpu", 1), [8], "failed"),
        (GpuNeed("train", GPU, 1, node_selector={"gpu": "a100"}), [8], "failed"),
    ],
)
def test_each_pod_needs_all_its_gpus_on_one_node(need, on_nodes, status):
    nodes = [Node(str(index), {GPU: str(count)}) for index, count in enumerate(on_nodes)]

    assert gpus.judge(need, nodes).status == status


@pytest.mark.parametrize(
    ("tolerations", "status"),
    [
        ([], "warning"),
        ([{"key": "another"}], "warning"),
        ([{"key": GPU, "value": "absent"}], "warning"),
        ([{"key": GPU, "effect": "NoExecute"}], "warning"),
        ([{"key": GPU}], "ok"),
        ([{"key": GPU, "value": "present", "effect": "NoSchedule"}], "ok"),
    ],
)
def test_gpus_behind_a_taint_are_for_those_who_tolerate_it(tolerations, status):
    given = tuple(Toleration(**one) for one in tolerations)
    taints = [
        {"key": GPU, "value": "present", "effect": "NoSchedule"},
        {"key": "busy", "effect": "PreferNoSchedule"},
    ]
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {GPU: "1"}}
    node = {"metadata": {"name": "a"}, "status": ready, "spec": {"taints": taints}}
    without = {"conditions": ready["conditions"]}
    taints_of_another = {"taints": [{"key": "control-plane", "effect": "NoSchedule"}]}
    other = {"metadata": {"name": "b"}, "status": without, "spec": taints_of_another}

    found = gpus.judge(GpuNeed("train", GPU, 1, tolerations=given), list(usable([node, other])))

    assert found.status == status
    assert found.said.endswith(f": {GPU}=present:NoSchedule") == (status == "warning")


def test_nodes_that_take_no_pods_do_not_count():
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {GPU: "1"}}
    away = {"conditions": [{"type": "Ready", "status": "Unknown"}], "allocatable": {GPU: "8"}}
    nodes = [
        {"metadata": {"name": "a"}, "status": ready},
        {"metadata": {"name": "b"}, "status": away},
        {"metadata": {"name": "c"}, "status": ready, "spec": {"unschedulable": True}},
    ]

    assert [node.name for node in usable(nodes)] == ["a"]


def test_storage_is_written_and_left_as_it_was(s3: S3, s3_root: str):
    (found,) = storing.check_storage(Needs(recipe="digits", storage=s3_root))

    assert found.status == "ok"
    bucket, _, prefix = s3_root.removeprefix("s3://").partition("/")
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    assert listed["KeyCount"] == 0


def test_rights_that_are_looked_for_are_those_that_the_manifests_grant():
    everything = Needs(runtime="torch", kserve_namespace="serving")
    looked_for = {
        (right.group, right.resource, right.name, verb)
        for right, _ in needed(everything)
        for verb in right.verbs
    }

    assert looked_for == set(granted(PIPELINE_ACCOUNT))


def test_account_that_is_looked_for_is_that_of_the_pods_of_a_train_job():
    assert TrainJobSettings.model_fields["service_account"].default == TRAINING_ACCOUNT


def granted(account: str) -> Iterator[tuple[str, str, str, str]]:
    """Group, resource, name and verb of all that the Roles of an account grant."""
    base = Path(__file__).parents[2] / "manifests" / "base"
    documents = [
        document
        for file in base.glob("*.yaml")
        for document in yaml.safe_load_all(file.read_text())
    ]
    roles = {one["metadata"]["name"]: one for one in documents if one["kind"] == "Role"}
    for binding in documents:
        names = [subject["name"] for subject in binding.get("subjects", [])]
        if binding["kind"] == "RoleBinding" and account in names:
            for rule in roles[binding["roleRef"]["name"]]["rules"]:
                yield from product(
                    rule["apiGroups"],
                    rule["resources"],
                    rule.get("resourceNames", [""]),
                    rule["verbs"],
                )


@pytest.mark.parametrize("check", [storing.check_storage, storing.check_data])
def test_wrong_credentials_are_found_and_not_told(check, s3_root, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")

    (found,) = check(Needs(recipe="digits", storage=s3_root, data=f"{s3_root}/rows"))

    assert found.status == "failed"
    assert "kubedistill-s3" in found.advice
    assert "hunter2" not in found.said


@pytest.mark.parametrize("check", [storing.check_storage, storing.check_data])
def test_s3_that_does_not_answer_is_a_failure(check, s3_root, monkeypatch):
    monkeypatch.setenv("KUBEDISTILL_STORAGE_PATIENCE_S", "1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_ports(1)[0]}")

    (found,) = check(Needs(recipe="digits", storage=s3_root, data=f"{s3_root}/rows"))

    assert found.status == "failed"


@pytest.mark.parametrize("check", [storing.check_storage, storing.check_data])
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_endpoint_of_s3_that_is_no_url_is_a_failure(check, name, monkeypatch):
    for other in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "http://me:hunter2@[s3")

    (found,) = check(Needs(recipe="digits", storage="s3://bucket/kept", data="s3://bucket/rows"))

    assert found.status == "failed"
    assert found.said.startswith(f"{name} is not a URL")
    assert "hunter2" not in found.said


def test_data_are_read_where_they_are(s3_root):
    bucket, _, prefix = s3_root.removeprefix("s3://").partition("/")
    needs = Needs(recipe="digits", data=f"{s3_root}/rows")
    assert [found.status for found in storing.check_data(needs)] == ["failed"]

    boto3.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/rows/a.parquet", Body=b"PAR1")

    (found,) = storing.check_data(needs)
    assert (found.status, found.said) == ("ok", f"1 Parquet files at {s3_root}/rows")


def test_mlflow_takes_a_run_and_keeps_none(mlflow_on_postgres: MlflowServer):
    needs = Needs(recipe="digits", experiment="doctors-experiment")

    found = list(tracking.check_mlflow(needs, mlflow_on_postgres.uri))

    assert [finding.status for finding in found] == ["ok", "ok"]
    assert found[0].said.startswith("3.")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(mlflow_on_postgres.uri)
    assert client.get_experiment_by_name("doctors-experiment") is None
    probe = client.get_experiment_by_name("kubedistill-doctor")
    assert client.search_runs([probe.experiment_id]) == []


def test_deleted_experiment_is_found_before_a_run_is(mlflow_on_postgres: MlflowServer):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(mlflow_on_postgres.uri)
    client.delete_experiment(client.create_experiment("gone"))

    found = list(tracking.check_mlflow(Needs(experiment="gone"), mlflow_on_postgres.uri))

    assert found[-1].status == "failed"
    assert "restore it" in found[-1].said


def test_mlflow_that_wants_a_password_says_so(
    mlflow_with_auth_and_s3: MlflowServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")

    (found,) = tracking.check_mlflow(Needs(), mlflow_with_auth_and_s3.uri)

    assert found.status == "failed"
    assert "MLFLOW_TRACKING_USERNAME" in found.advice
    assert "hunter2" not in found.said + found.advice


def test_what_only_pods_can_reach_is_not_called_broken(monkeypatch):
    inside = "http://service.kubedistill.svc.cluster.local:5000"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", inside)
    needs = Needs(recipe="digits", storage="s3://bucket/storage", data="s3://bucket/rows")

    found = [
        *storing.check_data(needs),
        *storing.check_storage(needs),
        *tracking.check_mlflow(needs, inside),
        *kubeflow.check_kubeflow(inside, None),
    ]

    assert [one.status for one in found] == ["unchecked"] * 4
    assert all("only pods can resolve" in one.said for one in found)


def test_mlflow_of_this_machine_is_no_use_to_pods(tmp_path):
    (found,) = tracking.check_mlflow(Needs(), f"sqlite:///{tmp_path}/mlflow.db")

    assert found.status == "failed"
    assert list(tmp_path.iterdir()) == []


def test_without_a_cluster_it_says_so_and_looks_at_the_rest(tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KUBE", "MLFLOW_", "KFP_", "KF_"))
    }
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("kubedistill"),
            *("doctor", DIGITS, "--json", "--set", "storage=s3://bucket/prefix"),
        ],
        env=environment
        | {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")}
        | {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}
        | {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1, ran.stderr
    told = json.loads(ran.stdout)
    statuses = {found["check"]: found["status"] for found in told["findings"]}
    assert (statuses["kubernetes"], statuses["storage"]) == ("failed", "failed")
    assert (statuses["data"], statuses["mlflow"], statuses["kubeflow"]) == (
        "ok",
        "unchecked",
        "unchecked",
    )
    assert not told["ready"]
    assert "outside of the cluster" in told["standpoint"]


def test_wrong_option_is_the_users_mistake(monkeypatch, tmp_path):
    from components.shared.errors import UserError

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")

    with pytest.raises(UserError, match="is not the URL of a server"):
        list(examine(Needs(), Surroundings(endpoint="ftp://kubeflow")))
