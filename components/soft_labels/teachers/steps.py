"""The steps that make a teacher artifact without training, free of KFP."""

import math
from pathlib import Path
from typing import Any

from components.shared import events
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.files import new_directory, write_atomically
from components.shared.recipe import parse_section
from components.shared.recipe.teacher import (
    BundleTeacher,
    EndpointTeacher,
    EnsembleTeacher,
    MlflowTeacher,
    OneTeacher,
    OnnxTeacher,
    TrainedTeacher,
    shares,
)
from components.shared.soft_labels import SoftLabels, StoreIdentity
from components.shared.teacher import TEACHER, EnsembleMember, EnsembleModel, TeacherRecord
from components.soft_labels.teachers.importing import Foreign, import_foreign

_FOREIGN: dict[object, type[Foreign]] = {
    "mlflow": MlflowTeacher,
    "onnx": OnnxTeacher,
    "endpoint": EndpointTeacher,
}
_ROUNDING = 1e-6
"""Of weights that were multiplied while stores were combined."""


def import_teacher(
    dataset: Path,
    dataset_digest: str,
    teacher: dict[str, Any],
    tracking_uri: str,
    output: Path,
    of_several: bool = False,
) -> TeacherRecord:
    """Take over a teacher that was not made here, checked against the data set.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        teacher: the recipe's section ``teacher``, of source ``mlflow``, ``onnx`` or ``endpoint``.
        tracking_uri: of MLflow; empty for the environment's ``MLFLOW_TRACKING_URI``.
        output: folder for the teacher artifact.
        of_several: whether it is one of several teachers, and may know only some of the classes.

    Raises:
        SystemExit: with status 2, for a mistake in the recipe, or a model that cannot be used.
        StorageFailed: where the model is kept was out of reach.
        EndpointFailed: the endpoint was.
    """
    with events.step("import_teacher"):
        data = Dataset.open(dataset, dataset_digest)
        kind = _FOREIGN.get(teacher.get("source"))
        if kind is None:
            raise UserError(
                f"teacher.source: should be one of {', '.join(map(str, _FOREIGN))} here, not "
                f"{teacher.get('source')!r}"
            )
        spec = parse_section(kind, teacher, "teacher")
        record = import_foreign(spec, data, tracking_uri, output, some=of_several)
        events.emit("imported", teacher=record.in_words, digest=record.digest)
        return record


def describe_ensemble(
    dataset: Path,
    dataset_digest: str,
    teacher: dict[str, Any],
    soft_labels: Path,
    soft_labels_digest: str,
    output: Path,
) -> TeacherRecord:
    """Write the artifact of several teachers, whose labels are combined in a store.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        teacher: the recipe's section ``teacher``, of source ``ensemble``.
        soft_labels: the combined store.
        soft_labels_digest: its identity.
        output: folder for the teacher artifact.

    Raises:
        SystemExit: with status 2, where the store is not of these teachers.
    """
    with events.step("describe_ensemble"):
        data = Dataset.open(dataset, dataset_digest).manifest
        store = SoftLabels.open(
            soft_labels,
            dataset_digest=data.digest,
            classes=data.classes,
            digest=soft_labels_digest,
        )
        spec = parse_section(EnsembleTeacher, teacher, "teacher")
        wanted, found = shares(spec), store.identity.teachers
        _check_same(spec, store.identity)
        members = [
            EnsembleMember(
                digest=one.digest,
                weight=one.weight,
                described=_in_words(share.teacher) + _part_known(number, store.identity),
            )
            for number, (one, share) in enumerate(zip(found, wanted, strict=True))
        ]
        record = TeacherRecord(
            source="the recipe",
            classes=data.classes,
            input=data.input,
            preprocessing=None,
            model=EnsembleModel(
                members=members,
                soft_labels_digest=store.identity.digest,
                weighting=spec.weighting,
            ),
        )
        with new_directory(output) as folder:
            write_atomically(folder / TEACHER, record.model_dump_json(indent=2))
        return record


def _check_same(spec: EnsembleTeacher, identity: StoreIdentity) -> None:
    """Refuse a store that others were combined to, or otherwise."""
    wanted = [share.weight for share in shares(spec)]
    weights = [one.weight for one in identity.teachers]
    weighting = identity.combination.weighting if identity.combination else "fixed"
    if len(weights) == len(wanted) and weighting == spec.weighting != "fixed":
        return
    same = len(weights) == len(wanted) and all(
        math.isclose(one, other, abs_tol=_ROUNDING)
        for one, other in zip(weights, wanted, strict=True)
    )
    if not same or weighting != spec.weighting:
        raise UserError(
            f"the soft-label store is of teachers with the weights {_list(weights)} "
            f"({weighting}), not {_list(wanted)} ({spec.weighting})"
        )


def _part_known(member: int, identity: StoreIdentity) -> str:
    """What of the classes a member knows, where that is not all."""
    known = identity.combination.known[member] if identity.combination else identity.classes
    if len(known) == len(identity.classes):
        return ""
    return f" ({len(known)} of {len(identity.classes)} classes)"


def _in_words(teacher: OneTeacher) -> str:
    if isinstance(teacher, TrainedTeacher):
        return f"a {teacher.model.family} trained in the run"
    if isinstance(teacher, BundleTeacher):
        return f"the bundle {teacher.uri}"
    if isinstance(teacher, EndpointTeacher):
        return f"{teacher.model} behind {teacher.url}"
    return teacher.uri


def _list(weights: list[float]) -> str:
    return ", ".join(f"{weight:.4g}" for weight in weights)
