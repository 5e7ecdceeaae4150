"""The teacher in a student's training, where the method looks at more than its stored logits."""

from functools import partial
from pathlib import Path

from components.shared.bundle import ModelBundle, check_classes, check_input, load_network
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.networks import Classifier
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import InputSpec, Recipe, TrainedTeacher
from components.shared.recipe.models import OUTSIDE, ModelSpec
from components.shared.recipe.objectives import DeeperExit, FeatureSpec
from components.shared.recipe.student import LearningSpec, StageSpec, StudentSpec, stages
from components.shared.soft_labels import SoftLabels
from components.shared.teacher import TeacherRecord, read_teacher
from components.shared.training.objectives.building import Setting, term_of
from components.training.sizing import sizes_of


def open_teacher(
    folder: Path, digest: str, store: SoftLabels, data: Dataset
) -> tuple[ModelBundle, Classifier]:
    """Read the network that labelled a store, on the CPU, in evaluation mode.

    Args:
        folder: the teacher artifact.
        digest: its content hash.
        store: the soft labels that the student learns from.
        data: the data set.

    Raises:
        UserError: it is no network, another one, or not the one that labelled.
    """
    teacher = read_teacher(folder, digest)
    if isinstance(teacher, TeacherRecord):
        raise UserError(
            f"distillation: runs the teacher in training, but {teacher.in_words} is no "
            "network that can be looked into; take a teacher of source train or bundle, or a "
            "method that reads stored labels, such as kd"
        )
    labelled = [one.digest for one in store.identity.teachers]
    if labelled != [digest]:
        names = ", ".join(one[:12] for one in labelled)
        raise UserError(
            f"{folder}: is the teacher {digest[:12]}, but the soft labels are those of {names}"
        )
    bundle, network = load_network(folder, digest)
    check_classes(bundle, data.manifest.classes)
    check_input(bundle, data.manifest.input)
    return bundle, network


def check_layers(
    student: StudentSpec,
    learning: LearningSpec,
    given: InputSpec,
    classes: int,
    teacher: Classifier | None,
) -> None:
    """Refuse a method whose layers the networks do not have, before anything is trained.

    Of a student that is not built in the training tells, once it has looked at the model itself.

    Args:
        student: what is to be trained; the layers have to be there in every size that it may have.
        learning: its method.
        given: what the networks take.
        classes: of the data set; of another number the layers are the same.
        teacher: its network, on the CPU; without, only layers of the student are looked at.

    Raises:
        UserError: a layer is not there, or cannot be compared.
    """
    if student.model.family in OUTSIDE or not any(one.looks_inside for one in learning.objectives):
        return
    build = partial(_untrained, given=given, classes=classes)
    for _, model in sizes_of(student, build):
        setting = Setting(build(model), teacher, given.shape, classes, rows=1)
        try:
            _look(learning, setting)
        except UserError as error:
            if model == student.model:
                raise
            raise UserError(f"{error} (of a size that student.search may find)") from error


def check_layers_of(recipe: Recipe, given: InputSpec, classes: int) -> None:
    """Refuse a recipe whose methods look at layers that its networks do not have.

    It tells of the networks that the recipe describes; of a teacher that is a bundle, and of models
    that are not built in, the training does.

    Args:
        recipe: whose networks are built, with any weights, on the CPU.
        given: what they take, with the categories of its columns.
        classes: of the data set; of another number the layers are the same.

    Raises:
        UserError: as for :func:`check_layers`.
    """
    own = StageSpec(recipe.student, recipe.distillation)
    taught_by = recipe.teacher.model if isinstance(recipe.teacher, TrainedTeacher) else None
    learners = [*stages(recipe.student, recipe.distillation), own]
    for place, (student, learning) in enumerate(learners, start=1):
        teacher = None
        if taught_by is not None and taught_by.family not in OUTSIDE:
            teacher = _untrained(taught_by, given, classes)
        try:
            check_layers(student, learning, given, classes, teacher)
        except UserError as error:
            if place == len(learners):
                raise
            raise UserError(f"step train_assistant_{place}: {error}") from error
        taught_by = student.model


def _untrained(model: ModelSpec, given: InputSpec, classes: int) -> Classifier:
    anything = Preprocessing(mean=[0.0] * given.shape[0], std=[1.0] * given.shape[0])
    return Classifier.build(model, given, anything, classes)


def _look(learning: LearningSpec, setting: Setting) -> None:
    """At layers of the student alone, where there is no teacher."""
    for one in learning.objectives:
        if isinstance(one, DeeperExit) or (
            isinstance(one, FeatureSpec) and setting.teacher is not None
        ):
            term_of(one, setting)
