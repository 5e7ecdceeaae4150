"""The recipe's ``teacher`` section: one teacher, or several with weights."""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from components.shared.recipe.base import Names, PositiveFloat, PositiveInt, Spec, repeated
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.training import TrainingSpec

OutputKind = Literal["probabilities", "logits"]

_REGISTERED = re.compile(r"models:/[^/@\s]+(/[1-9][0-9]*|@[A-Za-z0-9_.-]+)")
_NAME = r"^[^/?#\s]+$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_HELD_OUT = 0.2


class TrainedTeacher(Spec):
    """A teacher that the pipeline trains on the labelled rows."""

    source: Literal["train"] = "train"
    model: ModelSpec
    training: TrainingSpec


class BundleTeacher(Spec):
    """A teacher that exists already, as a model bundle of an earlier run."""

    source: Literal["bundle"]
    uri: str
    """Folder, or ``s3://`` prefix, with ``bundle.json`` and ``model.safetensors``."""


class Standardisation(Spec):
    """What is done to the data before the model gets them: (x - mean) / std."""

    mean: Annotated[list[float], Field(min_length=1)]
    """One number a channel of the image, or a column of the table."""
    std: Annotated[list[PositiveFloat], Field(min_length=1)]

    @model_validator(mode="after")
    def _same_length(self) -> "Standardisation":
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} numbers, but std has {len(self.std)}")
        return self


class ForeignTeacher(Spec):
    """What is to be known of a model that was not made here.

    It takes the rows as they are in the data, or standardised. Images that it wants in another
    layout (channels last, or flat) are brought into it.
    """

    classes: Annotated[Names, Field(min_length=2)] | None = None
    """Class names in the order of its outputs; by default those of the model, where it has any, or
    else the data set's, in its order."""
    output: OutputKind = "probabilities"
    """What its output holds. Probabilities become logits as log p."""
    input_name: str = ""
    """The tensor that takes the rows; needed where there are several."""
    output_name: str = ""
    """The tensor that gives one number a class; needed where it cannot be told."""
    standardise: Standardisation | None = None

    @field_validator("classes")
    @classmethod
    def _different(cls, classes: list[str] | None) -> list[str] | None:
        if (twice := repeated(classes or [])) is not None:
            raise ValueError(f"class {twice!r} is listed more than once")
        return classes


class MlflowTeacher(ForeignTeacher):
    """A model in the MLflow registry: ONNX, scikit-learn, PyTorch, or any pyfunc that gives class
    probabilities."""

    source: Literal["mlflow"]
    uri: str
    """``models:/NAME/VERSION``, or ``models:/NAME@ALIAS``, which is looked up in every run."""
    allow_code: bool = False
    """Whether the model may run code of its own when it is loaded, as all but ONNX models do
    (pickles, Python modules): with the rights of the step that loads it."""

    @field_validator("uri")
    @classmethod
    def _registered(cls, uri: str) -> str:
        if not _REGISTERED.fullmatch(uri):
            raise ValueError("should be models:/NAME/VERSION or models:/NAME@ALIAS")
        return uri


class OnnxTeacher(ForeignTeacher):
    """A model as an ONNX file, of any number of rows a call."""

    source: Literal["onnx"]
    uri: str
    """The file: a path, or ``s3://…``."""


class Budget(Spec):
    """What labelling may cost; each worker of each attempt has its own."""

    requests: PositiveInt | None = None
    """Requests, those that are tried again counted again."""
    rows: PositiveInt | None = None
    seconds: PositiveFloat | None = None
    """Of waiting for answers, all requests together."""

    @model_validator(mode="after")
    def _not_empty(self) -> "Budget":
        if self.requests is None and self.rows is None and self.seconds is None:
            raise ValueError("needs at least one of requests, rows and seconds")
        return self


class EndpointTeacher(ForeignTeacher):
    """A model that is served over HTTP with the Open Inference Protocol, version 2 (KServe, Triton,
    MLServer, OpenVINO)."""

    source: Literal["endpoint"]
    url: str
    """Of the server, above ``/v2``."""
    model: Annotated[str, Field(pattern=_NAME)]
    version: Annotated[str, Field(pattern=_NAME)] | None = None
    """By default the one that the server chooses."""
    rows_per_request: PositiveInt = 256
    concurrency: Annotated[int, Field(gt=0, le=32)] = 2
    """Requests of one worker that are under way at a time."""
    max_rows_per_s: PositiveFloat | None = None
    """Of one worker; see ``labelling.workers``."""
    timeout_s: PositiveFloat = 30.0
    """For one answer."""
    retry_for_s: PositiveFloat = 300.0
    """How long a request is tried again before labelling ends: where the server is out of reach,
    too busy (429) or answers with an error of its own (5xx)."""
    budget: Budget | None = None
    token_env: Annotated[str, Field(pattern=_VARIABLE)] | None = None
    """Environment variable that holds a token, which is sent as ``Authorization: Bearer …``."""

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("should be http://HOST:PORT or https://HOST, with a path if need be")
        if "@" in parts.netloc:
            raise ValueError(
                "holds a user or password, but a recipe is kept and shown; put a token into an "
                "environment variable, and name that in token_env"
            )
        if parts.query or parts.fragment:
            raise ValueError("should have neither ? nor #")
        return url.rstrip("/")


OneTeacher = TrainedTeacher | BundleTeacher | MlflowTeacher | OnnxTeacher | EndpointTeacher


MOST_MEMBERS = 8
Weighting = Literal["fixed", "quality", "confidence"]


class Member(Spec):
    """One teacher of several.

    A model that was not made here, or a bundle, may know only some of the data's classes; a model
    without class names of its own says which by ``classes``.
    """

    weight: PositiveFloat = 1.0
    """Its share in the labels, next to the weights of the others, and times what ``weighting``
    finds it worth."""
    teacher: Annotated[OneTeacher, Field(discriminator="source")]


class EnsembleTeacher(Spec):
    """Several teachers: the student learns from the weighted mean of their probabilities, or, where
    some know only some of the classes, from what fits all that they say best."""

    source: Literal["ensemble"]
    weighting: Weighting = "fixed"
    """``fixed``: the members' weights. ``quality``: those times the log-odds of being right on
    labelled rows that no member was trained on here. ``confidence``: for each row those times how
    sure a member is of it, by the row's label where no member is trained here, or else by its
    entropy."""
    held_out: Annotated[float, Field(gt=0, le=0.5)] | None = None
    """For ``quality``: share of the labelled rows of each class that members do not train on, so
    that all can be judged by them; by default .2. Without members that are trained here all
    labelled rows count, and none is held out."""
    members: Annotated[list[Member], Field(min_length=2, max_length=MOST_MEMBERS)]

    @model_validator(mode="after")
    def _rows_can_be_held_out(self) -> "EnsembleTeacher":
        if self.held_out is None:
            return self
        if self.weighting != "quality":
            raise ValueError(f"held_out is for weighting: quality, not {self.weighting}")
        if not self._trains:
            raise ValueError(
                "held_out is for members that are trained here (source: train), of which there is "
                "none: all labelled rows judge the others; leave it out"
            )
        return self

    @property
    def _trains(self) -> bool:
        return any(isinstance(member.teacher, TrainedTeacher) for member in self.members)

    @property
    def unseen(self) -> float:
        """Share of the labelled rows that members do not train on."""
        return (self.held_out or _HELD_OUT) if self.weighting == "quality" and self._trains else 0.0

    @property
    def judged(self) -> float:
        """Share of the labelled rows by which members are judged: what none was trained on."""
        if self.weighting == "fixed":
            return 0.0
        return self.unseen if self._trains else 1.0


TeacherSpec = Annotated[OneTeacher | EnsembleTeacher, Field(discriminator="source")]


def sections_with_paths(section: object) -> Iterator[dict[str, Any]]:
    """Those parts of a section ``teacher`` as it was written whose ``uri`` names a file or folder.

    Args:
        section: from the YAML, not checked yet.
    """
    if not isinstance(section, dict):
        return
    if section.get("source") in ("bundle", "onnx"):
        yield section
    members = section.get("members")
    for member in members if isinstance(members, list) else []:
        if isinstance(member, dict):
            yield from sections_with_paths(member.get("teacher"))


class Share(NamedTuple):
    """A teacher, and what the labels owe to it."""

    weight: float
    """Of all teachers together 1."""
    teacher: OneTeacher


def shares(spec: OneTeacher | EnsembleTeacher) -> list[Share]:
    """All teachers of a recipe with their weights; a single one has all of it."""
    if not isinstance(spec, EnsembleTeacher):
        return [Share(1.0, spec)]
    total = math.fsum(member.weight for member in spec.members)
    return [Share(member.weight / total, member.teacher) for member in spec.members]


def section_of(section: dict[str, Any], member: int) -> dict[str, Any]:
    """The part of the section ``teacher`` that describes one of its teachers.

    Args:
        section: checked already.
        member: its position among several; a single teacher is all of the section.
    """
    if section.get("source") != "ensemble":
        return section
    found: dict[str, Any] = section["members"][member]["teacher"]
    return found


def trained(spec: OneTeacher | EnsembleTeacher) -> Iterator[TrainedTeacher]:
    """Those teachers that the pipeline trains."""
    for _, teacher in shares(spec):
        if isinstance(teacher, TrainedTeacher):
            yield teacher


def is_measurable(spec: OneTeacher | EnsembleTeacher) -> bool:
    """Whether the teacher is one ONNX file at evaluation, and so has latency, size and memory.

    An MLflow model may be none where it may run code; without that only ONNX models are taken.
    """
    if isinstance(spec, MlflowTeacher):
        return not spec.allow_code
    return not isinstance(spec, EndpointTeacher | EnsembleTeacher)
