"""A data set, and a teacher that is to label it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from components.shared import events
from components.shared.dataset import Dataset
from components.shared.errors import UserError
from components.shared.pieces import pieces_of, share_of
from components.shared.recipe.labelling import LabellingSpec
from components.shared.recipe.loading import parse_section
from components.shared.soft_labels import SoftLabelWriter, StoreIdentity
from components.shared.training.augmentation import column_noise
from components.shared.training.statistics import streamed_standardisation
from components.soft_labels.batching import BatchedTeacher
from components.soft_labels.labelling import Numbered, label_pieces
from components.soft_labels.planning import store_identity
from components.soft_labels.teachers.opening import check_teacher, open_teacher

_SCALE_ROWS = 65_536


class LabellingJob(NamedTuple):
    """What is to be labelled, by whom, and how."""

    spec: LabellingSpec
    identity: StoreIdentity
    pieces: list[Numbered]
    teacher: BatchedTeacher
    data: Dataset

    @classmethod
    def open(
        cls,
        dataset: Path,
        dataset_digest: str,
        teacher: Path,
        teacher_digest: str,
        labelling: dict[str, Any],
        storage: str,
        of_several: bool = False,
    ) -> "LabellingJob":
        """Open data and teacher, and check that they and the recipe fit.

        Args:
            dataset: resolved data set.
            dataset_digest: its content digest.
            teacher: artifact of the teacher.
            teacher_digest: its content hash.
            labelling: the recipe's section.
            storage: the recipe's ``storage``.
            of_several: whether it is one of several teachers, and may know only some of the
                classes.

        Raises:
            UserError: they do not.
        """
        spec = parse_section(LabellingSpec, labelling, "labelling")
        if spec.workers > 1 and not storage:
            raise UserError(
                f"labelling.workers is {spec.workers}, but storage is empty: workers need a place "
                "for labels that all see; set storage to an s3:// URI or a shared folder"
            )
        data = Dataset.open(dataset, dataset_digest)
        opened = open_teacher(teacher, teacher_digest)
        check_teacher(teacher, data.manifest, some=of_several)
        identity = store_identity(opened, data.manifest, spec, noise_scale(data, spec))
        pieces = map(Numbered._make, enumerate(pieces_of(data.manifest, identity.piece_rows)))
        return cls(spec, identity, list(pieces), BatchedTeacher(opened), data)

    def share(self, worker: int) -> list[Numbered]:
        """The pieces of one worker of several, from 0."""
        pieces = [each.piece for each in self.pieces]
        mine = set(share_of(pieces, worker, self.spec.workers))
        return [each for each in self.pieces if each.piece in mine]

    def label(self, pieces: Sequence[Numbered], writer: SoftLabelWriter) -> int:
        """Label some pieces; return the rows that the teacher labelled."""
        rows = label_pieces(
            pieces, self.data, self.teacher, self.identity.classes, self.identity.views, writer
        )
        events.emit("labelled", rows=rows, shards=len(pieces), batch_rows=self.teacher.rows)
        return rows


def noise_scale(data: Dataset, spec: LabellingSpec) -> list[float]:
    """Standard deviation of the noise of each column, in the column's unit; 0 for categories.

    It takes a pass over the training rows.

    Raises:
        UserError: there are no training rows.
    """
    tabular = data.manifest.input
    if not spec.views.noise or tabular.kind != "tabular":
        return []
    pieces = pieces_of(data.manifest, _SCALE_ROWS)
    parts = (rows.inputs for rows in data.read_pieces(pieces, "labelled", "unlabelled"))
    spread = streamed_standardisation(parts).std
    if len(spread) != len(tabular.parts):  # nothing has told how many there are
        raise UserError("labelling.views.noise: there are no training rows to take its scale from")
    return column_noise(spec.views.noise, tabular, spread)
