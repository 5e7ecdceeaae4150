"""The soft-label steps, free of KFP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.shared import events
from components.shared.bundle import ASSISTANT, ModelBundle
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.lineage import Stage
from components.shared.recipe import EnsembleTeacher, parse_section
from components.shared.soft_labels import SoftLabelWriter, StoreManifest
from components.shared.storage import open_storage
from components.shared.teacher import read_teacher
from components.soft_labels.combining import combine, way_of
from components.soft_labels.job import LabellingJob
from components.soft_labels.place import Place, location_of
from components.soft_labels.stores import Stores, open_store
from components.soft_labels.trust import check_accuracy


def generate_soft_labels(
    dataset: Path,
    dataset_digest: str,
    teacher: Path,
    teacher_digest: str,
    labelling: dict[str, Any],
    storage: str,
    output: Path,
    of_several: bool = False,
) -> StoreManifest:
    """Label what is not labelled yet, check the teacher by it, and seal the store.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        teacher: artifact of the teacher.
        teacher_digest: its content hash.
        labelling: the recipe's section.
        storage: the recipe's ``storage``; empty where the labels stay with the run.
        output: artifact of the store, with the labels or with where they are.
        of_several: whether it is one of several teachers, and may know only some of the classes.

    Returns:
        The manifest of the artifact.

    Raises:
        SystemExit: with status 2, where teacher, data and recipe do not fit, or the teacher is not
            good enough; then the artifact has no manifest.
    """
    with events.step("generate_soft_labels"):
        job = LabellingJob.open(
            dataset, dataset_digest, teacher, teacher_digest, labelling, storage, of_several
        )
        place = Place(storage, output, job.identity)
        job.label(job.pieces, place.writer)
        labelled = place.writer.manifest()
        chain = _stages(teacher, labelled.accuracy)
        who = f"assistant {len(chain)}" if chain else "teacher"
        check_accuracy(labelled, job.spec.min_accuracy, who)
        return place.seal(chain)


def label_shards(
    dataset: Path,
    dataset_digest: str,
    teacher: Path,
    teacher_digest: str,
    labelling: dict[str, Any],
    storage: str,
    worker: int,
    of_several: bool = False,
) -> int:
    """Label one worker's share of the shards, without sealing the store.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        teacher: artifact of the teacher.
        teacher_digest: its content hash.
        labelling: the recipe's section.
        storage: the recipe's ``storage``.
        worker: which of ``labelling.workers``, from 0.
        of_several: whether it is one of several teachers, and may know only some of the classes.

    Returns:
        Rows that the teacher labelled; fewer than the share's where shards were whole already.

    Raises:
        SystemExit: with status 2, where teacher, data and recipe do not fit.
    """
    with events.step(f"label_shards_{worker}"):
        if not storage:
            raise UserError("storage is empty, but workers need a place for labels that all see")
        job = LabellingJob.open(
            dataset, dataset_digest, teacher, teacher_digest, labelling, storage, of_several
        )
        kept = open_storage(location_of(storage, job.identity))
        return job.label(job.share(worker), SoftLabelWriter(kept, job.identity))


def combine_soft_labels(
    dataset: Path,
    dataset_digest: str,
    teacher: dict[str, Any],
    stores: Sequence[tuple[Path, str]],
    storage: str,
    output: Path,
) -> StoreManifest:
    """Make one store of what several teachers say.

    Args:
        dataset: resolved data set.
        dataset_digest: its content digest.
        teacher: the recipe's section ``teacher``, of source ``ensemble``.
        stores: of each teacher in the order of the recipe, with their identities; of the same rows
            and views.
        storage: the recipe's ``storage``; empty where the labels stay with the run.
        output: artifact of the store, with the labels or with where they are.

    Returns:
        The manifest of the artifact.

    Raises:
        SystemExit: with status 2, where a store is damaged, they do not fit together, or teachers
            cannot be weighed.
    """
    with events.step("combine_soft_labels"):
        data = Dataset.open(dataset, dataset_digest).manifest
        spec = parse_section(EnsembleTeacher, teacher, "teacher")
        if len(stores) != len(spec.members):
            raise UserError(
                f"teacher.members has {len(spec.members)} teachers, but there are labels of "
                f"{len(stores)}; compile the recipe again"
            )
        opened = [open_store(folder, data.digest, digest) for folder, digest in stores]
        together = Stores(opened, data.classes)
        way = way_of(spec, together)
        place = Place(storage, output, way.identity)
        combine(together, way, place.writer)
        check_accuracy(place.writer.manifest(), least=0)
        return place.seal()


def _stages(teacher: Path, accuracy: float | None) -> list[Stage]:
    """The stages up to this one, where it is an assistant that labelled."""
    described = read_teacher(teacher)
    if not isinstance(described, ModelBundle) or described.role != ASSISTANT:
        return []
    return [*described.assistants, described.as_stage(accuracy)]


def metadata(manifest: StoreManifest) -> dict[str, Any]:
    """What the artifact of a store says of it in KFP's metadata."""
    known = {} if manifest.accuracy is None else {"teacher_accuracy": manifest.accuracy}
    return {
        "digest": manifest.identity.digest,
        "rows": manifest.rows,
        "labelled_rows": manifest.labelled,
        **known,
    }
