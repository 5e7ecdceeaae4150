"""Task settings: how the tasks of a pipeline are run, beside what they compute."""

from collections.abc import Callable, Sequence

from kfp.dsl import PipelineTask
from kfp.dsl.base_component import BaseComponent
from kfp.dsl.pipeline_context import Pipeline

TaskSetting = Callable[[PipelineTask, str], None]
"""Is given a task, and the name of its step, such as ``train_student``."""


def steps_of(component: BaseComponent) -> set[str]:
    """The steps of a pipeline, and of the pipelines inside of it: ``train_student`` and others."""
    executors = component.pipeline_spec.deployment_spec["executors"].values()
    arguments = [list(executor["container"]["args"]) for executor in executors]
    return {given[given.index("--function_to_execute") + 1] for given in arguments}


def apply_to_every_task(settings: Sequence[TaskSetting]) -> None:
    """Apply settings to each task of the pipeline that is being defined, in it and in its loops and
    conditions; the last thing that a pipeline's function does.

    A pipeline inside is no task that runs; its own function does this for those that it has.
    """
    for task in Pipeline.get_default_pipeline().tasks.values():
        if task.container_spec is not None:
            for setting in settings:
                setting(task, task.component_spec.name.replace("-", "_"))
