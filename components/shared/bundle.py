"""The model bundle: weights as safetensors, and ``bundle.json`` that says how to use them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from components.shared.errors import UserError
from components.shared.files import (
    digest_of,
    new_directory,
    sha256_file,
    write_atomically,
)
from components.shared.later import later
from components.shared.lineage import Stage
from components.shared.preprocessing import Preprocessing
from components.shared.recipe.inputs import InputSpec
from components.shared.recipe.models import ModelSpec
from components.shared.recipe.objectives import Kd, Objectives, ObjectiveSpec, Schedule
from components.shared.records import read_record

if TYPE_CHECKING:
    from components.shared.networks import Classifier

BUNDLE = "bundle.json"
WEIGHTS = "model.safetensors"
ASSISTANT = "assistant"
"""The role of who learned, and labels for the next."""


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
    objectives: Objectives | None = later(None)
    """What was minimised beside the cross-entropy with the labels; null without a teacher, and in
    records that are older than the choice, where it is KD."""
    temperature: float | Schedule | None = None
    """Of those objectives that have none of their own; null where all have, or need none."""
    weight: float | None = None
    """Share of the teacher in the loss, 0 to 1; null where the arm learned from classes alone."""
    score: float | None = None
    """Agreement with the teacher (or accuracy, without a teacher) on the held-out rows, 0 to 1;
    null where there was nothing to choose from."""
    standard_error: float | None = None
    fitted: float | None = later(None)
    """Agreement with the teacher on some of the rows that it was trained on, 0 to 1; null without a
    teacher, and in older records."""
    ahead: int | None = later(None)
    """Held-out rows on which it agrees with the teacher and the candidate that was chosen does not;
    null where ``fitted`` is."""
    behind: int | None = later(None)
    """The other way round."""

    @property
    def method(self) -> list[ObjectiveSpec]:
        """What was minimised beside the cross-entropy with the labels; nothing where the arm
        learned from classes alone."""
        if self.weight is None:
            return []
        return [Kd(kind="kd")] if self.objectives is None else self.objectives


class TriedSize(BaseModel):
    """A size that a student might have had."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelSpec
    parameters: int
    agreement: float
    """Share of held-out rows to which it gives the class of the labels that it learns from."""
    standard_error: float
    enough: bool


class SizeSearch(BaseModel):
    """How the size of a student was found, without the test rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    needed: float
    """Agreement that was enough, when a standard error is taken off."""
    held_out: int
    """Rows behind each agreement."""
    sizes: int
    """How many there were to choose from, the recipe's own among them."""
    tried: list[TriedSize]
    """In the order of the trials."""


class Selection(BaseModel):
    """How an arm chose among its candidates, without the test rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    judge: str
    """What the score is and on which rows it was measured."""
    candidates: list[Candidate]
    chosen: int
    """Index into ``candidates``."""
    held_out: int | None = later(None)
    """Rows behind each ``score``, where that is an agreement."""
    fitted: int | None = later(None)
    """Rows behind each candidate's ``fitted``."""
    size: SizeSearch | None = later(None)
    """Null where the recipe's model is the student's."""

    @property
    def choice(self) -> Candidate:
        """The candidate that was chosen."""
        return self.candidates[self.chosen]


class Followed(BaseModel):
    """A student beside its teacher, on some rows that it was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    agreeing: int
    """Rows for which both choose the same class."""
    confidence: float
    """Mean of the largest probability that the teacher gives, at temperature 1."""


class Fit(BaseModel):
    """How the student that was trained in the end follows its teacher where it learned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labelled: Followed | None
    """Null where there are no such rows."""
    unlabelled: Followed | None


class ModelBundle(BaseModel):
    """Everything about a trained model but its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    role: str
    """teacher, assistant, student, hard_label or pseudo_label."""
    model: ModelSpec
    input: InputSpec
    preprocessing: Preprocessing
    classes: list[str]
    parameters: int
    seed: int
    dataset_digest: str
    soft_labels_digest: str | None
    """Identity of the soft-label store it learned from."""
    assistants: list[Stage] = later([])
    """Who learned and labelled on the way to that store, first to last; empty where it is the
    teacher's own."""
    selection: Selection | None
    curve: list[CurvePoint]
    fit: Fit | None = later(None)
    """Null without a teacher, and in older records."""
    weights_sha256: str

    @property
    def digest(self) -> str:
        """Content hash: weights and everything that is written about them."""
        return digest_of(self.model_dump(mode="json"))

    def as_stage(self, accuracy: float | None = None) -> Stage:
        """This model in a chain; it learned from soft labels.

        Args:
            accuracy: on the labelled rows, where that is known.
        """
        chosen = self.selection and self.selection.choice
        if not chosen or not chosen.method:
            raise AssertionError(f"the {self.role} did not learn from a teacher")
        return Stage(
            digest=self.digest,
            model=self.model,
            parameters=self.parameters,
            steps=chosen.steps,
            objectives=chosen.method,
            agreement=chosen.score,
            standard_error=chosen.standard_error,
            accuracy=accuracy,
        )


def save_bundle(folder: Path, network: "Classifier", **fields: Any) -> ModelBundle:
    """Write ``network`` and its description as a bundle; complete or absent.

    Args:
        folder: where the bundle goes; an existing one is replaced.
        network: the trained model.
        fields: the fields of :class:`ModelBundle` that the network does not know itself.
    """
    from safetensors.torch import save_file

    with new_directory(folder) as temporary:
        # Copies, since the format has no two names for one tensor.
        state = {
            name: tensor.cpu().contiguous().clone() for name, tensor in network.state_dict().items()
        }
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
        bundle.model, bundle.input, bundle.preprocessing, len(bundle.classes), pretrained=False
    )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit {bundle.model.family}: {error}") from error
    return bundle, network.eval()


def check_classes(bundle: ModelBundle, classes: list[str], some: bool = False) -> None:
    """Refuse a model that was trained for other classes than the data set has.

    Args:
        bundle: of the model.
        classes: of the data set.
        some: whether fewer classes will do, in any order.

    Raises:
        UserError: the number, the names or the order differ.
    """
    if bundle.classes == classes or (some and set(bundle.classes) < set(classes)):
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


def check_input(bundle: ModelBundle, expected: InputSpec) -> None:
    """Refuse a model that takes other inputs than the data set has.

    Raises:
        UserError: columns, their order, or the size of the images differ.
    """
    if bundle.input.shape != expected.shape:
        raise UserError(
            f"the {bundle.role} does not fit the data set: it takes rows of shape "
            f"{list(bundle.input.shape)}, the data set has {list(expected.shape)}"
        )
    difference = bundle.input.difference(expected)
    if difference:
        raise UserError(
            f"the {bundle.role} does not fit the data set: {difference}; set data.input to the "
            f"{bundle.role}'s"
        )
