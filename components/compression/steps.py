"""The compression step, free of KFP."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from components.compression.candidate_set import CandidateMaker
from components.compression.deploying import FormNotMade, Inputs, write_deployable
from components.compression.forms import Student, float32
from components.compression.recovery import Objective, Recovery
from components.compression.sampling import random_rows
from components.shared import events
from components.shared.bundle import ModelBundle, load_network
from components.shared.candidates import CandidateSet
from components.shared.dataset import Dataset, Rows
from components.shared.device import compute_device, make_repeatable
from components.shared.errors import UserError
from components.shared.recipe import (
    CompressionSpec,
    StudentSpec,
    StudentTrainingSpec,
    parse_section,
)
from components.shared.soft_labels import SoftLabels
from components.shared.storage import open_storage

_CHECKED_ROWS = 1_000

Located = tuple[Path, str]
"""A model bundle and its content hash."""


def compress(
    dataset: Path,
    dataset_digest: str,
    soft_labels_uri: str,
    soft_labels_digest: str,
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
        soft_labels_uri: soft-label store of the same data set; read if a form learns on.
        soft_labels_digest: its identity.
        bundles: model bundle of each arm; ``student`` and ``teacher`` must be among them.
        student_spec: the recipe's section ``student``.
        compression: the recipe's section ``compression``.
        seed: seed of the rows to calibrate and check with, and of the order of rows in recovery.
        candidates: folder for the candidate set.
        outputs: folder for the deployable model of each arm but the student.

    Raises:
        SystemExit: with status 2, for a mistake in recipe, data or store, or where a bundle cannot
            be read, or exported as float32.
    """
    with events.step("compress_student"):
        specs = parse_section(CompressionSpec, compression, "compression").candidates
        training = parse_section(StudentSpec, student_spec, "student").training
        make_repeatable(training.threads)
        data = Dataset.open(dataset, dataset_digest)
        rows = data.load("labelled", "unlabelled")
        checked = random_rows(rows.inputs, _CHECKED_ROWS, seed)
        teacher_digest = bundles["teacher"][1]
        for arm, folder in outputs.items():
            learned_from = None if arm == "teacher" else teacher_digest
            _export(arm, bundles[arm], checked, learned_from, folder)
        bundle, network = load_network(*bundles["student"])

        def recovery() -> Recovery:
            store = SoftLabels.read(
                open_storage(soft_labels_uri),
                dataset_digest=data.manifest.digest,
                classes=data.manifest.classes,
                digest=soft_labels_digest,
            )
            return _recovery(bundle, rows, store.logits(rows.ids), training, seed)

        student = Student(network, rows.inputs, seed, recovery)
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


def _recovery(
    bundle: ModelBundle,
    rows: Rows,
    teacher_logits: Inputs,
    training: StudentTrainingSpec,
    seed: int,
) -> Recovery:
    device = compute_device()
    return Recovery(
        inputs=torch.from_numpy(rows.inputs).to(device),
        labels=torch.from_numpy(rows.labels).to(device),
        teacher_logits=torch.from_numpy(teacher_logits).to(device),
        objective=Objective.of(bundle),
        training=training,
        seed=seed,
    )
