"""Training on several nodes: what the pods of a TrainJob get, and that none is left behind."""

import inspect
from collections.abc import Sequence
from typing import Any

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from components.shared.recipe import Resources, StepResources
from components.shared.train_job import TrainJobSettings
from components.training.component import delete_train_jobs
from pipelines.task_settings import TaskSetting, apply_to_every_task

_OF_THE_PODS_THAT_TRAIN = {
    "gpu",
    "ephemeral_storage",
    "shared_memory",
    "timeout_s",
    "node_selector",
    "tolerations",
    "node_affinity",
}
_KUEUE = "kueue.x-k8s.io/"


def settings_of_train_job(resources: Resources, step: str, image: str) -> TrainJobSettings:
    """What the pods of a TrainJob get.

    Args:
        resources: the recipe's.
        step: ``train_teacher`` or ``train_student``.
        image: the training image.
    """
    return TrainJobSettings(
        image=image,
        training=resources.training,
        pods=resources.of(step),
        image_pull_secrets=resources.image_pull_secrets,
    )


def while_waiting(given: StepResources) -> StepResources:
    """What a pod gets that makes a TrainJob and waits for it, or that deletes what is left of one.

    Args:
        given: what the pods that train get.
    """
    kept = given.model_dump(exclude_unset=True, exclude=_OF_THE_PODS_THAT_TRAIN)
    # The queue is for the whole job; a pod that waits for what is behind it would wait for ever.
    labels = {key: value for key, value in given.pod_labels.items() if not key.startswith(_KUEUE)}
    small = {"cpu": {"request": "250m"}, "memory": {"request": "1Gi"}}
    return StepResources.model_validate({**kept, **small, "pod_labels": labels})


def with_train_jobs_deleted(
    inner: GraphComponent, settings: Sequence[TaskSetting]
) -> GraphComponent:
    """A pipeline around another that deletes TrainJobs that are left when it ends, however it ends.

    It takes the same parameters. Kubeflow lets nothing out of an exit handler: it has no outputs.

    Args:
        inner: the pipeline; a whole one, since neither conditions nor loops work in an exit
            handler, unless they are in a pipeline inside of it.
        settings: how the task that deletes is run.
    """

    def surrounding(*values: Any) -> None:
        deletion = delete_train_jobs(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        deletion.set_caching_options(False)
        with dsl.ExitHandler(deletion):
            inner(**dict(zip(parameters, values, strict=True)))
        apply_to_every_task(settings)

    signature = inspect.signature(inner.pipeline_func)
    parameters = list(signature.parameters)
    surrounding.__signature__ = signature.replace(return_annotation=None)  # type: ignore[attr-defined]
    described = dsl.pipeline(name=inner.name, description=inner.description)
    outer: GraphComponent = described(surrounding)
    return outer
