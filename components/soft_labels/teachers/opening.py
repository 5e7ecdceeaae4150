"""From a teacher artifact to the teacher in it."""

from pathlib import Path
from typing import assert_never

from components.shared.bundle import ModelBundle, check_classes, check_input
from components.shared.errors import UserError
from components.shared.manifest import DatasetManifest
from components.shared.teacher import (
    EndpointModel,
    EnsembleModel,
    MlflowModel,
    OnnxModel,
    TeacherRecord,
    read_teacher,
)
from components.soft_labels.teachers.checking import known_classes
from components.soft_labels.teachers.protocol import Teacher


def open_teacher(folder: Path, digest: str) -> Teacher:
    """Open the teacher in an artifact.

    Args:
        folder: the artifact.
        digest: content hash that the caller expects.

    Raises:
        UserError: it is no teacher, damaged, or another one than expected.
    """
    described = read_teacher(folder, digest)
    if isinstance(described, TeacherRecord):
        return _open_imported(folder, described)
    from components.soft_labels.teachers.bundle import BundleTeacher

    return BundleTeacher.open(folder, digest)


def check_teacher(folder: Path, manifest: DatasetManifest, some: bool = False) -> None:
    """Refuse a teacher of other classes or inputs than the data set has.

    Args:
        folder: the artifact.
        manifest: of the data set.
        some: whether it may know only some of the classes.

    Raises:
        UserError: they differ; the message says how.
    """
    described = read_teacher(folder)
    if isinstance(described, ModelBundle):
        check_classes(described, manifest.classes, some)
        check_input(described, manifest.input)
        return
    known = known_classes(described.classes, manifest.classes, some)
    if described.classes != known or described.input != manifest.input:
        raise UserError(
            "the teacher was imported for another data set: its classes or its input differ; run "
            "again"
        )


def _open_imported(folder: Path, record: TeacherRecord) -> Teacher:
    match record.model:
        case OnnxModel():
            from components.soft_labels.teachers.onnx_teacher import OnnxRuntimeTeacher

            return OnnxRuntimeTeacher(folder, record, record.model)
        case MlflowModel():
            from components.soft_labels.teachers.mlflow_teacher import MlflowModelTeacher

            return MlflowModelTeacher(folder, record, record.model)
        case EndpointModel():
            from components.soft_labels.teachers.endpoint_teacher import ServedTeacher

            if record.limits is None:
                raise UserError(f"{folder}: the description of the endpoint has no limits")
            return ServedTeacher(record, record.model, record.limits)
        case EnsembleModel():
            raise UserError(f"{folder}: {record.in_words} has no model that could label rows")
        case _:
            assert_never(record.model)
