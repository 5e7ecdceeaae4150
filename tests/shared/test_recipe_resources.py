"""The recipe's section ``resources``: what it refuses, in which words, and how steps merge."""

from pathlib import Path

import pytest

from components.shared.errors import UserError
from components.shared.recipe import Recipe, load_recipe

DIGITS = Path(__file__).parents[2] / "pipelines" / "recipes" / "digits.yaml"


def load(*overrides: str) -> Recipe:
    return load_recipe(DIGITS, [f"resources.{override}" for override in overrides])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("default.cpu=1", "resources.default: unknown field; did you mean defaults?"),
        ("steps.train_studnt.cpu=1", "steps.train_studnt: unknown field; did you mean train_stud"),
        ("steps.train_student.gpus=1", "steps.train_student.gpus: unknown field; did you mean gpu"),
        ("defaults.cpu=two", "resources.defaults.cpu: should be a number of CPUs, such as 2, 0.5"),
        ("defaults.cpu={request: 4, limit: 500m}", "cpu: request 4 is more than limit 500m"),
        ("defaults.memory=16", "defaults.memory: should be a whole number with a unit"),
        ("defaults.memory=1.5Gi", "defaults.memory: should be a whole number with a unit"),
        ("defaults.memory={request: 2G, limit: 1Gi}", "memory: request 2G is more than limit 1Gi"),
        ("defaults.shared_memory=0Gi", "defaults.shared_memory: should be more than 0"),
        ("defaults={shared_memory: 8Gi, memory: 4Gi}", "shared_memory 8Gi is more than memory"),
        ("defaults.gpu=-1", "defaults.gpu.count: input should be greater than or equal to 0"),
        ("defaults.gpu.resource=nvidia/gpu/a100", "gpu.resource: should be a key such as nvidia"),
        ("defaults.cpu=２", "defaults.cpu: should be a number of CPUs"),  # noqa: RUF001
        ("defaults.memory=２Gi", "defaults.memory: should be a whole number"),  # noqa: RUF001
        ("defaults.gpu=9223372036854775808", "gpu.count: input should be less than or equal to"),
        ("defaults.retry.factor=2147483648", "retry.factor: input should be less than or equal to"),
        ("defaults.timeout_s=0", "defaults.timeout_s: input should be greater than 0, not 0"),
        ("defaults.retry.factor=1.5", "defaults.retry.factor: input should be a valid integer"),
        ("defaults.node_selector={a b: c}", "node_selector.a b: should be a key such as nvidia."),
        ("defaults.node_selector={zone: b c}", "node_selector.zone: should be up to 63 letters"),
        ("defaults.node_selector={gpu: true}", "node_selector.gpu: input should be a valid string"),
        ("defaults.tolerations=[{ky: gpu}]", "tolerations[0].ky: unknown field; did you mean key"),
        ("defaults.tolerations=[{key: a, operator: Equal}]", "operator Equal needs a value"),
        ("defaults.tolerations=[{key: a, value: b, operator: Exists}]", "and Exists has none"),
        ("defaults.tolerations=[{key: a, seconds: 3}]", "seconds is for the effect NoExecute"),
        ("defaults.tolerations=[{key: a, effect: No}]", "tolerations[0].effect: input should be"),
        ("defaults.node_affinity.required=[{key: a, operator: In}]", "operator In needs values"),
        ("defaults.node_affinity.preferred=[{key: a, operator: Exists}]", "weight: is required"),
        ("defaults.pod_labels={pipeline/runid: a}", "pipeline/runid: should not have pipeline/"),
        ("defaults.pod_annotations={a: '{{b}}'}", "pod_annotations.a: should not hold '{{'"),
        ("defaults.env={A: 1}", "defaults.env.A: input should be a valid string, not 1"),
        ("defaults.env={KUBEDISTILL_RUN_ID: a}", "env: the compiler sets KUBEDISTILL_RUN_ID"),
        ("defaults.secrets.s3.env=[KUBEDISTILL_TRAINJOB]", "s3: the compiler sets KUBEDISTILL_TR"),
        ("defaults.env={MLFLOW_TRACKING_PASSWORD: a}", "but the pipeline is shown; use secrets"),
        ("defaults.env={AWS_ACCESS_KEY_ID: a}", "but the pipeline is shown; use secrets"),
        ("defaults.env={wandb_api_key: a}", "but the pipeline is shown; use secrets"),
        ("defaults.secrets.s3.env=[[KEY]]", "secrets.s3.env: a list has keys in it"),
        ("defaults.secrets.s3={}", "secrets.s3: needs env, path or both"),
        ("defaults.secrets.s3.pth=/a", "secrets.s3.pth: unknown field; did you mean path?"),
        ("defaults.secrets.S3.path=/a", "secrets.S3: should be a Kubernetes name"),
        ("defaults.secrets.s3.env={a: 'B C'}", "env.a: should be the name of an environment"),
        ("defaults.secrets.s3.path=etc", "secrets.s3: path: should be an absolute path"),
        ("defaults.secrets.s3.path=/tmp", "secrets.s3: path /tmp is taken"),
        ("defaults.secrets.s3.path=/.config", "secrets.s3: path /.config is taken"),
        ("defaults.secrets.s3.path=/a/../tmp", "secrets.s3: path: should have no '.' and no '..'"),
        ("defaults.secrets.tmp.path=/a", "secrets.tmp: a volume of the pod has this name"),
        ("defaults.secrets={a.b: {path: /c}}", "secrets.a.b: path needs a name of up to 63"),
        (
            "defaults.secrets={a: {path: /c}, b: {path: /c}}",
            "secrets.b and secrets.a have the same",
        ),
        ("defaults={secrets: {a: {path: /c}}, config_maps: {a: {path: /d}}}", "have one name"),
        ("defaults={secrets: {a: {env: [C]}}, env: {C: d}}", "C is in both env and secrets.a"),
        ("defaults.security_context.run_as_user=0", "run_as_user: input should be greater than 0"),
        ("service_account=A B", "resources.service_account: should be a Kubernetes name"),
        ("training.nodes=2", "training.nodes is more than 1, and needs storage in S3"),
    ],
)
def test_error_names_the_field_and_what_to_write(override: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        load(override)
    assert expected in str(caught.value)


def test_step_is_merged_over_the_defaults_field_by_field_and_key_by_key() -> None:
    resources = load(
        "defaults={cpu: 2, memory: {request: 1Gi, limit: 4Gi}, node_selector: {arch: amd64}, "
        "tolerations: [{key: a}], secrets: {s3: {env: [ID], optional: true}}, timeout_s: 60}",
        "steps.train_student={memory: {limit: 8Gi}, node_selector: {gpu: l4}, "
        "tolerations: [{key: b}], secrets: {s3: {env: {k: KEY}}, git: {path: /git}}}",
    ).resources
    merged = resources.of("train_student").model_dump(exclude_unset=True)
    assert merged == {
        "cpu": {"request": "2", "limit": "2"},
        "memory": {"request": "1Gi", "limit": "8Gi"},
        "node_selector": {"arch": "amd64", "gpu": "l4"},
        "tolerations": [{"key": "b"}],
        "secrets": {
            "s3": {"env": {"ID": "ID", "k": "KEY"}, "optional": True},
            "git": {"path": "/git"},
        },
        "timeout_s": 60,
    }
    assert resources.of("register_student") == resources.defaults


def test_step_that_does_not_fit_the_defaults_is_refused_by_name() -> None:
    with pytest.raises(
        UserError,
        match=r"steps\.train_student\.memory, together with the defaults: request 2Gi is more",
    ):
        load("defaults.memory.limit=1Gi", "steps.train_student.memory.request=2Gi")


def test_more_processes_than_gpus_are_refused() -> None:
    with pytest.raises(UserError, match=r"training\.processes is 4, but train_student has 2 GPUs"):
        load("training.processes=4", "steps.train_student.gpu=2")
    load("training.processes=4", "steps.train_student.gpu=0", "steps.train_teacher.gpu=4")


def test_nodes_need_a_storage_that_all_of_them_see() -> None:
    nodes = "resources.training.nodes=2"
    with pytest.raises(UserError, match="needs storage in S3"):
        load_recipe(DIGITS, [nodes, "storage=/kept"])
    load_recipe(DIGITS, [nodes, "storage=s3://bucket/kept"])


def test_no_step_and_no_record_is_told_how_steps_are_run() -> None:
    recipe = load("defaults.cpu=2", "service_account=runner")
    assert "resources" not in recipe.model_dump(mode="json")


def test_variable_that_only_speaks_of_tokens_is_no_secret():
    env = {
        "TOKENIZERS_PARALLELISM": "false",
        "MAX_TOKENS": "3",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/a",
    }

    loaded = load(f"defaults.env={env}")

    assert loaded.resources.of("train_student").env == env
