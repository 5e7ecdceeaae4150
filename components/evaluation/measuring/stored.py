"""A teacher that was not run here, among the models that are measured: its stored predictions."""

from dataclasses import dataclass
from pathlib import Path

from components.evaluation.measuring.metrics import Probabilities
from components.shared.dataset import DatasetManifest, Rows
from components.shared.errors import UserError
from components.shared.predictions import PREDICTIONS, PredictionsRecord, StoredPredictions


@dataclass(frozen=True)
class StoredModel:
    """Predictions, ready to be looked up."""

    predictions: StoredPredictions

    @property
    def record(self) -> PredictionsRecord:
        """Whose they are."""
        return self.predictions.record

    def predict(self, rows: Rows) -> Probabilities:
        """Class probabilities of test rows that follow each other, shape (rows, classes).

        Raises:
            UserError: there are none for a row.
        """
        return self.predictions.of(rows)


def has_predictions(folder: Path) -> bool:
    """Whether a folder holds predictions, and no deployable model."""
    return (folder / PREDICTIONS).is_file()


def open_stored(folder: Path, manifest: DatasetManifest) -> StoredModel:
    """Open the predictions of a teacher.

    Raises:
        UserError: they are damaged, or of another data set.
    """
    predictions = StoredPredictions.open(folder)
    record = predictions.record
    if record.dataset_digest != manifest.digest or record.classes != manifest.classes:
        raise UserError(
            f"the teacher's predictions are of the data set {record.dataset_digest[:12]}, and this "
            f"one is {manifest.digest[:12]}; label again"
        )
    return StoredModel(predictions)
