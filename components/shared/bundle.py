"""The model bundle: weights as safetensors, and ``bundle.json`` that says how to use them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from components.shared.errors import UserError
from components.shared.files import (
    digest_of,
    new_directory,
    sha256_file,
    write_atomically,
)
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.data import ImageInput, TabularInput
from components.shared.recipe.models import ModelSpec
from components.shared.records import read_record

if TYPE_CHECKING:
    from components.shared.networks import Classifier

BUNDLE = "bundle.json"
WEIGHTS = "model.safetensors"


class CurvePoint(BaseModel):
    """One point of a learning curve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    loss: float
    """Mean training loss since the point before."""


class Candidate(BaseModel):
    """One choice of method and length that was tried on held-out training rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int
    temperature: float | None = None
    weight: float | None = None
    score: float | None = None
    """Agreement with the teacher (or accuracy, without a teacher) on the held-out rows, 0 to 1;
    null where there was nothing to choose from."""
    standard_error: float | None = None


class Selection(BaseModel):
    """How an arm chose among its candidates, without the test rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    judge: str
    """What the score is and on which rows it was measured."""
    candidates: list[Candidate]
    chosen: int
    """Index into ``candidates``."""


class ModelBundle(BaseModel):
    """Everything about a trained model but its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    role: str
    """teacher, student, hard_label or pseudo_label."""
    model: ModelSpec
    input: Annotated[TabularInput | ImageInput, Field(discriminator="kind")]
    preprocessing: Preprocessing
    classes: list[str]
    parameters: int
    seed: int
    dataset_digest: str
    soft_labels_digest: str | None
    """Identity of the soft-label store it learned from."""
    selection: Selection | None
    curve: list[CurvePoint]
    weights_sha256: str

    @property
    def digest(self) -> str:
        """Content hash: weights and everything that is written about them."""
        return digest_of(self.model_dump(mode="json"))


def save_bundle(folder: Path, network: "Classifier", **fields: Any) -> ModelBundle:
    """Write ``network`` and its description as a bundle; complete or absent.

    Args:
        folder: where the bundle goes; an existing one is replaced.
        network: the trained model.
        fields: the fields of :class:`ModelBundle` that the network does not know itself.
    """
    from safetensors.torch import save_file

    with new_directory(folder) as temporary:
        state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, temporary / WEIGHTS)
        bundle = ModelBundle(
            parameters=network.parameter_count,
            weights_sha256=sha256_file(temporary / WEIGHTS),
            **fields,
        )
        write_atomically(temporary / BUNDLE, bundle.model_dump_json(indent=2))
    return bundle


def read_bundle(folder: Path, digest: str | None = None) -> ModelBundle:
    """Read a bundle's description.

    Args:
        folder: the bundle.
        digest: content hash that the caller expects, if it knows one.

    Raises:
        UserError: it is not there, not of this format, or another bundle than expected.
    """
    path = folder / BUNDLE
    if not path.is_file():
        raise UserError(f"{folder} is not a model bundle: it has no {BUNDLE}")
    bundle = read_record(path, ModelBundle, "bundle description")
    if digest is not None and bundle.digest != digest:
        raise UserError(f"{folder}: is {bundle.digest[:12]}, but {digest[:12]} was asked for")
    return bundle


def load_network(folder: Path, digest: str | None = None) -> tuple[ModelBundle, "Classifier"]:
    """Read a bundle with its weights, in evaluation mode.

    Weights are read as safetensors only, a format that cannot hold code.

    Args:
        folder: the bundle.
        digest: content hash that the caller expects, if it knows one.

    Raises:
        UserError: a file is missing or damaged, the weights are not safetensors, or they do not
            fit the architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from components.shared.networks import Classifier

    bundle = read_bundle(folder, digest)
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"{folder}: the bundle has no {WEIGHTS}")
    try:
        state = load(path.read_bytes())
    except SafetensorError as error:
        raise UserError(
            f"{path}: not a safetensors file ({error}); pickled weights can run code when they "
            "are read, and are refused"
        ) from error
    if sha256_file(path) != bundle.weights_sha256:
        raise UserError(f"{path}: the weights are not those that {BUNDLE} describes (SHA-256)")
    network = Classifier.build(
        bundle.model, bundle.input, bundle.preprocessing, len(bundle.classes)
    )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit {bundle.model.family}: {error}") from error
    return bundle, network.eval()


def check_classes(bundle: ModelBundle, classes: list[str]) -> None:
    """Refuse a model that was trained for other classes than the data set has.

    Raises:
        UserError: the number, the names or the order differ.
    """
    if bundle.classes == classes:
        return
    if len(bundle.classes) != len(classes):
        difference = f"it has {len(bundle.classes)} classes, the data set {len(classes)}"
    elif set(bundle.classes) != set(classes):
        only = sorted(set(bundle.classes) - set(classes))
        difference = f"it knows {', '.join(only)}, which the data set does not"
    else:
        position = next(
            i for i, (a, b) in enumerate(zip(bundle.classes, classes, strict=True)) if a != b
        )
        difference = (
            f"the order differs: its output {position} is {bundle.classes[position]!r}, the data "
            f"set's is {classes[position]!r}; set data.classes to the {bundle.role}'s order"
        )
    raise UserError(f"the {bundle.role} does not fit the data set: {difference}")


def check_input(bundle: ModelBundle, expected: TabularInput | ImageInput) -> None:
    """Refuse a model that takes other inputs than the data set has.

    Raises:
        UserError: columns, their order, or the size of the images differ.
    """
    if bundle.input.shape != expected.shape:
        raise UserError(
            f"the {bundle.role} does not fit the data set: it takes rows of shape "
            f"{list(bundle.input.shape)}, the data set has {list(expected.shape)}"
        )
    if bundle.input.kind == "tabular" and bundle.input != expected:
        raise UserError(
            f"the {bundle.role} does not fit the data set: it takes the columns "
            f"{', '.join(bundle.input.columns)}, in this order; set data.input.columns to them"
        )
