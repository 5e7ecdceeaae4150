"""Placing: where the pod of a task may run, what it may use, and what is put into it."""

from collections.abc import Sequence

from kfp import kubernetes
from kfp.dsl import PipelineTask

from components.shared.recipe import StepResources
from components.shared.recipe.kubernetes import NodeAffinity, Requirement


def place(task: PipelineTask, given: StepResources, image_pull_secrets: Sequence[str]) -> None:
    """Give a task's pod what the recipe says.

    Args:
        task: to be set.
        given: what its step gets in the end.
        image_pull_secrets: names of secrets.
    """
    _size(task, given)
    _folders(task, given)
    _nodes(task, given)
    _describe(task, given)
    _fill(task, given)
    context = given.security_context
    kubernetes.set_security_context(
        task, context.run_as_user, context.run_as_group, context.run_as_non_root
    )
    if image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(image_pull_secrets))
    if given.image_pull_policy:
        kubernetes.set_image_pull_policy(task, given.image_pull_policy)
    if given.timeout_s:
        kubernetes.set_timeout(task, given.timeout_s)


def _size(task: PipelineTask, given: StepResources) -> None:
    cpu, memory, gpu = given.cpu, given.memory, given.gpu
    if cpu and cpu.request:
        task.set_cpu_request(cpu.request)
    if cpu and cpu.limit:
        task.set_cpu_limit(cpu.limit)
    if memory and memory.request:
        task.set_memory_request(memory.request)
    if memory and memory.limit:
        task.set_memory_limit(memory.limit)
    if gpu and gpu.count:
        task.set_accelerator_type(gpu.resource).set_accelerator_limit(gpu.count)


def _folders(task: PipelineTask, given: StepResources) -> None:
    # Also where the root may be written: a policy of the cluster may forbid it at any time.
    kubernetes.empty_dir_mount(task, "tmp", "/tmp", size_limit=given.ephemeral_storage)  # noqa: S108
    if given.shared_memory:
        path = "/dev/shm"  # noqa: S108
        kubernetes.empty_dir_mount(task, "shared-memory", path, "Memory", given.shared_memory)


def _nodes(task: PipelineTask, given: StepResources) -> None:
    for key, value in given.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for taint in given.tolerations:
        kubernetes.add_toleration(
            task, taint.key, taint.how, taint.value, taint.effect, taint.seconds
        )
    if given.node_affinity:
        _affinity(task, given.node_affinity)


def _affinity(task: PipelineTask, affinity: NodeAffinity) -> None:
    # Kubeflow makes a term of each call, and one term is enough for a node: so all in one.
    if affinity.required:
        kubernetes.add_node_affinity(task, [_expression(one) for one in affinity.required])
    for one in affinity.preferred:
        kubernetes.add_node_affinity(task, [_expression(one)], weight=one.weight)


def _expression(requirement: Requirement) -> dict[str, object]:
    return requirement.model_dump(include={"key", "operator", "values"})


def _describe(task: PipelineTask, given: StepResources) -> None:
    for key, value in given.pod_labels.items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in given.pod_annotations.items():
        kubernetes.add_pod_annotation(task, key, value)


def _fill(task: PipelineTask, given: StepResources) -> None:
    for name, value in given.env.items():
        task.set_env_variable(name, value)
    for name, used in given.secrets.items():
        if used.env:
            kubernetes.use_secret_as_env(task, name, used.env, used.optional)
        if used.path:
            kubernetes.use_secret_as_volume(task, name, used.path, used.optional)
    for name, used in given.config_maps.items():
        if used.env:
            kubernetes.use_config_map_as_env(task, name, used.env, used.optional)
        if used.path:
            kubernetes.use_config_map_as_volume(task, name, used.path, used.optional)
