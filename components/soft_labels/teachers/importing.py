"""Taking over a teacher that was not made here, so that later steps see fixed bytes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import new_directory
from components.shared.recipe.teacher import EndpointTeacher, MlflowTeacher, OnnxTeacher
from components.shared.storage import is_s3, local_path, open_storage, split
from components.shared.storage.local import reported
from components.shared.teacher import TeacherRecord
from components.soft_labels.teachers.layout import Array

_SAMPLE_ROWS = 64
"""Training rows on which a model is tried."""
_COPIED_BYTES = 2**20

Foreign = MlflowTeacher | OnnxTeacher | EndpointTeacher


def import_foreign(
    spec: Foreign, data: Dataset, tracking_uri: str, output: Path, some: bool = False
) -> TeacherRecord:
    """Write the artifact of a teacher.

    Args:
        spec: the recipe's section ``teacher``.
        data: what it is to label.
        tracking_uri: of MLflow; empty for the environment's ``MLFLOW_TRACKING_URI``.
        output: the artifact; complete or absent.
        some: whether it may know only some of the classes, as one of several teachers may.

    Raises:
        UserError: there is no such model, it may not run its code, or does not fit the data set;
            the disk is full.
        StorageFailed: where the model is kept was out of reach.
        EndpointFailed: the endpoint was.
    """
    with new_directory(output) as folder:
        if isinstance(spec, EndpointTeacher):
            from components.soft_labels.teachers.endpoint_teacher import import_endpoint

            return import_endpoint(spec, data.manifest, folder, some)
        sample = _sample(data)
        if isinstance(spec, MlflowTeacher):
            from components.soft_labels.teachers.mlflow_import import import_mlflow

            return import_mlflow(spec, tracking_uri, data.manifest, sample, folder, some)
        from components.soft_labels.teachers.onnx_import import import_onnx

        with _local_file(spec.uri, folder) as file:
            return import_onnx(file, spec, spec.uri, data.manifest, sample, folder, some)


def _sample(data: Dataset) -> Array:
    for rows in data.batches("labelled", "unlabelled", rows=_SAMPLE_ROWS):
        return rows.inputs
    raise UserError(f"{data.manifest.source}: there are no training rows for the teacher to label")


@contextmanager
def _local_file(uri: str, folder: Path) -> Iterator[Path]:
    """A file of this machine; what is in S3 is copied into ``folder`` for as long as it is used."""
    if not is_s3(uri):
        yield local_path(uri)
        return
    root, name = split(uri)
    copy = folder / "given.onnx"
    try:
        with (
            open_storage(root).open(name) as source,
            reported(copy, "writing"),
            copy.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, _COPIED_BYTES)
    except FileNotFoundError as error:
        raise UserError(f"teacher.uri: there is no {uri}") from error
    yield copy
    copy.unlink()
