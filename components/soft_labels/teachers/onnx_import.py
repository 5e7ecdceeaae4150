"""Taking over a teacher that is an ONNX file: brought into deployed form, and checked on rows."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from components.shared.deployable import (
    DEPLOYABLE,
    INPUT_NAME,
    ONNX_FILE,
    OUTPUT_NAME,
    Deployable,
)
from components.shared.errors import UserError
from components.shared.files import sha256_file, write_atomically
from components.shared.manifest import DatasetManifest
from components.shared.recipe.teacher import MlflowTeacher, OnnxTeacher, OutputKind
from components.shared.teacher import TEACHER, OnnxModel, TeacherRecord
from components.soft_labels.teachers.checking import as_logits, column_order, known_classes
from components.soft_labels.teachers.layout import Array, standardisation, standardised
from components.soft_labels.teachers.onnx_graph import (
    Ends,
    deployed_form,
    find_ends,
    parameter_count,
)
from components.soft_labels.teachers.onnx_teacher import open_session, run

MAX_DIFFERENCE = 1e-3
"""Largest difference of a probability between the file as it was given and in deployed form: the
rounding of half precision. More of it, and rows of one call change each other's predictions."""
_BY_THE_CALL = "DynamicQuantizeLinear"
_MOST_BYTES = 2**31 - 1
"""Of a single ONNX file, which is a protocol buffer."""


def import_onnx(
    file: Path,
    spec: OnnxTeacher | MlflowTeacher,
    source: str,
    manifest: DatasetManifest,
    sample: Array,
    folder: Path,
    some: bool = False,
) -> TeacherRecord:
    """Write ``model.onnx``, ``deployable.json`` and ``teacher.json``.

    Args:
        file: the ONNX file; weights beside it are taken into the new one.
        spec: the recipe's section ``teacher``.
        source: where the file is from, for people.
        manifest: of the data set.
        sample: rows to check it on, shape (rows, \\*input shape), at least one.
        folder: an empty folder.
        some: whether it may know only some of the classes.

    Raises:
        UserError: it is no classifier for this data set, or takes a fixed number of rows.
    """
    model = _read(file, source)
    shape, own = manifest.input.shape, spec.classes or manifest.classes
    classes = known_classes(own, manifest.classes, some)
    order = column_order(own, classes, "the ONNX model")
    ends = find_ends(model, spec.input_name, spec.output_name, shape, len(classes))
    preprocessing = standardisation(spec.standardise, manifest.input)
    deployed = deployed_form(model, ends, shape, spec.output, order, preprocessing)
    target = folder / ONNX_FILE
    _write(deployed, target, source)
    expected = _as_given(file, ends, ends.layout.arrange(standardised(sample, preprocessing)))
    found = run(open_session(target), INPUT_NAME, OUTPUT_NAME, sample)
    difference = _difference(found, expected[:, order], spec.output)
    if not difference <= MAX_DIFFERENCE:
        raise UserError(
            f"teacher: {source} predicts something else for {len(sample)} rows in one call than in "
            f"calls of {ends.fixed_rows or len(sample)}: a probability differs by {difference:g}; "
            "export it with a free axis for the rows"
        )
    written = OnnxModel(onnx_sha256=sha256_file(target), gives=spec.output)
    record = TeacherRecord(
        source=source,
        classes=classes,
        input=manifest.input,
        preprocessing=preprocessing,
        model=written,
    )
    deployable = Deployable(
        role="teacher",
        input=manifest.input,
        classes=classes,
        parameters=parameter_count(deployed),
        dataset_digest=manifest.digest,
        bundle_digest=record.digest,
        teacher_digest=None,
        max_difference=difference,
        checked_rows=len(sample),
        batch_dependent=any(node.op_type == _BY_THE_CALL for node in deployed.graph.node),
        imported=True,
        onnx_sha256=written.onnx_sha256,
    )
    write_atomically(folder / DEPLOYABLE, deployable.model_dump_json(indent=2))
    write_atomically(folder / TEACHER, record.model_dump_json(indent=2))
    return record


def _read(file: Path, source: str) -> onnx.ModelProto:
    try:
        model = onnx.load(file)
    except OSError as error:
        raise UserError(f"teacher: {source} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # of protobuf's, which has no types
        raise UserError(f"teacher: {source} is not an ONNX model: {error}") from error
    if not model.graph.node:
        raise UserError(f"teacher: {source} is not an ONNX model: it has no operators")
    return model


def _write(model: onnx.ModelProto, path: Path, source: str) -> None:
    if model.ByteSize() > _MOST_BYTES:
        raise UserError(
            f"teacher: {source} has more than 2 GB of weights; serve it, and use it with "
            "teacher.source: endpoint"
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise UserError(f"teacher: {source} is not a valid ONNX model: {error}") from error
    onnx.save(model, path)


def _as_given(file: Path, ends: Ends, rows: Array) -> Array:
    """What the file gives as it is, in calls of as many rows as it takes."""
    session = open_session(file)
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(ends.input_type))
    size = ends.fixed_rows or len(rows)
    count = -(-len(rows) // size) * size
    padded = np.resize(rows, (count, *rows.shape[1:])).astype(kind)
    calls = [padded[start : start + size] for start in range(0, count, size)]
    outputs = [run(session, ends.input, ends.output, call) for call in calls]
    return np.concatenate(outputs)[: len(rows)].astype(np.float32)


def _difference(found: Array, given: Array, gives: OutputKind) -> float:
    """Largest of a probability; as large as can be where the shapes differ."""
    if found.shape != given.shape:
        return 1.0
    logits = as_logits(given, gives, *given.shape)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    return float(np.abs(found - expected).max())
