"""What a compiled pipeline says of each step's pod, and that no cache key changes by it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.shared import images
from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe
from components.shared.recipe.resources import Steps
from components.shared.train_job import TrainJobSettings
from pipelines import image_references
from pipelines.compiling import STEP_MODULES, compile_recipe, compile_shadow

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"
OF_THE_SHADOW = {"fetch_version", "collect_rows", "compare_challenger", "attach_comparison"}
REFERENCES = {
    name: f"registry.example:5000/{name}@sha256:{number:064x}"
    for number, name in enumerate(image_references.NAMES)
}


class Compiled:
    """A compiled pipeline, by step."""

    def __init__(self, text: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.ir, *platforms = yaml.load_all(text, loader)
        self.executors: dict[str, Any] = self.ir["deploymentSpec"]["executors"]
        self.platform: dict[str, Any] = (
            platforms[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
            if platforms
            else {}
        )

    def container(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = self.executors[f"exec-{step}"]["container"]
        return found

    def env(self, step: str) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.container(step).get("env", [])}

    def pod(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = self.platform[f"exec-{step}"]
        return found

    def tasks(self) -> dict[str, dict[str, Any]]:
        """All tasks, those in conditions, loops and pipelines inside too."""
        dags = [self.ir["root"]["dag"]]
        dags += [found["dag"] for found in self.ir["components"].values() if "dag" in found]
        return {name: task for dag in dags for name, task in dag["tasks"].items()}


@pytest.fixture(scope="module")
def cluster() -> Compiled:
    return Compiled(compile_recipe(load_recipe(RECIPES / "cluster.yaml")))


@pytest.fixture(scope="module")
def nodes() -> Compiled:
    return Compiled(compile_recipe(load_recipe(RECIPES / "nodes.yaml")))


def compiled(*overrides: str, for_cluster: bool = True) -> Compiled:
    recipe = load_recipe(RECIPES / "digits.yaml", overrides)
    return Compiled(compile_recipe(recipe, for_cluster=for_cluster))


def test_resources_can_be_given_for_every_step_and_no_other() -> None:
    components = {
        name
        for module in STEP_MODULES
        for name, value in vars(module).items()
        if hasattr(value, "component_spec")
    }
    assert set(Steps.model_fields) == components - OF_THE_SHADOW


def test_step_that_the_pipeline_does_not_have_is_refused() -> None:
    with pytest.raises(UserError, match=r"resources\.steps\.import_teacher: .* no such step"):
        compiled("resources.steps.import_teacher.cpu=2")


def test_gpu_step_gets_what_the_recipe_says(cluster: Compiled) -> None:
    for step in ("train-teacher", "train-student", "train-student-2", "train-student-3"):
        resources = cluster.container(step)["resources"]
        assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
        assert resources["accelerator"]["resourceCount"] == "2"
        assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"] == "8"
        assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"] == "32Gi"
        pod = cluster.pod(step)
        assert pod["emptyDirMounts"] == [
            {"volumeName": "tmp", "mountPath": "/tmp", "sizeLimit": "100Gi"},  # noqa: S108
            {
                "volumeName": "shared-memory",
                "mountPath": "/dev/shm",  # noqa: S108
                "medium": "Memory",
                "sizeLimit": "8Gi",
            },
        ]
        assert pod["activeDeadlineSeconds"] == "86400"
        assert pod["nodeSelector"]["labels"] == {
            "kubernetes.io/arch": "amd64",
            "nvidia.com/gpu.present": "true",
        }
        assert pod["tolerations"] == [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {
                "key": "capacity",
                "operator": "Equal",
                "value": "spot",
                "effect": "NoExecute",
                "tolerationSeconds": "300",
            },
        ]
        assert pod["podMetadata"]["labels"] == {
            "team": "vision",
            "kueue.x-k8s.io/queue-name": "kubedistill",
        }
        env = cluster.env(step)
        assert env["NCCL_DEBUG"] == "WARN"
        assert env["KUBEDISTILL_PROCESSES"] == "2"
        assert "KUBEDISTILL_TRAINJOB" not in env


def test_required_affinity_is_one_term_since_one_of_several_would_be_enough(
    cluster: Compiled,
) -> None:
    required, preferred = cluster.pod("train-student")["nodeAffinity"]
    assert [found["key"] for found in required["matchExpressions"]] == [
        "nvidia.com/gpu.product",
        "nvidia.com/gpu.memory",
    ]
    assert "weight" not in required
    assert preferred["weight"] == 80


def test_other_steps_get_the_defaults_and_no_gpu(cluster: Compiled) -> None:
    for step in ("check-recipe", "evaluate-student", "evaluate-student-2", "report-results"):
        resources = cluster.container(step)["resources"]
        assert "accelerator" not in resources
        assert (resources["resourceCpuRequest"], resources["resourceCpuLimit"]) == ("500m", "2")
        pod = cluster.pod(step)
        assert pod["activeDeadlineSeconds"] == "3600"
        assert pod["nodeSelector"]["labels"] == {"kubernetes.io/arch": "amd64"}
        assert "tolerations" not in pod
        assert "nodeAffinity" not in pod
        assert "KUBEDISTILL_PROCESSES" not in cluster.env(step)


def test_secrets_and_config_maps_arrive_as_variables_and_as_files(cluster: Compiled) -> None:
    pod = cluster.pod("register-student-2")
    variables = {
        each["secretName"]: (
            {pair["secretKey"]: pair["envVar"] for pair in each["keyToEnv"]},
            each["optional"],
        )
        for each in pod["secretAsEnv"]
    }
    assert variables["kubedistill-s3"] == (
        {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
        False,
    )
    assert variables["kubedistill-webhook"] == ({"secret": "KUBEDISTILL_WEBHOOK_SECRET"}, True)
    (files,) = pod["secretAsVolume"]
    assert (files["secretName"], files["mountPath"]) == ("serving-ca", "/etc/ssl/serving")
    (files,) = pod["configMapAsVolume"]
    assert (files["configMapName"], files["mountPath"]) == ("serving", "/etc/serving")
    assert pod["configMapAsEnv"][0]["configMapName"] == "kubedistill-config"


def test_every_step_is_identified_not_root_and_has_a_folder_of_its_own(
    cluster: Compiled, nodes: Compiled
) -> None:
    for pipeline, recipe in ((cluster, "digits-cluster"), (nodes, "digits-nodes")):
        assert set(pipeline.platform) == set(pipeline.executors)
        for label in pipeline.executors:
            step = label.removeprefix("exec-")
            pod = pipeline.pod(step)
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["emptyDirMounts"][0]["mountPath"] == "/tmp"  # noqa: S108
            assert pod["fieldPathAsEnv"] == [
                {"name": "KUBEDISTILL_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}
            ]
            assert pipeline.env(step)["KUBEDISTILL_RECIPE"] == recipe


def test_shadow_pods_are_identified_and_not_root() -> None:
    shadow = Compiled(compile_shadow())
    assert set(shadow.platform) == set(shadow.executors)
    for pod in shadow.platform.values():
        assert pod["securityContext"] == {"runAsNonRoot": True}
        assert pod["fieldPathAsEnv"][0]["name"] == "KUBEDISTILL_RUN_ID"
    assert not Compiled(compile_shadow(for_cluster=False)).platform


def test_retries_follow_the_recipe(cluster: Compiled) -> None:
    tasks = cluster.tasks()
    assert tasks["train-student"]["retryPolicy"] == {
        "maxRetryCount": 4,
        "backoffDuration": "10s",
        "backoffFactor": 3.0,
        "backoffMaxDuration": "604800s",
    }
    assert tasks["resolve-dataset"]["retryPolicy"]["maxRetryCount"] == 1


def test_retry_is_not_cut_short_by_the_time_that_training_takes() -> None:
    """Argo counts the longest duration from the start of the first attempt."""
    policy = compiled().tasks()["train-student"]["retryPolicy"]
    assert policy["maxRetryCount"] == 3
    assert int(policy["backoffMaxDuration"].removesuffix("s")) >= 7 * 24 * 3600


def test_pod_that_waits_for_a_train_job_takes_none_of_what_the_job_gets(nodes: Compiled) -> None:
    resources = nodes.container("train-student")["resources"]
    assert resources == {
        "cpuRequest": 0.25,
        "memoryRequest": pytest.approx(1.073741824),
        "resourceCpuRequest": "250m",
        "resourceMemoryRequest": "1Gi",
    }
    pod = nodes.pod("train-student")
    assert not {"tolerations", "activeDeadlineSeconds", "podMetadata"} & set(pod)
    assert [found["volumeName"] for found in pod["emptyDirMounts"]] == ["tmp"]
    assert pod["secretAsEnv"][0]["secretName"] == "kubedistill-s3"
    env = nodes.env("train-student")
    assert "KUBEDISTILL_PROCESSES" not in env
    settings = TrainJobSettings.model_validate_json(env["KUBEDISTILL_TRAINJOB"])
    recipe = load_recipe(RECIPES / "nodes.yaml")
    assert settings.image == images.TRAINING
    assert settings.training == recipe.resources.training
    assert settings.pods == recipe.resources.of("train_student")
    assert "KUBEDISTILL_TRAINJOB" not in nodes.env("generate-soft-labels")


def test_workers_in_the_pipeline_inside_get_all_of_it_too(nodes: Compiled) -> None:
    for step in ("label-shards", "label-shards-2"):
        assert nodes.container(step)["resources"]["accelerator"]["resourceCount"] == "1"
        assert nodes.pod(step)["tolerations"][0]["key"] == "nvidia.com/gpu"
        assert nodes.pod(step)["secretAsEnv"][0]["secretName"] == "kubedistill-s3"
    assert nodes.tasks()["label-shards"]["retryPolicy"]["maxRetryCount"] == 3


def test_train_jobs_are_deleted_when_the_run_ends_however_it_ends(nodes: Compiled) -> None:
    root = nodes.ir["root"]["dag"]["tasks"]
    assert set(root) == {"exit-handler-1", "delete-train-jobs"}
    deletion = root["delete-train-jobs"]
    assert deletion["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert deletion["dependentTasks"] == ["exit-handler-1"]
    assert not deletion["cachingOptions"].get("enableCache")
    given = deletion["inputs"]["parameters"]["run_id"]["runtimeValue"]["constant"]
    assert given == "{{$.pipeline_job_uuid}}"
    inside = nodes.ir["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert list(inside) == ["digits-nodes"]  # KFP runs no loops directly in an exit handler


QUEUE = "kueue.x-k8s.io/queue-name"
OF_ALL = (
    "storage=s3://bucket/kept",
    "resources.training.nodes=2",
    f"resources.defaults={{gpu: 1, memory: 64Gi, pod_labels: {{{QUEUE}: gpus, team: vision}}}}",
)


def test_exit_task_does_not_wait_for_what_it_is_to_delete() -> None:
    pipeline = compiled(*OF_ALL)
    assert pipeline.container("check-recipe")["resources"]["accelerator"]["resourceCount"] == "1"
    resources = pipeline.container("delete-train-jobs")["resources"]
    assert "accelerator" not in resources
    assert (resources["resourceMemoryRequest"], resources["resourceCpuRequest"]) == ("1Gi", "250m")
    labels = pipeline.pod("delete-train-jobs")["podMetadata"]["labels"]
    assert labels == {"team": "vision"}
    assert pipeline.tasks()["delete-train-jobs"]["retryPolicy"]["maxRetryCount"] == 3


def test_exit_task_gets_what_the_recipe_says_of_itself_but_for_a_queue() -> None:
    own = f"{{memory: 2Gi, pod_labels: {{{QUEUE}: own, kept: '1'}}, retry: {{attempts: 1}}}}"
    pipeline = compiled(*OF_ALL, f"resources.steps.delete_train_jobs={own}")
    resources = pipeline.container("delete-train-jobs")["resources"]
    assert (resources["resourceMemoryRequest"], resources["resourceCpuRequest"]) == ("2Gi", "250m")
    labels = pipeline.pod("delete-train-jobs")["podMetadata"]["labels"]
    assert labels == {"team": "vision", "kept": "1"}
    assert "retryPolicy" not in pipeline.tasks()["delete-train-jobs"]


def test_pipeline_with_an_exit_task_has_the_parameters_of_one_without() -> None:
    storage = "storage=s3://bucket/kept"
    one, two = compiled(storage), compiled(storage, "resources.training.nodes=2")
    assert two.ir["root"]["inputDefinitions"] == one.ir["root"]["inputDefinitions"]
    assert two.ir["pipelineInfo"] == one.ir["pipelineInfo"]
    passed = two.ir["root"]["dag"]["tasks"]["exit-handler-1"]["inputs"]["parameters"]
    assert len(passed) == len(one.ir["root"]["inputDefinitions"]["parameters"])


def test_no_cache_key_changes_by_how_steps_are_run(nodes: Compiled, cluster: Compiled) -> None:
    """KFP's key: image, command, arguments, inputs, outputs, and whether a task is cached."""
    for name, with_resources in (("nodes", nodes), ("cluster", cluster)):
        recipe = load_recipe(RECIPES / f"{name}.yaml").model_copy(
            update={"resources": load_recipe(RECIPES / "digits.yaml").resources}
        )
        plain = Compiled(compile_recipe(recipe))
        here = Compiled(compile_recipe(recipe, for_cluster=False))
        expected = keys(here)
        assert len(expected) > 15
        assert keys(plain) == expected
        own = {"delete-train-jobs", "exit-handler-1", recipe.name}
        assert {k: v for k, v in keys(with_resources).items() if k not in own} == expected


def keys(pipeline: Compiled) -> dict[str, str]:
    """What KFP's cache key is made of, by task."""
    found = {}
    for name, task in pipeline.tasks().items():
        component = pipeline.ir["components"][task["componentRef"]["name"]]
        executor = pipeline.executors.get(component.get("executorLabel"), {}).get("container", {})
        found[name] = json.dumps(
            [
                [executor.get(part) for part in ("image", "command", "args")],
                [component.get("inputDefinitions"), component.get("outputDefinitions")],
                task.get("cachingOptions"),
                sorted(task.get("inputs", {}).get("parameters", {})),
            ],
            sort_keys=True,
        )
    return found


def test_pipeline_for_this_machine_has_nothing_of_a_cluster() -> None:
    recipe = load_recipe(RECIPES / "nodes.yaml")
    local = Compiled(compile_recipe(recipe, for_cluster=False))
    assert not local.platform
    assert not any("env" in found["container"] for found in local.executors.values())
    assert not any("retryPolicy" in task for task in local.tasks().values())
    assert "outputDefinitions" in local.ir["root"]


@pytest.mark.parametrize("for_cluster", [True, False])
def test_each_step_runs_in_the_image_that_stands_for_its_own(
    nodes: Compiled, for_cluster: bool
) -> None:
    recipe = load_recipe(RECIPES / "nodes.yaml")
    pinned = Compiled(compile_recipe(recipe, for_cluster=for_cluster, images=REFERENCES))
    for label, executor in pinned.executors.items():
        ours = nodes.executors[label]["container"]["image"]
        assert executor["container"]["image"] == REFERENCES[image_references.name_of(ours)]
    if for_cluster:
        settings = json.loads(pinned.env("train-student")["KUBEDISTILL_TRAINJOB"])
        assert settings["image"] == REFERENCES["training"]


def test_image_that_the_references_lack_is_named(digits_recipe: Recipe) -> None:
    lacking = {name: value for name, value in REFERENCES.items() if name != "compression"}
    with pytest.raises(UserError, match="images: compression is missing"):
        compile_recipe(digits_recipe, images=lacking)
    unused = {name: value for name, value in REFERENCES.items() if name != "soft-labels-mlflow"}
    compile_recipe(digits_recipe, images=unused)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid JSON"),
        ("[]", "should be JSON such as"),
        ('{"trainig": "a@sha256:0"}', "trainig: not an image of ours; did you mean training?"),
        ('{"training": 1}', "training: should be a reference such as registry/training@sha256:"),
        ('{"training": "two words"}', "training: should be a reference such as"),
        ('{"training": "a@sha256:12"}', "training: should be a reference such as"),
        ('{"training": "registry/training:1.0"}', "is a tag, which may move"),
    ],
)
def test_file_with_references_is_checked(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "images.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"images\.json") as caught:
        image_references.load(path)
    assert expected in str(caught.value)


def test_file_with_references_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: No such file"):
        image_references.load(tmp_path / "none.json")


def test_references_by_tag_are_for_images_that_were_built_here(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text('{"training": "training:built-here"}')
    assert image_references.load(path, by_digest=False) == {"training": "training:built-here"}
