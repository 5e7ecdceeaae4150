"""The compression step, free of KFP."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from components.compression.candidate_set import CandidateMaker
from components.compression.deploying import FormNotMade, Inputs, write_deployable
from components.compression.forms import Student, float32
from components.compression.recovery import Recovery, loss_of
from components.compression.sampling import random_rows, training_inputs
from components.compression.teacher_arm import write_teacher_arm
from components.shared import events
from components.shared.bundle import load_network
from components.shared.candidates import CandidateSet
from components.shared.dataset import Dataset
from components.shared.device import compute_device, make_repeatable
from components.shared.errors import UserError
from components.shared.recipe import (
    CompressionSpec,
    StudentSpec,
    parse_section,
)
from components.shared.soft_labels import SoftLabels
from components.shared.teacher import TeacherRecord, read_teacher
from components.shared.training.rows.opening import open_rows

_CHECKED_ROWS = 1_000

Located = tuple[Path, str]
"""A model bundle, a teacher artifact or a soft-label store, and its content hash."""


def compress(
    dataset: Path,
    dataset_digest: str,
    soft_labels: Located,
    teacher_labels: Located,
    bundles: Mapping[str, Located],
    student_spec: dict[str, Any],
    compression: dict[str, Any],
    seed: int,
    candidates: Path,
    outputs: Mapping[str, Path],
) -> CandidateSet:
    """Make every form of the student that the recipe asks for, and export the other arms.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        soft_labels: soft-label store that the student learned from; read if a form learns on.
        teacher_labels: the teacher's; read if the teacher is no file.
        bundles: model bundle of each arm; ``student`` and ``teacher`` must be among them, and the
            teacher's may be any teacher artifact.
        student_spec: the recipe's section ``student``.
        compression: the recipe's section ``compression``.
        seed: seed of the rows to calibrate and check with, and of the order of rows in recovery.
        candidates: folder for the candidate set.
        outputs: folder for the deployable model of each arm but the student; for the predictions
            of a teacher that is no file.

    Raises:
        SystemExit: with status 2, for a mistake in recipe, data or store, or where a bundle cannot
            be read, or exported as float32.
    """
    with events.step("compress_student"):
        specs = parse_section(CompressionSpec, compression, "compression").candidates
        training = parse_section(StudentSpec, student_spec, "student").training
        make_repeatable(training.threads)
        data = Dataset.open(dataset, dataset_digest)
        inputs = training_inputs(data, seed)
        checked = random_rows(inputs, _CHECKED_ROWS, seed)
        teacher_digest = bundles["teacher"][1]
        teacher = read_teacher(*bundles["teacher"])

        def store(located: Located) -> SoftLabels:
            folder, digest = located
            return SoftLabels.open(
                folder,
                dataset_digest=data.manifest.digest,
                classes=data.manifest.classes,
                digest=digest,
            )

        for arm, folder in outputs.items():
            if arm == "teacher" and isinstance(teacher, TeacherRecord):
                write_teacher_arm(bundles[arm][0], teacher, data, store(teacher_labels), folder)
                continue
            learned_from = None if arm == "teacher" else teacher_digest
            _export(arm, bundles[arm], checked, learned_from, folder)
        bundle, network = load_network(*bundles["student"])

        def recovery() -> Recovery:
            rows = open_rows(data, store(soft_labels), compute_device()).rows
            return Recovery(rows, loss_of(bundle), training, seed)

        student = Student(network, inputs, seed, recovery)
        try:
            return CandidateMaker(student, bundle, checked, teacher_digest).write(candidates, specs)
        except FormNotMade as error:
            raise _broken("student", error) from error


def _export(
    arm: str, located: Located, checked: Inputs, teacher_digest: str | None, folder: Path
) -> None:
    bundle, network = load_network(*located)
    try:
        deployable, _, _ = write_deployable(
            folder, partial(float32, network), bundle, checked, teacher_digest
        )
    except FormNotMade as error:
        raise _broken(arm, error) from error
    events.emit(
        "exported",
        arm=arm,
        max_difference=deployable.max_difference,
        rows=deployable.checked_rows,
    )


def _broken(arm: str, error: FormNotMade) -> UserError:
    return UserError(f"the ONNX file of {arm} cannot be used: {error}")
