"""The training steps, free of KFP."""

import shutil
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import TypeAdapter

from components.shared import events
from components.shared.bundle import (
    BUNDLE,
    WEIGHTS,
    ModelBundle,
    check_classes,
    check_input,
    load_network,
    save_bundle,
)
from components.shared.dataset import Dataset
from components.shared.device import compute_device, make_repeatable
from components.shared.errors import UserError
from components.shared.files import new_directory
from components.shared.networks import Classifier
from components.shared.recipe import (
    BundleTeacher,
    DistillationSpec,
    StudentSpec,
    TrainedTeacher,
    parse_section,
)
from components.shared.soft_labels import SoftLabels
from components.shared.storage import local_path, open_storage
from components.shared.training.objectives import cross_entropy
from components.shared.training.trainer import fit
from components.training.arms import Arm, Problem, standardisation, train_arm


def train_teacher(
    dataset: Path, dataset_digest: str, teacher: dict[str, Any], seed: int, output: Path
) -> ModelBundle:
    """Train the teacher on the labelled rows, or take over one that exists.

    Raises:
        SystemExit: with status 2, for a mistake in the recipe, the data or the given bundle.
    """
    with events.step("train_teacher"):
        data = Dataset.open(dataset, dataset_digest)
        if teacher.get("source") == "bundle":
            return _import_teacher(data, parse_section(BundleTeacher, teacher, "teacher"), output)
        return _train_teacher(data, parse_section(TrainedTeacher, teacher, "teacher"), seed, output)


def train_student(
    dataset: Path,
    dataset_digest: str,
    soft_labels_uri: str,
    soft_labels_digest: str,
    arm: str,
    student: dict[str, Any],
    distillation: dict[str, Any],
    seed: int,
    output: Path,
) -> ModelBundle:
    """Train one arm: the student, or one of the two baselines.

    Raises:
        SystemExit: with status 2, for a mistake in the recipe, the data or the store.
    """
    with events.step(f"train_{arm}"):
        if arm not in get_args(Arm):
            raise UserError(f"arm: should be one of {', '.join(get_args(Arm))}, not {arm!r}")
        data = Dataset.open(dataset, dataset_digest)
        rows = data.load("labelled", "unlabelled")
        classes = data.manifest.classes
        store = SoftLabels.read(
            open_storage(soft_labels_uri),
            dataset_digest=data.manifest.digest,
            classes=classes,
            digest=soft_labels_digest,
        )
        device = compute_device()
        inputs = torch.from_numpy(rows.inputs).to(device)
        problem = Problem(
            student=parse_section(StudentSpec, student, "student"),
            distillation=parse_section(DistillationSpec, distillation, "distillation"),
            input=data.manifest.input,
            preprocessing=standardisation(inputs),
            inputs=inputs,
            labels=torch.from_numpy(rows.labels).to(device),
            teacher_logits=torch.from_numpy(store.logits(rows.ids)).to(device),
            classes=len(classes),
            seed=seed,
        )
        make_repeatable(problem.student.training.threads)
        trained = train_arm(TypeAdapter(Arm).validate_python(arm), problem)
        return save_bundle(
            output,
            trained.network,
            role=arm,
            model=problem.student.model,
            input=problem.input,
            preprocessing=problem.preprocessing,
            classes=classes,
            seed=seed,
            dataset_digest=data.manifest.digest,
            soft_labels_digest=None if arm == "hard_label" else store.identity.digest,
            selection=trained.selection,
            curve=trained.curve,
        )


def _train_teacher(data: Dataset, spec: TrainedTeacher, seed: int, output: Path) -> ModelBundle:
    make_repeatable(spec.training.threads)
    rows = data.load("labelled", "unlabelled")
    preprocessing = standardisation(torch.from_numpy(rows.inputs))
    labelled, device = rows.labels >= 0, compute_device()
    inputs = torch.from_numpy(rows.inputs[labelled]).to(device)
    labels = torch.from_numpy(rows.labels[labelled]).to(device)
    torch.manual_seed(seed)
    network = Classifier.build(
        spec.model, data.manifest.input, preprocessing, len(data.manifest.classes)
    ).to(device)
    curve = fit(
        network,
        inputs,
        lambda logits, rows: cross_entropy(logits, labels[rows]),
        spec.training,
        seed,
        label="teacher",
    )
    return save_bundle(
        output,
        network,
        role="teacher",
        model=spec.model,
        input=data.manifest.input,
        preprocessing=preprocessing,
        classes=data.manifest.classes,
        seed=seed,
        dataset_digest=data.manifest.digest,
        soft_labels_digest=None,
        selection=None,
        curve=curve,
    )


def _import_teacher(data: Dataset, spec: BundleTeacher, output: Path) -> ModelBundle:
    """Copy a bundle into the artifact, after everything about it was checked."""
    source = local_path(spec.uri)
    bundle, _ = load_network(source)
    check_classes(bundle, data.manifest.classes)
    check_input(bundle, data.manifest.input)
    with new_directory(output) as temporary:
        for name in (BUNDLE, WEIGHTS):
            shutil.copyfile(source / name, temporary / name)
    return bundle
