"""The recipe's ``resources`` section: what the steps of a pipeline get in a cluster.

How a step is run, and nothing that it computes: no field here is in a cache key or a digest, and a
run on one machine looks at none. There is nothing here that Kubeflow Pipelines cannot express
(priorities, requests for ephemeral storage, affinity to pods); the manifests can.
"""

import re
from typing import Any, Literal

from pydantic import ValidationError, field_validator, model_validator

from components.shared.recipe.base import Spec
from components.shared.recipe.kubernetes import (
    Annotations,
    Bytes,
    Count,
    CpuField,
    GpuField,
    MemoryField,
    Mounted,
    Name,
    NodeAffinity,
    NodeLabels,
    PlainText,
    PodLabels,
    RetrySpec,
    SecurityContext,
    Toleration,
    Variable,
    byte_count,
    is_dns_label,
)
from components.shared.recipe.outside_models import MODULES

TRAINING_STEPS = ("train_teacher", "train_student")
"""Steps that can use several processes or nodes."""
_OURS = (
    "KUBEDISTILL_RUN_ID",
    "KUBEDISTILL_RECIPE",
    "KUBEDISTILL_PROCESSES",
    "KUBEDISTILL_TRAINJOB",
)
_CODE = (MODULES, "PYTHONPATH", "PYTHONHOME")
"""A module that is allowed is one of the image, and not what has its name elsewhere."""
_SECRET = re.compile(
    r"(SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIALS?|(ACCESS|API|PRIVATE)_?KEY(_ID)?)$",
    re.IGNORECASE,
)
"""Names of secrets; not ``TOKENIZERS_PARALLELISM`` nor ``…_TOKEN_FILE``."""
_TAKEN_PATHS = (
    "/tmp",  # noqa: S108
    "/dev",
    "/dev/shm",  # noqa: S108
    "/proc",
    "/sys",
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "/gcs",
    "/s3",
    "/minio",
    "/.local",
    "/.cache",
    "/.config",
    "/kfp-launcher",
)
"""Where Kubeflow and this compiler mount folders, and what the container runtime has."""
_TAKEN_VOLUMES = (
    "tmp",
    "shared-memory",
    "gcs-scratch",
    "s3-scratch",
    "minio-scratch",
    "dot-local-scratch",
    "dot-cache-scratch",
    "dot-config-scratch",
    "kfp-launcher",
    "ca-bundle",
)
"""What those folders are called in a pod."""


class StepResources(Spec):
    """What the pod of a step gets."""

    cpu: CpuField | None = None
    """CPUs: one number for both, or ``{request, limit}``."""
    memory: MemoryField | None = None
    """Memory: one quantity for both, or ``{request, limit}``."""
    gpu: GpuField | None = None
    """GPUs: how many, or ``{resource, count}``."""
    ephemeral_storage: Bytes | None = None
    """The most that a pod may write below ``/tmp``, a folder of its own that is there in any case.
    Kubeflow cannot ask a node for it."""
    shared_memory: Bytes | None = None
    """Size of ``/dev/shm``, which training with several processes needs; counts as memory."""
    timeout_s: Count | None = None
    """Seconds after which an attempt is stopped, and has failed."""
    retry: RetrySpec = RetrySpec()
    """Trying again."""
    node_selector: NodeLabels = {}
    """Labels that a node must have."""
    tolerations: list[Toleration] = []
    """Taints of nodes that the pod may be put on all the same."""
    node_affinity: NodeAffinity | None = None
    """Which nodes the pod may be put on, beyond labels that are equal."""
    pod_labels: PodLabels = {}
    """Labels of the pod, such as ``kueue.x-k8s.io/queue-name``."""
    pod_annotations: Annotations = {}
    """Annotations of the pod."""
    env: dict[Variable, PlainText] = {}
    """Environment variables. What is secret belongs in ``secrets``, since the pipeline is shown."""
    secrets: dict[Name, Mounted] = {}
    """Secrets of the namespace, by name."""
    config_maps: dict[Name, Mounted] = {}
    """Config maps of the namespace, by name."""
    security_context: SecurityContext = SecurityContext()
    """Whom the step runs as."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When a node fetches the image; by default Kubernetes' own choice."""

    @field_validator("env")
    @classmethod
    def _open(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if _SECRET.search(name):
                raise ValueError(
                    f"by its name, {name} is a secret, but the pipeline is shown; use secrets"
                )
        return env

    @model_validator(mode="after")
    def _variables_have_one_source(self) -> "StepResources":
        seen: dict[str, str] = {}
        for source, names in self._variables():
            for name in names:
                if name in _OURS:
                    raise ValueError(f"{source}: the compiler sets {name}")
                if name in _CODE:
                    raise ValueError(
                        f"{source}: {name} says which code a recipe may ask for, or where it is, "
                        "and is no matter of recipes; set it in the image"
                    )
                if name in seen:
                    raise ValueError(f"the variable {name} is in both {seen[name]} and {source}")
                seen[name] = source
        return self

    @model_validator(mode="after")
    def _mounts_fit_beside_each_other(self) -> "StepResources":
        volumes: dict[str, str] = {}
        paths: dict[str, str] = {}
        for source, name, mounted in self._mounted():
            if mounted.path is None:
                continue
            # Kubeflow names the volume like the object.
            if not is_dns_label(name):
                raise ValueError(
                    f"{source}: path needs a name of up to 63 lower case letters, digits and '-'"
                )
            if name in _TAKEN_VOLUMES:
                raise ValueError(f"{source}: a volume of the pod has this name; choose another")
            if name in volumes:
                raise ValueError(
                    f"{source} and {volumes[name]} have one name, so that only one of them can "
                    "have a path"
                )
            if mounted.path in paths:
                raise ValueError(f"{source} and {paths[mounted.path]} have the same path")
            if mounted.path in _TAKEN_PATHS or f"/{mounted.path.split('/')[1]}" in (
                "/proc",
                "/sys",
            ):
                raise ValueError(f"{source}: path {mounted.path} is taken")
            volumes[name] = paths[mounted.path] = source
        return self

    @model_validator(mode="after")
    def _shared_memory_within_memory(self) -> "StepResources":
        limit = self.memory.limit if self.memory else None
        if limit and self.shared_memory and byte_count(self.shared_memory) > byte_count(limit):
            raise ValueError(
                f"shared_memory {self.shared_memory} is more than memory.limit {limit}, of which "
                "it is a part"
            )
        return self

    def _mounted(self) -> list[tuple[str, str, Mounted]]:
        given = (("secrets", self.secrets), ("config_maps", self.config_maps))
        return [
            (f"{kind}.{name}", name, mounted)
            for kind, objects in given
            for name, mounted in objects.items()
        ]

    def _variables(self) -> list[tuple[str, list[str]]]:
        mounted = [(source, list(used.env.values())) for source, _, used in self._mounted()]
        return [("env", list(self.env)), *mounted]


class Steps(Spec):
    """What single steps get, over the defaults; by the name of the component."""

    check_recipe: StepResources = StepResources()
    resolve_dataset: StepResources = StepResources()
    validate_data: StepResources = StepResources()
    fetch_champion: StepResources = StepResources()
    train_teacher: StepResources = StepResources()
    import_teacher: StepResources = StepResources()
    label_shards: StepResources = StepResources()
    generate_soft_labels: StepResources = StepResources()
    combine_soft_labels: StepResources = StepResources()
    describe_ensemble: StepResources = StepResources()
    train_student: StepResources = StepResources()
    compress_student: StepResources = StepResources()
    evaluate_student: StepResources = StepResources()
    decide_promotion: StepResources = StepResources()
    report_results: StepResources = StepResources()
    register_student: StepResources = StepResources()
    delete_train_jobs: StepResources = StepResources()
    """Runs at the end, whatever happened, where training is spread over nodes."""


class TrainingResources(Spec):
    """Training on more than one GPU; the student is the same up to rounding."""

    nodes: Count = 1
    """Pods that train at once, as a ``TrainJob`` of Kubeflow Trainer; 1: the step's own pod trains.
    More than one needs ``storage``."""
    processes: Count | None = None
    """Processes in a pod; by default as many as it has GPUs."""
    runtime: Name = "kubedistill-torch"
    """The ``TrainingRuntime`` of the namespace that a ``TrainJob`` is made from; by default the one
    that our manifests have."""


class Resources(Spec):
    """What the pods of a pipeline get in a cluster."""

    defaults: StepResources = StepResources()
    """What each step gets."""
    steps: Steps = Steps()
    """What single steps get, over the defaults: what is given replaces the default, field by field,
    and in mappings key by key; a list replaces the whole list."""
    training: TrainingResources = TrainingResources()
    """Training on more than one GPU."""
    service_account: Name | None = None
    """Account that all pods of a run are under; by default that of the Kubeflow installation."""
    image_pull_secrets: list[Name] = []
    """Secrets with which nodes fetch the images."""

    @model_validator(mode="after")
    def _steps_fit_the_defaults(self) -> "Resources":
        for step in self.steps.model_fields_set:
            try:
                self.of(step)
            except ValidationError as error:
                first = error.errors()[0]
                field = ".".join(map(str, ("steps", step, *first["loc"])))
                reason = first["msg"].removeprefix("Value error, ")
                raise ValueError(f"{field}, together with the defaults: {reason}") from error
        return self

    @model_validator(mode="after")
    def _each_process_has_a_gpu(self) -> "Resources":
        processes = self.training.processes
        for step in TRAINING_STEPS:
            gpu = self.of(step).gpu
            if processes and gpu and 0 < gpu.count < processes:
                raise ValueError(
                    f"training.processes is {processes}, but {step} has {gpu.count} GPUs in a pod, "
                    "and each process takes one"
                )
        return self

    def of(self, step: str) -> StepResources:
        """What a step gets in the end.

        Args:
            step: name of its component, such as ``train_student``.
        """
        defaults = self.defaults.model_dump(exclude_unset=True)
        own: StepResources = getattr(self.steps, step)
        return StepResources.model_validate(_over(defaults, own.model_dump(exclude_unset=True)))


def _over(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _over(merged[key], value) if both else value
    return merged
