"""A compiled pipeline as Kubeflow keeps it: a pipeline of the recipe's name, a version of each
content."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared.errors import UserError
from pipelines.kubeflow.connecting import Kubeflow, equals
from pipelines.kubeflow.failures import Missing

_DIGITS = 12


@dataclass(frozen=True)
class Published:
    """A version of a pipeline, to be run or scheduled."""

    pipeline_id: str
    version_id: str
    version: str
    """Its name: the beginning of the SHA-256 of its YAML."""

    @property
    def reference(self) -> Any:
        """As requests name it."""
        from kfp_server_api import (  # type: ignore[import-untyped]
            V2beta1PipelineVersionReference,
        )

        return V2beta1PipelineVersionReference(
            pipeline_id=self.pipeline_id, pipeline_version_id=self.version_id
        )


def version_name(compiled: str) -> str:
    """The same for the same YAML."""
    return hashlib.sha256(compiled.encode()).hexdigest()[:_DIGITS]


def publish(kubeflow: Kubeflow, name: str, compiled: str, description: str) -> Published:
    """Upload a pipeline, unless Kubeflow has it with the same content.

    Args:
        kubeflow: where.
        name: of the pipeline, which is the recipe's.
        compiled: its YAML.
        description: of the version, where it is new.

    Raises:
        UserError: Kubeflow does not accept it.
        Unanswered: Kubeflow is out of reach.
    """
    pipeline_id = _pipeline_id(kubeflow, name)
    version = version_name(compiled)

    def find() -> Any:
        versions = kubeflow.ask(
            kubeflow.pipelines.pipeline_service_list_pipeline_versions,
            pipeline_id,
            filter=equals("display_name", version),
        ).pipeline_versions
        return versions[0] if versions else None

    def create() -> Any:
        with tempfile.TemporaryDirectory(prefix="kubedistill-") as folder:
            file = Path(folder) / f"{name}.yaml"
            file.write_text(compiled, encoding="utf-8")
            return kubeflow.once(
                kubeflow.uploads.upload_pipeline_version,
                str(file),
                name=version,
                pipelineid=pipeline_id,
                description=description,
            )

    found, _ = kubeflow.create_once(find, create)
    return Published(pipeline_id, found.pipeline_version_id, version)


def experiment_id(kubeflow: Kubeflow, name: str) -> str:
    """The experiment of a name, which is made where there is none.

    Raises:
        UserError: it is archived, so that nobody would see its runs.
        Unanswered: Kubeflow is out of reach.
    """
    from kfp_server_api import V2beta1Experiment

    of_namespace = {"namespace": kubeflow.namespace} if kubeflow.namespace else {}

    def find() -> Any:
        found = kubeflow.ask(
            kubeflow.experiments.experiment_service_list_experiments,
            filter=equals("display_name", name),
            **of_namespace,
        ).experiments
        return found[0] if found else None

    def create() -> Any:
        experiment = V2beta1Experiment(display_name=name, **of_namespace)
        return kubeflow.once(kubeflow.experiments.experiment_service_create_experiment, experiment)

    found, _ = kubeflow.create_once(find, create)
    if found.storage_state == "ARCHIVED":
        raise UserError(
            f"--experiment {name}: it is archived in Kubeflow; restore it there, or name another"
        )
    return str(found.experiment_id)


def _pipeline_id(kubeflow: Kubeflow, name: str) -> str:
    from kfp_server_api import V2beta1Pipeline

    of_namespace = {"namespace": kubeflow.namespace} if kubeflow.namespace else {}

    def find() -> Any:
        try:
            return kubeflow.ask(
                kubeflow.pipelines.pipeline_service_get_pipeline_by_name, name, **of_namespace
            )
        except Missing:
            return None

    def create() -> Any:
        pipeline = V2beta1Pipeline(
            display_name=name,
            name=name,
            description="A distillation; its versions are those of the recipe and its images.",
            **of_namespace,
        )
        return kubeflow.once(kubeflow.pipelines.pipeline_service_create_pipeline, pipeline)

    found, _ = kubeflow.create_once(find, create)
    return str(found.pipeline_id)
