"""Taking over a teacher from the MLflow registry: its files, and what they are."""

import shutil
from pathlib import Path
from typing import get_args

from components.shared.errors import UserError
from components.shared.files import write_atomically
from components.shared.manifest import DatasetManifest
from components.shared.mlflow_settings import set_mlflow_defaults
from components.shared.recipe.teacher import MlflowTeacher
from components.shared.teacher import MODEL_FOLDER, TEACHER, Flavour, MlflowModel, TeacherRecord
from components.soft_labels.teachers.checking import column_order, known_classes
from components.soft_labels.teachers.layout import Array, standardisation
from components.soft_labels.teachers.mlflow_registry import fetch_model
from components.soft_labels.teachers.mlflow_teacher import MlflowModelTeacher, hash_files, load
from components.soft_labels.teachers.onnx_import import import_onnx

_ONNX = "onnx"
_FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)
"""The first one that a model has is taken: the last one any model has, and it does not tell what it
gives."""


def import_mlflow(
    spec: MlflowTeacher,
    tracking_uri: str,
    manifest: DatasetManifest,
    sample: Array,
    folder: Path,
    some: bool = False,
) -> TeacherRecord:
    """Write the artifact of a registered model: as an ONNX teacher if it is one, else its files.

    Args:
        spec: the recipe's section ``teacher``.
        tracking_uri: of MLflow; empty for the environment's ``MLFLOW_TRACKING_URI``.
        manifest: of the data set.
        sample: rows to try it on, shape (rows, \\*input shape), at least one.
        folder: an empty folder.
        some: whether it may know only some of the classes.

    Raises:
        UserError: there is no such model, it may not run its code, or does not fit the data set.
        StorageFailed: MLflow was out of reach.
    """
    set_mlflow_defaults()
    from mlflow.models import Model

    files = folder / MODEL_FOLDER
    source = fetch_model(spec.uri, tracking_uri, files)
    description = Model.load(str(files))
    flavours = description.flavors
    if _ONNX in flavours:
        file = files / flavours[_ONNX]["data"]
        record = import_onnx(file, spec, source, manifest, sample, folder, some)
        shutil.rmtree(files)
        return record
    flavour = next((name for name in _FLAVOURS if name in flavours), None)
    if flavour is None:
        raise UserError(
            f"teacher.uri: {source} has the flavours {', '.join(flavours)}; a teacher needs one of "
            f"{', '.join((_ONNX, *_FLAVOURS))}"
        )
    if not spec.allow_code:
        raise UserError(
            f"teacher.uri: {source} is a {flavour} model, which can run code of its own when it is "
            "loaded. If you trust all who may register it, set teacher.allow_code: true; or "
            "register it as ONNX, which cannot"
        )
    return _keep(spec, source, flavour, manifest, sample, folder, some)


def _keep(
    spec: MlflowTeacher,
    source: str,
    flavour: Flavour,
    manifest: DatasetManifest,
    sample: Array,
    folder: Path,
    some: bool,
) -> TeacherRecord:
    files = folder / MODEL_FOLDER
    hashes = hash_files(files)
    known = load(files, flavour)[1] if flavour == "sklearn" else None
    order = spec.classes or known or manifest.classes
    classes = known_classes(order, manifest.classes, some)
    column_order(order, classes, "the MLflow model")
    model = MlflowModel(
        flavour=flavour,
        files=hashes,
        gives=spec.output,
        output_name=spec.output_name,
        order=order,
    )
    record = TeacherRecord(
        source=source,
        classes=classes,
        input=manifest.input,
        preprocessing=standardisation(spec.standardise, manifest.input),
        model=model,
    )
    MlflowModelTeacher(folder, record, model).logits(sample)
    write_atomically(folder / TEACHER, record.model_dump_json(indent=2))
    return record
