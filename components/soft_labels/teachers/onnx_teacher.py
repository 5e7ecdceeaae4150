"""A teacher that is an ONNX file in deployed form, run by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from components.shared.deployable import INPUT_NAME, LOGITS_NAME, ONNX_FILE, OUTPUT_NAME
from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe.inputs import InputSpec
from components.shared.teacher import OnnxModel, TeacherRecord
from components.soft_labels.teachers.checking import as_logits, ran_out_of_memory
from components.soft_labels.teachers.layout import Array

_PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
_ERRORS_ONLY = 3


class OnnxRuntimeTeacher:
    """Runs the file on a GPU, where ONNX Runtime has one, or else on the CPU."""

    def __init__(self, folder: Path, record: TeacherRecord, model: OnnxModel) -> None:
        """Open the file.

        Args:
            folder: the teacher artifact.
            record: what it says of itself.
            model: the part of it about the file.

        Raises:
            UserError: the file is not the one described, or does not load.
        """
        path = folder / ONNX_FILE
        if not path.is_file() or sha256_file(path) != model.onnx_sha256:
            raise UserError(f"{path}: not the file that the teacher's description is of (SHA-256)")
        self.digest = record.digest
        self.classes: list[str] = record.classes
        self.input: InputSpec = record.input
        self.preprocessing_digest = record.preprocessing_digest
        self._gives = model.gives
        self._session = open_session(path)

    def logits(self, inputs: Array) -> Array:
        """Logits of rows of raw features, shape (rows, classes).

        Raises:
            UnusableRowError: the model gives no probabilities, or no finite logits, for a row.
            UserError: the model cannot be run.
        """
        name = LOGITS_NAME if self._gives == "logits" else OUTPUT_NAME
        output = run(self._session, INPUT_NAME, name, inputs)
        return as_logits(output, self._gives, len(inputs), len(self.classes))


def open_session(path: Path) -> ort.InferenceSession:
    """Open an ONNX file.

    Raises:
        UserError: ONNX Runtime cannot load it.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    providers = [name for name in _PREFERRED if name in ort.get_available_providers()]
    try:
        return ort.InferenceSession(path, options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise UserError(f"teacher: ONNX Runtime cannot load {path}: {error}") from error


def run(session: ort.InferenceSession, taken: str, given: str, inputs: Array) -> Array:
    """One output of a model.

    Args:
        session: of the model.
        taken: name of its input.
        given: name of the output.
        inputs: what it takes, as the model wants it but for the type of its numbers.

    Raises:
        MemoryError: for so many rows at once there is not enough.
        UserError: it cannot be run.
    """
    try:
        (output,) = session.run([given], {taken: inputs})
    except Exception as error:  # ONNX Runtime's errors share no other base
        if ran_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise UserError(
            f"teacher: ONNX Runtime cannot run the model on {len(inputs)} rows: {error}"
        ) from error
    values: Array = np.asarray(output)
    return values
