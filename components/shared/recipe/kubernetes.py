"""Values of Kubernetes in a recipe: quantities, names, labels, tolerations, affinity, mounts."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from components.shared.recipe.base import Spec

_CPU = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(m?)", re.ASCII)
_BYTES = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|Pi|M|G|T|P)", re.ASCII)
_UNITS = {
    **{f"{letter}i": 1024**power for power, letter in enumerate("KMGTP", start=1)},
    **{letter: 1000**power for power, letter in enumerate("KMGTP", start=1)},
}
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DATA_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_SETS_ITSELF = ("pipeline/", "pipelines.kubeflow.org/", "workflows.argoproj.io/")
"""Prefixes of the labels and annotations by which Kubeflow and Argo know their pods."""


def cpus(text: str) -> Decimal:
    """A quantity of processors as a number."""
    match = _CPU.fullmatch(text)
    if match is None:
        raise ValueError(f"should be a number of CPUs, such as 2, 0.5 or 500m, not {text!r}")
    return Decimal(match[1]) / (1000 if match[2] else 1)


def byte_count(text: str) -> int:
    """A quantity of memory or disk in bytes."""
    match = _BYTES.fullmatch(text)
    if match is None:
        raise ValueError(
            f"should be a whole number with a unit, such as 512Mi or 16Gi, not {text!r}"
        )
    unit: int = _UNITS[match[2]]
    return int(match[1]) * unit


def is_dns_label(name: str) -> bool:
    """Whether a name may be that of a volume: up to 63 lower case letters, digits, hyphens."""
    return _DNS_LABEL.fullmatch(name) is not None


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _some(quantity: str, count: Decimal | int) -> str:
    if count <= 0:
        raise ValueError(f"should be more than 0, not {quantity!r}")
    return quantity


def _cpu(quantity: str) -> str:
    return _some(quantity, cpus(quantity))


def _bytes(quantity: str) -> str:
    return _some(quantity, byte_count(quantity))


def _name(name: str) -> str:
    if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        raise ValueError(
            f"should be a Kubernetes name (lower case letters, digits, '-' and '.'), not {name!r}"
        )
    return name


def _key(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (
        slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))
    ):
        raise ValueError(f"should be a key such as nvidia.com/gpu.product, not {key!r}")
    return key


def _label_value(value: str) -> str:
    if value and not _LABEL_NAME.fullmatch(value):
        raise ValueError(
            "should be up to 63 letters, digits, '-', '_' and '.', with a letter or digit at both "
            f"ends, not {value!r}"
        )
    return value


def _not_theirs(key: str) -> str:
    if key.startswith(_SETS_ITSELF):
        raise ValueError(f"should not have {key}, by which Kubeflow knows its pods")
    return key


def _plain(value: str) -> str:
    if "{{" in value:
        raise ValueError("should not hold '{{', which Argo would replace")
    return value


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"should be the name of an environment variable, not {name!r}")
    return name


def _data_key(key: str) -> str:
    if not _DATA_KEY.fullmatch(key):
        raise ValueError(f"should be a key of a secret or config map, not {key!r}")
    return key


def _as_amount(check: Callable[[str], str]) -> Callable[[Any], Any]:
    """Let ``cpu: 2`` stand for ``cpu: {request: 2, limit: 2}``."""

    def amount(value: Any) -> Any:
        if isinstance(value, dict):
            return value
        quantity = check(str(value))
        return {"request": quantity, "limit": quantity}

    return amount


_LARGEST = 2**31 - 1
"""The largest user id, and the largest whole number that Argo takes."""
Count = Annotated[int, Field(gt=0, le=_LARGEST)]
CpuQuantity = Annotated[str, BeforeValidator(_as_text, Any), AfterValidator(_cpu)]
Bytes = Annotated[str, BeforeValidator(_as_text, Any), AfterValidator(_bytes)]
Name = Annotated[str, AfterValidator(_name)]
Key = Annotated[str, AfterValidator(_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
NodeLabels = dict[Key, LabelValue]
PodLabels = dict[Annotated[Key, AfterValidator(_not_theirs)], LabelValue]
Annotations = dict[
    Annotated[Key, AfterValidator(_not_theirs)], Annotated[str, AfterValidator(_plain)]
]
Variable = Annotated[str, AfterValidator(_variable)]
PlainText = Annotated[str, AfterValidator(_plain)]


class Cpu(Spec):
    """Processors: what a pod is promised, and the most that it may use."""

    request: CpuQuantity | None = None
    """CPUs that a node must have free: ``2``, ``0.5``, ``500m``."""
    limit: CpuQuantity | None = None
    """CPUs above which the pod is slowed down."""

    @model_validator(mode="after")
    def _request_within_limit(self) -> "Cpu":
        if self.request and self.limit and cpus(self.request) > cpus(self.limit):
            raise ValueError(f"request {self.request} is more than limit {self.limit}")
        return self


class Memory(Spec):
    """Memory: what a pod is promised, and the most that it may use."""

    request: Bytes | None = None
    """Memory that a node must have free: ``512Mi``, ``16Gi``."""
    limit: Bytes | None = None
    """Memory above which the pod is killed."""

    @model_validator(mode="after")
    def _request_within_limit(self) -> "Memory":
        if self.request and self.limit and byte_count(self.request) > byte_count(self.limit):
            raise ValueError(f"request {self.request} is more than limit {self.limit}")
        return self


class Gpu(Spec):
    """Accelerators of a pod."""

    resource: Key = "nvidia.com/gpu"
    """What the device plugin calls them: ``nvidia.com/gpu``, or ``nvidia.com/mig-3g.20gb``."""
    count: Annotated[int, Field(ge=0, le=_LARGEST)]
    """How many; 0 takes away those of the defaults."""


class Toleration(Spec):
    """A taint of nodes that pods may be put on all the same."""

    key: Key
    """The taint's key."""
    operator: Literal["Equal", "Exists"] | None = None
    """By default ``Equal`` where there is a value, and else ``Exists``: whatever its value."""
    value: LabelValue | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; by default each."""
    seconds: Annotated[int, Field(ge=0, le=_LARGEST)] | None = None
    """``NoExecute``: how long a pod may stay; by default for ever."""

    @model_validator(mode="after")
    def _fits(self) -> "Toleration":
        if (self.operator == "Exists") is (self.value is not None) and self.operator:
            raise ValueError("operator Equal needs a value, and Exists has none")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("seconds is for the effect NoExecute")
        return self

    @property
    def how(self) -> Literal["Equal", "Exists"]:
        """The operator, also where it is not given."""
        return self.operator or ("Exists" if self.value is None else "Equal")


class Requirement(Spec):
    """What a label of a node must be."""

    key: Key
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """``Gt`` and ``Lt`` compare whole numbers."""
    values: list[LabelValue] = []
    """``In``, ``NotIn``: the values; ``Gt``, ``Lt``: the number; else none."""

    @model_validator(mode="after")
    def _values_fit(self) -> "Requirement":
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"operator {self.operator} takes no values")
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"operator {self.operator} needs values")
        if self.operator in ("Gt", "Lt") and not (
            len(self.values) == 1 and self.values[0].isdigit()
        ):
            raise ValueError(f"operator {self.operator} needs one value, a whole number in quotes")
        return self


class Preference(Requirement):
    """What a label of a node should be."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """What it counts, next to other preferences."""


class NodeAffinity(Spec):
    """Which nodes a pod may be put on, and which rather than others."""

    required: list[Requirement] = []
    """All of these hold."""
    preferred: list[Preference] = []
    """As many as possible of these hold, by their weights."""


def _as_mapping(value: Any) -> Any:
    """Let ``[A, B]`` stand for ``{A: A, B: B}``."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(name, str) for name in value):
        raise ValueError("a list has keys in it, and nothing else; {KEY: VARIABLE} is a mapping")
    return {name: name for name in value}


class Mounted(Spec):
    """How a pod is given a secret or a config map."""

    env: Annotated[
        dict[Annotated[str, AfterValidator(_data_key)], Variable],
        BeforeValidator(_as_mapping, Any),
    ] = {}
    """Keys, each with the environment variable that holds its value; or a list of keys that are
    called as their variables."""
    path: str | None = None
    """Folder in which each key is a file."""
    optional: bool = False
    """Start the pod without it, where there is none."""

    @model_validator(mode="after")
    def _used(self) -> "Mounted":
        if not self.env and self.path is None:
            raise ValueError("needs env, path or both, or the pod has nothing of it")
        if self.path is not None and not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", self.path):
            raise ValueError(f"path: should be an absolute path, not {self.path!r}")
        if self.path is not None and {".", ".."} & set(self.path.split("/")):
            raise ValueError(f"path: should have no '.' and no '..' in it, not {self.path!r}")
        return self


class RetrySpec(Spec):
    """Trying a step again that was killed, as pods are on spot nodes, or met an outage."""

    attempts: Count | None = None
    """How often a step is tried, the first time included; 1: never again. By default 4 times where
    an attempt goes on where the last one was killed (training and labelling), else once."""
    backoff_s: Count = 30
    """Seconds from the first failure to the next attempt."""
    factor: Count = 2
    """What that wait is multiplied by for each attempt that follows."""
    within_s: Count = 7 * 24 * 3600
    """Seconds from the start of the first attempt after which no other is begun, and one that runs
    is stopped; so longer than the step takes. By default a week."""


class SecurityContext(Spec):
    """Whom a step runs as. Privileges and capabilities are always dropped."""

    run_as_non_root: bool = True
    """Refuse to run as root, which our images never do."""
    run_as_user: Count | None = None
    """User id; by default the image's."""
    run_as_group: Count | None = None
    """Group id; by default the image's."""


CpuField = Annotated[Cpu, BeforeValidator(_as_amount(_cpu), Any)]
MemoryField = Annotated[Memory, BeforeValidator(_as_amount(_bytes), Any)]
GpuField = Annotated[
    Gpu, BeforeValidator(lambda given: given if isinstance(given, dict) else {"count": given}, Any)
]
