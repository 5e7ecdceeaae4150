"""What each process of a training does: open the rows, train, and, in the first one, write the
bundle."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from pydantic_core import to_jsonable_python

from components.shared import events
from components.shared.bundle import save_bundle
from components.shared.dataset import Dataset
from components.shared.device import compute_device, make_repeatable
from components.shared.held_out import HeldOut
from components.shared.networks import Classifier
from components.shared.networks.checking import ROWS, check_model
from components.shared.networks.settling import settled
from components.shared.preprocessing import Preprocessing
from components.shared.recipe import DistillationSpec, StudentSpec, TrainedTeacher, parse_section
from components.shared.recipe.models import OUTSIDE, ModelSpec
from components.shared.soft_labels import SoftLabels
from components.shared.training.checkpoints import Checkpoints, kept_in
from components.shared.training.distributed import ranks
from components.shared.training.objectives import cross_entropy
from components.shared.training.rows import TrainingRows
from components.shared.training.rows.opening import labels_digest, memory_limit, open_rows
from components.shared.training.trainer import fit
from components.training.arms import train_arm
from components.training.embeddings import what_learns
from components.training.online import open_teacher
from components.training.problem import Problem
from components.training.request import ArmRequest, TeacherRequest, TrainingRequest

Publish = Callable[[Path], None]


def train(request: TrainingRequest, output: Path, publish: Publish = lambda _: None) -> None:
    """Train what is asked for, alone or together with the processes that have joined.

    Args:
        request: with its inputs in folders of this machine.
        output: folder for the bundle, which the first process writes.
        publish: is called with that before the checkpoints go.

    Raises:
        UserError: a mistake in the recipe, the data or the store.
        Terminated: after SIGTERM.
    """
    if isinstance(request, TeacherRequest):
        _train_teacher(request, output, publish)
    else:
        _train_arm(request, output, publish)


def open_labels(request: ArmRequest, data: Dataset) -> SoftLabels:
    """The soft-label store of a request.

    Raises:
        UserError: it is not that of the data set, or not the one that was asked for.
    """
    return SoftLabels.open(
        Path(request.soft_labels),
        dataset_digest=data.manifest.digest,
        classes=data.manifest.classes,
        digest=request.soft_labels_digest,
    )


def _train_arm(request: ArmRequest, output: Path, publish: Publish) -> None:
    data = Dataset.open(Path(request.dataset), request.dataset_digest)
    store = open_labels(request, data)
    student = parse_section(StudentSpec, request.student, "student")
    student = student.model_copy(update={"model": settled(student.model)})
    distillation = parse_section(DistillationSpec, request.distillation, "distillation")
    labelled_only = request.arm == "hard_label"
    learned_from = None if labelled_only else store.identity.digest
    subject = {
        "role": request.role,
        "dataset": data.manifest.digest,
        "soft_labels": labels_digest(store) if learned_from else None,
        "views": store.identity.views,  # of which the hard-label arm learns too
        "seed": request.seed,
        "spec": [student, distillation],
        **({"teacher": request.teacher_digest} if request.teacher else {}),
    }
    with _checkpoints(request.storage, subject) as checkpoints:
        make_repeatable(student.training.threads)
        device = compute_device()
        opened = open_rows(data, store, device, labelled_only=labelled_only)
        problem = Problem(
            student=student,
            distillation=distillation,
            input=data.manifest.input,
            preprocessing=opened.preprocessing,
            rows=opened.rows,
            classes=len(data.manifest.classes),
            seed=request.seed,
            slot=checkpoints.slot,
            teacher=_online_teacher(request, store, data, device),
        )
        _check_model(student.model, data, opened.rows, opened.preprocessing)
        trained = train_arm(request.arm, problem)
        _save(
            output,
            trained.network,
            publish,
            checkpoints,
            role=request.role,
            model=trained.model,
            input=problem.input,
            preprocessing=problem.preprocessing,
            classes=data.manifest.classes,
            seed=request.seed,
            dataset_digest=data.manifest.digest,
            soft_labels_digest=learned_from,
            assistants=store.manifest.assistants if learned_from else [],
            selection=trained.selection,
            curve=trained.curve,
            fit=trained.fit,
        )


def _online_teacher(
    request: ArmRequest, store: SoftLabels, data: Dataset, device: torch.device
) -> Classifier | None:
    """The teacher on the device of the rows, where the method runs it."""
    if request.teacher is None or request.teacher_digest is None:
        return None
    _, network = open_teacher(Path(request.teacher), request.teacher_digest, store, data)
    return network.to(device)


def _train_teacher(request: TeacherRequest, output: Path, publish: Publish) -> None:
    data = Dataset.open(Path(request.dataset), request.dataset_digest)
    spec = parse_section(TrainedTeacher, request.teacher, "teacher")
    spec = spec.model_copy(update={"model": settled(spec.model)})
    subject = {
        "role": "teacher",
        "dataset": data.manifest.digest,
        "seed": request.seed,
        "spec": spec,
        **({"held_out": request.held_out} if request.held_out else {}),
    }
    with _checkpoints(request.storage, subject) as checkpoints:
        make_repeatable(spec.training.threads)
        device = compute_device()
        rows, preprocessing = open_rows(data, None, device, labelled_only=True)
        rows = _seen(rows, request.held_out)
        _check_model(spec.model, data, rows, preprocessing)
        torch.manual_seed(request.seed)
        network = Classifier.build(
            spec.model, data.manifest.input, preprocessing, len(data.manifest.classes)
        ).to(device)
        learner, learned = what_learns(network, rows)
        curve = fit(
            learner,
            learned,
            lambda logits, batch, _progress: cross_entropy(logits, batch.labels),
            spec.training,
            request.seed,
            label="teacher",
            slot=checkpoints.slot("final"),
        )
        _save(
            output,
            network.eval(),
            publish,
            checkpoints,
            role="teacher",
            model=spec.model,
            input=data.manifest.input,
            preprocessing=preprocessing,
            classes=data.manifest.classes,
            seed=request.seed,
            dataset_digest=data.manifest.digest,
            soft_labels_digest=None,
            selection=None,
            curve=curve,
        )


def _seen(rows: TrainingRows, held_out: float) -> TrainingRows:
    """Labelled rows without a share of them; see :mod:`components.shared.held_out`."""
    if not held_out:
        return rows
    unseen = HeldOut(held_out).of(rows.labels().numpy())
    events.emit("held_out", rows=int(unseen.sum()), of=len(rows))
    return rows.part(torch.from_numpy(~unseen))


def _check_model(
    spec: ModelSpec, data: Dataset, rows: TrainingRows, preprocessing: Preprocessing
) -> None:
    """Look at a model that is not built in, on some rows, before it is trained."""
    if spec.family not in OUTSIDE:
        return
    classes = len(data.manifest.classes)
    check_model(
        lambda: Classifier.build(spec, data.manifest.input, preprocessing, classes).to(rows.device),
        next(rows.in_order(ROWS)).inputs,
        classes,
    )


def _checkpoints(storage: str, subject: dict[str, Any]) -> AbstractContextManager[Checkpoints]:
    """The checkpoints of a step; what weights depend on beside the subject is added to it."""
    environment = {
        "torch": torch.__version__,
        "device": str(compute_device()),
        "rows_in_memory": memory_limit(),
    }
    return kept_in(storage, to_jsonable_python({**subject, "environment": environment}))


def _save(
    output: Path,
    network: Classifier,
    publish: Publish,
    checkpoints: Checkpoints,
    **fields: Any,
) -> None:
    if ranks().first:
        save_bundle(output, network, **fields)
        publish(output)
        checkpoints.delete()
