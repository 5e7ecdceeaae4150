"""What a run needs of a cluster; without a recipe, what any run needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from components.shared.recipe.kubernetes import Toleration

PIPELINE_ACCOUNT = "kubedistill-pipeline"
"""Service account of manifests/base, under which runs are."""
TRAINING_ACCOUNT = "kubedistill-training"
"""Service account of manifests/base, under which the pods of a TrainJob are."""
NAMESPACE = "kubedistill"
"""Of manifests/base."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


@dataclass(frozen=True)
class GpuNeed:
    """GPUs of one step."""

    step: str
    resource: str
    """Such as ``nvidia.com/gpu``."""
    count: int
    """Of one pod."""
    pods: int = 1
    """That run at a time."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()


@dataclass(frozen=True)
class KeyedNeed:
    """A secret or a config map, and the keys that are read of it."""

    kind: Literal["secret", "config map"]
    name: str
    keys: tuple[str, ...] = ()
    optional: bool = False
    """Whether pods start without it."""


@dataclass(frozen=True)
class Needs:
    """All of it."""

    recipe: str | None = None
    """Its name; null where none was given."""
    account: str | None = PIPELINE_ACCOUNT
    """That runs are under; null for the default of the Kubeflow installation."""
    gpus: tuple[GpuNeed, ...] = ()
    keyed: tuple[KeyedNeed, ...] = ()
    pull_secrets: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    """Names of Kueue's LocalQueues."""
    runtime: str | None = None
    """The TrainingRuntime of training on several nodes; null where it has one."""
    storage: str = ""
    data: str | None = None
    experiment: str | None = None
    """Of MLflow."""
    kserve_namespace: str | None = None
    """Where an InferenceService is applied."""
