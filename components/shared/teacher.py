"""What a teacher artifact holds where it is no model bundle: ``teacher.json``, and its files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.shared.bundle import BUNDLE, ModelBundle, read_bundle
from components.shared.errors import UserError
from components.shared.files import digest_of
from components.shared.later import later
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.teacher import Budget, OutputKind, Weighting
from components.shared.records import read_record

TEACHER = "teacher.json"
MODEL_FOLDER = "model"
"""Folder of the artifact with an MLflow model's files."""

Flavour = Literal["sklearn", "pytorch", "python_function"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnnxModel(_Record):
    """``model.onnx`` and ``deployable.json`` beside the record."""

    kind: Literal["onnx"] = "onnx"
    onnx_sha256: str
    gives: OutputKind
    """``logits``: the file has an output of that name beside ``probabilities``."""


class MlflowModel(_Record):
    """An MLflow model in the folder ``model``, which may run code when it is loaded."""

    kind: Literal["mlflow"] = "mlflow"
    flavour: Flavour
    files: dict[str, str]
    """SHA-256 of every file below the folder."""
    gives: OutputKind
    output_name: str
    """Among several; empty where there is one."""
    order: list[str]
    """Class names in the order of its outputs."""


class EndpointTensor(_Record):
    """An input or output of a served model."""

    name: str
    datatype: str
    shape: list[int]
    """-1 where a length is free."""


class EndpointModel(_Record):
    """A served model. Nobody but its owner knows the bytes behind it: where they change under the
    same URL, model and version, nothing here can tell."""

    kind: Literal["endpoint"] = "endpoint"
    url: str
    model: str
    version: str | None
    input: EndpointTensor
    output: EndpointTensor
    metadata_sha256: str
    """Of what the server said of the model."""
    gives: OutputKind
    order: list[str]
    """Class names in the order of its outputs."""


class EnsembleMember(_Record):
    """One teacher of several."""

    digest: str
    weight: float
    described: str
    """What it is, in a few words."""


class EnsembleModel(_Record):
    """Several teachers; the weighted mean of their probabilities is in the soft-label store."""

    kind: Literal["ensemble"] = "ensemble"
    members: list[EnsembleMember]
    soft_labels_digest: str
    """Identity of the store."""
    weighting: Weighting = later("fixed")
    """By what the members have their weights; where they differ from row to row, the members' are
    their means."""


class EndpointLimits(_Record):
    """How an endpoint is to be used; what it says does not depend on it."""

    rows_per_request: int
    concurrency: int
    max_rows_per_s: float | None
    timeout_s: float
    retry_for_s: float
    budget: Budget | None
    token_env: str | None


class TeacherRecord(_Record):
    """A teacher that was not made here, or several."""

    format_version: Literal[1] = 1
    source: str
    """Where it is from, such as ``models:/digits/3``; no part of its identity."""
    classes: list[str]
    """The data set's, in its order; of one of several teachers those that it knows."""
    input: InputSpec
    """The data set's: what a row is, before anything that the teacher does to it."""
    preprocessing: Preprocessing | None
    """What is done to the rows before the model gets them."""
    model: Annotated[
        OnnxModel | MlflowModel | EndpointModel | EnsembleModel, Field(discriminator="kind")
    ]
    limits: EndpointLimits | None = None
    """Of an endpoint."""

    @property
    def digest(self) -> str:
        """Hash of all that its labels depend on."""
        return digest_of(self.model_dump(mode="json", exclude={"source", "limits"}))

    @property
    def preprocessing_digest(self) -> str:
        """Hash of what a row is, and of what is done to it before the model gets it."""
        preprocessing = self.preprocessing.model_dump() if self.preprocessing else None
        return digest_of([self.input.model_dump(mode="json"), preprocessing])

    @property
    def in_words(self) -> str:
        """What it is, for people."""
        model = self.model
        if isinstance(model, EnsembleModel):
            parts = [f"{member.weight:.3g} of {member.described}" for member in model.members]
            how = "" if model.weighting == "fixed" else f", weighted by {model.weighting}"
            return f"an ensemble of {len(parts)} teachers{how}: {', '.join(parts)}"
        if isinstance(model, EndpointModel):
            version = f", version {model.version}" if model.version else ""
            return f"the model {model.model}{version} behind {model.url}"
        if isinstance(model, MlflowModel):
            return f"the MLflow model {self.source} ({model.flavour})"
        return f"the ONNX model {self.source}"


def read_teacher(folder: Path, digest: str | None = None) -> ModelBundle | TeacherRecord:
    """Read what a teacher artifact says of itself.

    Args:
        folder: the artifact.
        digest: content hash that the caller expects, if it knows one.

    Raises:
        UserError: it is neither bundle nor record, damaged, or another teacher than expected.
    """
    if (folder / BUNDLE).is_file():
        return read_bundle(folder, digest)
    path = folder / TEACHER
    if not path.is_file():
        raise UserError(f"{folder} is not a teacher: it has neither {BUNDLE} nor {TEACHER}")
    record = read_record(path, TeacherRecord, "description of a teacher")
    if digest is not None and record.digest != digest:
        raise UserError(f"{folder}: is {record.digest[:12]}, but {digest[:12]} was asked for")
    return record
