"""The deployable model: an ONNX file with preprocessing inside, and what it was made from."""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe.inputs import InputSpec
from components.shared.records import read_record

DEPLOYABLE = "deployable.json"
ONNX_FILE = "model.onnx"
EXAMPLE = "example.npy"
"""One real row, for whoever serves the model."""
INPUT_NAME = "input"
OUTPUT_NAME = "probabilities"
LOGITS_NAME = "logits"
"""A further output, of teachers that give logits."""


class Deployable(BaseModel):
    """What is known of an ONNX file: input ``input`` float32 (rows, \\*shape), raw feature values;
    output ``probabilities`` float32 (rows, classes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    role: str
    input: InputSpec
    classes: list[str]
    parameters: int
    dataset_digest: str
    bundle_digest: str
    """The model bundle it was exported from; of an imported teacher its record."""
    teacher_digest: str | None
    """The teacher's bundle, for the student and the baselines."""
    max_difference: float
    """Largest absolute difference of a probability from the torch model, or from the ONNX file that
    was imported, over real rows."""
    checked_rows: int
    batch_dependent: bool = False
    """Whether what it predicts for a row depends on the other rows of the call, as it does where
    activations are quantised by the range that they have in that call."""
    imported: bool = False
    """Whether the ONNX file is a teacher's that was made elsewhere, in whatever precision."""
    onnx_sha256: str
    onnxruntime: str | None = None
    """Version of ONNX Runtime that it was checked with; null of a teacher's file, and in what was
    written before this was noted."""


def read_deployable(folder: Path) -> Deployable:
    """Read the description and check that the ONNX file is the one described.

    Raises:
        UserError: a file is missing, damaged, or does not match.
    """
    description, model = folder / DEPLOYABLE, folder / ONNX_FILE
    for path in (description, model):
        if not path.is_file():
            raise UserError(f"{folder} is not a deployable model: it has no {path.name}")
    deployable = read_record(description, Deployable, "description")
    if sha256_file(model) != deployable.onnx_sha256:
        raise UserError(f"{model}: not the file that {DEPLOYABLE} describes (SHA-256 differs)")
    return deployable


def read_example(folder: Path) -> npt.NDArray[np.float32]:
    """One real row of raw feature values, shape (1, \\*input shape).

    Raises:
        UserError: it is not there, or damaged.
    """
    path = folder / EXAMPLE
    try:
        example: npt.NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the example row is missing or damaged: {error}") from error
    return example
