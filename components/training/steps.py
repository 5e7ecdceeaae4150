"""The training steps, free of KFP."""

import shutil
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from components.shared import events
from components.shared.bundle import (
    ASSISTANT,
    BUNDLE,
    WEIGHTS,
    ModelBundle,
    check_classes,
    check_input,
    load_network,
    read_bundle,
)
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import new_directory
from components.shared.recipe import (
    BundleTeacher,
    DistillationSpec,
    EnsembleTeacher,
    Gates,
    StudentSpec,
    TrainedTeacher,
    parse_section,
)
from components.shared.recipe.objectives import misfit
from components.shared.recipe.sizes import SizeSearchSpec
from components.shared.recipe.student import stages
from components.shared.storage import open_storage
from components.training import launching
from components.training.online import check_layers, open_teacher
from components.training.problem import Arm
from components.training.process import open_labels
from components.training.request import ArmRequest, TeacherRequest


def train_teacher(
    dataset: Path,
    dataset_digest: str,
    teacher: dict[str, Any],
    seed: int,
    output: Path,
    storage: str = "",
    among: dict[str, Any] | None = None,
) -> ModelBundle:
    """Train the teacher on the labelled rows, or take over one that exists.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        teacher: the recipe's section ``teacher``.
        seed: seed of initial weights, order of rows and augmentation.
        output: folder for the bundle.
        storage: root URI for checkpoints; empty: none are kept.
        among: the section of all teachers, where it is one of several: it learns from no row that
            judges them, and a bundle may know only some of the classes.

    Raises:
        SystemExit: with status 2, for a mistake in the recipe, the data or the given bundle; with
            status 143 after SIGTERM.
    """
    with events.step("train_teacher"):
        data = Dataset.open(dataset, dataset_digest)
        ensemble = parse_section(EnsembleTeacher, among, "teacher") if among else None
        if teacher.get("source") == "bundle":
            spec = parse_section(BundleTeacher, teacher, "teacher")
            return _import_teacher(data, spec, output, ensemble)
        parse_section(TrainedTeacher, teacher, "teacher")
        request = TeacherRequest(
            dataset=str(Path(dataset).absolute()),
            dataset_digest=dataset_digest,
            teacher=teacher,
            held_out=ensemble.unseen if ensemble else 0.0,
            seed=seed,
            storage=storage,
        )
        return launching.train(request, output)


def train_student(
    dataset: Path,
    dataset_digest: str,
    soft_labels_folder: str,
    soft_labels_digest: str,
    arm: str,
    student: dict[str, Any],
    distillation: dict[str, Any],
    seed: int,
    output: Path,
    storage: str = "",
    stage: int = 0,
    teacher: Path | None = None,
    teacher_digest: str = "",
    gates: dict[str, Any] | None = None,
    network_of: Path | None = None,
    network_of_digest: str = "",
) -> ModelBundle:
    """Train one arm: the student, one that learns before it, or one of the two baselines.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        soft_labels_folder: folder of the soft-label store's manifest.
        soft_labels_digest: its identity.
        arm: ``student``, ``assistant``, ``pseudo_label`` or ``hard_label``.
        student: the recipe's section ``student``.
        distillation: the recipe's section ``distillation``.
        seed: seed of initial weights, order of rows and augmentation; for an assistant 1 and its
            ``stage`` are added.
        output: folder for the bundle.
        storage: root URI for checkpoints; empty: none are kept.
        stage: which of those that learn before the student, from 0; of the arm ``assistant``.
        teacher: who made the soft labels, for a method that runs it in training; others do not look
            at it.
        teacher_digest: its content hash.
        gates: the recipe's section ``gates``, which a student has to meet whose size is searched.
        network_of: bundle whose network this arm takes: the student's, for a baseline, where its
            size was searched.
        network_of_digest: its content hash.

    Raises:
        SystemExit: with status 2, for a mistake in the recipe, the data or the store, or where the
            method cannot learn from such labels; with status 143 after SIGTERM.
    """
    place = stage if arm == ASSISTANT else None
    with events.step(f"train_{arm}" if place is None else f"train_{arm}_{place + 1}"):
        if place is not None:
            student, distillation = _sections_of(place, student, distillation)
            arm, seed = "student", seed + 1 + place
        if arm not in get_args(Arm):
            there = ", ".join([*get_args(Arm), ASSISTANT])
            raise UserError(f"arm: should be one of {there}, not {arm!r}")
        model = parse_section(StudentSpec, student, "student")
        if model.search:
            model = _with_size(model, model.search, arm, gates, network_of, network_of_digest)
            student = model.model_dump(mode="json", exclude_none=True)
        request = ArmRequest(
            arm=TypeAdapter(Arm).validate_python(arm),
            stage=place,
            dataset=str(Path(dataset).absolute()),
            dataset_digest=dataset_digest,
            soft_labels=str(Path(soft_labels_folder).absolute()),
            soft_labels_digest=soft_labels_digest,
            student=student,
            distillation=distillation,
            seed=seed,
            storage=storage,
        )
        data = Dataset.open(dataset, dataset_digest)
        store = open_labels(request, data)
        spec = parse_section(DistillationSpec, distillation, "distillation")
        identity = store.identity
        if fault := misfit(spec.objectives, len(identity.classes), complete=identity.k is None):
            raise UserError(f"distillation.method: {fault}")
        network = None
        if spec.runs_teacher_for(arm):
            if teacher is None:
                field = "method" if spec.live is None else "live"
                raise UserError(
                    f"distillation.{field}: runs the teacher in training, but the step was given "
                    "none; give it teacher and teacher_digest"
                )
            _, network = open_teacher(teacher, teacher_digest, store, data)
            online = {"teacher": str(teacher.absolute()), "teacher_digest": teacher_digest}
            request = request.model_copy(update=online)
        if arm == "student":
            check_layers(model, spec, data.manifest.input, len(data.manifest.classes), network)
        return launching.train(request, output)


def _with_size(
    student: StudentSpec,
    search: SizeSearchSpec,
    arm: str,
    gates: dict[str, Any] | None,
    network_of: Path | None,
    network_of_digest: str,
) -> StudentSpec:
    """The section ``student`` with what its search has to find, or with what it has found.

    Raises:
        UserError: something that is needed was not given.
    """
    if arm != "student":
        if network_of is None:
            raise UserError(
                f"student.search: the {arm} arm takes the network that was found for the student; "
                "give the step network_of and network_of_digest"
            )
        model = read_bundle(network_of, network_of_digest).model
        return student.model_copy(update={"model": model, "search": None})
    needed = search.needed(parse_section(Gates, gates, "gates")) if gates else search.agreement
    if needed is None:
        raise UserError(
            "student.search: nothing says which size is enough; give the step gates with "
            "agreement, retention or accuracy, or set student.search.agreement"
        )
    return student.model_copy(update={"search": search.model_copy(update={"agreement": needed})})


def _sections_of(
    stage: int, student: dict[str, Any], distillation: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections ``student`` and ``distillation`` of one that learns before the student.

    Raises:
        UserError: the sections are not valid, or there are not so many.
    """
    before = stages(
        parse_section(StudentSpec, student, "student"),
        parse_section(DistillationSpec, distillation, "distillation"),
    )
    if stage >= len(before):
        raise UserError(
            f"stage is {stage}, but distillation.assistants and generations make {len(before)} "
            "that learn before the student"
        )
    spec, learning = before[stage]
    return (
        spec.model_dump(mode="json", exclude_none=True),
        learning.model_dump(mode="json", exclude_none=True),
    )


def _import_teacher(
    data: Dataset, spec: BundleTeacher, output: Path, ensemble: EnsembleTeacher | None
) -> ModelBundle:
    """Copy a bundle into the artifact; everything about it is checked before it is there."""
    source = open_storage(spec.uri)
    with new_directory(output) as temporary:
        for name in (BUNDLE, WEIGHTS):
            try:
                with source.open(name) as found, (temporary / name).open("wb") as copy:
                    shutil.copyfileobj(found, copy)
            except FileNotFoundError as error:
                raise UserError(f"{spec.uri} is not a model bundle: it has no {name}") from error
        try:
            bundle, _ = load_network(temporary)
        except UserError as error:  # of the copy, which is of no interest to anybody
            raise UserError(str(error).replace(str(temporary), spec.uri.rstrip("/"))) from error
        check_classes(bundle, data.manifest.classes, some=ensemble is not None)
        check_input(bundle, data.manifest.input)
        if ensemble and ensemble.judged and bundle.dataset_digest == data.manifest.digest:
            raise UserError(
                f"{spec.uri} was trained on this data set's labelled rows, so that they cannot "
                f"judge it; with teacher.weighting: {ensemble.weighting} train it in the run "
                "(source: train), or set weighting to fixed"
            )
    return bundle
