"""The settings of every task in a cluster: image, environment, retries, the recipe's resources."""

from collections.abc import Mapping

from kfp import kubernetes
from kfp.dsl import PipelineTask

from components.shared.errors import UserError
from components.shared.recipe import Recipe, Resources, StepResources
from components.shared.recipe.kubernetes import RetrySpec
from components.shared.recipe.resources import TRAINING_STEPS
from components.shared.train_job import VARIABLE
from pipelines.cluster.placing import place
from pipelines.cluster.train_job import settings_of_train_job, while_waiting
from pipelines.image_references import pin
from pipelines.task_settings import TaskSetting

_GOES_ON = ("train_teacher", "label_shards", "generate_soft_labels", "train_student")
"""Steps that go on where an attempt was killed, and so are worth another."""
_EXIT_TASK = "delete_train_jobs"


def pinning(images: Mapping[str, str] | None) -> list[TaskSetting]:
    """Have each task run in the image that stands for ours; null: in ours, by tag.

    Args:
        images: as from :func:`pipelines.image_references.load`.
    """
    if images is None:
        return []
    references = images

    def pinned(task: PipelineTask, _step: str) -> None:
        task.set_container_image(pin(task.container_spec.image, references))

    return [pinned]


def of_recipe(recipe: Recipe, images: Mapping[str, str] | None) -> list[TaskSetting]:
    """The settings of the tasks of a recipe's pipeline."""
    resources = recipe.resources

    def placed(task: PipelineTask, step: str) -> None:
        given = resources.of(step)
        place(task, _of_the_pod(resources, step, given), resources.image_pull_secrets)
        _retry(task, given.retry, given.retry.attempts or _attempts(step))
        _identify(task)
        task.set_env_variable("KUBEDISTILL_RECIPE", recipe.name)
        if step in TRAINING_STEPS:
            _spread(task, step, resources)

    return [*pinning(images), placed]


def of_shadow(images: Mapping[str, str] | None) -> list[TaskSetting]:
    """The settings of the tasks of the pipeline that compares a challenger with the champion."""

    def placed(task: PipelineTask, _step: str) -> None:
        place(task, StepResources(), [])
        _identify(task)

    return [*pinning(images), placed]


def refuse_absent_steps(resources: Resources, steps: set[str]) -> None:
    """Refuse resources for a step that a pipeline does not have.

    Args:
        resources: the recipe's.
        steps: those that the pipeline has.

    Raises:
        UserError: naming the step, and those that there are.
    """
    for step in resources.steps.model_fields_set:
        if step not in steps:
            raise UserError(
                f"resources.steps.{step}: the pipeline of this recipe has no such step; it has "
                f"{', '.join(sorted(steps))}"
            )


def _of_the_pod(resources: Resources, step: str, given: StepResources) -> StepResources:
    """With several nodes it is the pods of the TrainJob that need what a training step is given.

    The exit task is as small, and in no queue: the job that it is to delete may hold the quota.
    """
    if step == _EXIT_TASK:
        return _over(while_waiting(given), given, resources.steps.delete_train_jobs)
    spread = step in TRAINING_STEPS and resources.training.nodes > 1
    return while_waiting(given) if spread else given


def _over(small: StepResources, given: StepResources, own: StepResources) -> StepResources:
    """What the recipe says of the step itself stands, but for a queue."""
    chosen = given.model_dump(exclude_unset=True, include=own.model_fields_set - {"pod_labels"})
    return StepResources.model_validate({**small.model_dump(exclude_unset=True), **chosen})


def _attempts(step: str) -> int:
    """Deleting is worth several as well: what it leaves holds GPUs."""
    return 4 if step in (*_GOES_ON, _EXIT_TASK) else 1


def _spread(task: PipelineTask, step: str, resources: Resources) -> None:
    training = resources.training
    if training.nodes > 1:
        settings = settings_of_train_job(resources, step, task.container_spec.image)
        task.set_env_variable(VARIABLE, settings.model_dump_json(exclude_unset=True))
    elif training.processes:
        task.set_env_variable("KUBEDISTILL_PROCESSES", str(training.processes))


def _identify(task: PipelineTask) -> None:
    kubernetes.use_field_path_as_env(
        task, "KUBEDISTILL_RUN_ID", "metadata.labels['pipeline/runid']"
    )


def _retry(task: PipelineTask, retry: RetrySpec, attempts: int) -> None:
    if attempts > 1:
        task.set_retry(
            num_retries=attempts - 1,
            backoff_duration=f"{retry.backoff_s}s",
            backoff_factor=retry.factor,
            # Not the longest pause: Argo counts it from the start of the first attempt, and kills
            # an attempt that is still at work then.
            backoff_max_duration=f"{retry.within_s}s",
        )
