"""What a model that is not deployed said of the test rows, to be measured beside the others.

A folder with ``predictions.arrow``: id and probabilities of each test row, in the order of the
data; and ``predictions.json``, which says whose they are.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from components.shared.dataset import Rows
from components.shared.errors import UserError
from components.shared.files import new_directory, sha256_file, write_atomically
from components.shared.records import read_record

PREDICTIONS = "predictions.json"
_TABLE = "predictions.arrow"

Array = npt.NDArray[np.float32]


class PredictionsRecord(BaseModel):
    """Whose predictions these are, and of what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    described: str
    """The model, in words."""
    teacher_digest: str
    """Of its record."""
    dataset_digest: str
    classes: list[str]
    rows: int
    sha256: str
    """Of the table."""


class StoredPredictions:
    """Probabilities of the test rows, mapped into memory."""

    def __init__(self, record: PredictionsRecord, table: pa.Table) -> None:
        self.record = record
        self._table = table
        self._positions = table.column("position").to_numpy()

    @classmethod
    def open(cls, folder: Path) -> "StoredPredictions":
        """Open what :func:`write_predictions` wrote.

        Raises:
            UserError: a file is missing or damaged.
        """
        record = read_record(folder / PREDICTIONS, PredictionsRecord, "description of predictions")
        path = folder / _TABLE
        if not path.is_file() or sha256_file(path) != record.sha256:
            raise UserError(f"{path}: not the file that {PREDICTIONS} describes (SHA-256)")
        with pa.memory_map(str(path)) as file:
            return cls(record, pa.ipc.open_file(file).read_all())

    def of(self, rows: Rows) -> Array:
        """Probabilities of rows that follow each other in the data, shape (rows, classes).

        Raises:
            UserError: there are none for a row.
        """
        first = int(np.searchsorted(self._positions, rows.positions[0]))
        part = self._table.slice(first, len(rows))
        wanted = rows.names.cast(pa.string())
        if not part.column("id").equals(wanted):
            known = set(part.column("id").to_pylist())
            name = next(name for name in wanted.to_pylist() if name not in known)
            raise UserError(
                f"{self.record.described} has no prediction for the test row {name!r}; label again"
            )
        chunks = part.column("probabilities").chunks
        values = np.concatenate([chunk.flatten().to_numpy() for chunk in chunks])
        return values.reshape(len(rows), len(self.record.classes))


def write_predictions(
    folder: Path,
    batches: Iterable[tuple[Rows, Array]],
    *,
    described: str,
    teacher_digest: str,
    dataset_digest: str,
    classes: list[str],
) -> PredictionsRecord:
    """Write the probabilities of the test rows; complete or absent.

    Args:
        folder: where they go.
        batches: all test rows in the order of the data, with their logits, shape (rows, classes).
        described: the model, in words.
        teacher_digest: of its record.
        dataset_digest: of the data set.
        classes: in the order of the logits.
    """
    schema = pa.schema(
        {
            "position": pa.int64(),
            "id": pa.string(),
            "probabilities": pa.list_(pa.float32(), len(classes)),
        }
    )
    count = 0
    with new_directory(folder) as temporary:
        path = temporary / _TABLE
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for rows, logits in batches:
                values = pa.array(_softmax(logits).ravel(), pa.float32())
                columns = [
                    pa.array(rows.positions, pa.int64()),
                    rows.names.cast(pa.string()).combine_chunks(),
                    pa.FixedSizeListArray.from_arrays(values, len(classes)),
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema))
                count += len(rows)
        record = PredictionsRecord(
            described=described,
            teacher_digest=teacher_digest,
            dataset_digest=dataset_digest,
            classes=classes,
            rows=count,
            sha256=sha256_file(path),
        )
        write_atomically(temporary / PREDICTIONS, record.model_dump_json(indent=2))
    return record


def _softmax(logits: Array) -> Array:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities
