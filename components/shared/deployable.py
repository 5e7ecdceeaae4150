"""The deployable model: an ONNX file with preprocessing inside, and what it was made from."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.shared.errors import UserError
from components.shared.files import sha256_file
from components.shared.recipe.data import ImageInput, TabularInput
from components.shared.records import read_record

DEPLOYABLE = "deployable.json"
ONNX_FILE = "model.onnx"
INPUT_NAME = "input"
OUTPUT_NAME = "probabilities"


class Deployable(BaseModel):
    """What is known of an ONNX file: input ``input`` float32 (rows, \\*shape), raw feature values;
    output ``probabilities`` float32 (rows, classes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    role: str
    input: Annotated[TabularInput | ImageInput, Field(discriminator="kind")]
    classes: list[str]
    parameters: int
    dataset_digest: str
    bundle_digest: str
    """The model bundle it was exported from."""
    teacher_digest: str | None
    """The teacher's bundle, for the student and the baselines."""
    max_difference: float
    """Largest absolute difference of a probability from the torch model, over real rows."""
    checked_rows: int
    batch_dependent: bool = False
    """Whether what it predicts for a row depends on the other rows of the call, as it does where
    activations are quantised by the range that they have in that call."""
    onnx_sha256: str


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
