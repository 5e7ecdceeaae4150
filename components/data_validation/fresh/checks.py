"""Whether models can predict for fresh rows: every feature is there, every label a known class."""

from pathlib import Path

import numpy as np

from components.data_validation.features import FaultName, Features, read_features
from components.shared.blocks import read_blocks
from components.shared.dataset import DatasetManifest
from components.shared.errors import UserError

_CHUNK = 8192
_WORDS: dict[FaultName, str] = {
    "missing": "is missing",
    "nan": "is NaN",
    "infinite": "is infinite, or too large for 32-bit floats",
    "unknown_category": "is none of its categories",
}


def check_rows(manifest: DatasetManifest, folder: Path) -> None:
    """Look at all rows that are in a split, in bounded memory.

    Args:
        manifest: of the fresh rows.
        folder: where it lies.

    Raises:
        UserError: a feature is missing, NaN or infinite, an image cannot be read, or a label is not
            one of the classes; names the first such row by file, position and id, and counts them.
    """
    faulty, first = 0, ""
    for block in read_blocks(manifest, folder, manifest.meaningful, _CHUNK):
        kept = block.of(("test", "unlabelled"))
        kept.labels()
        faults = _faults(read_features(kept.table, manifest.input))
        if faults and not faulty:
            row = min(faults)
            first = f"{kept.where(row)}: {faults[row]}"
        faulty += len(faults)
    if faulty:
        rows = "1 row has" if faulty == 1 else f"{faulty:,} rows have"
        raise UserError(
            f"{first}; in all, {rows} a feature that no model can predict from. Fill or correct "
            "the values, or remove the rows"
        )


def _faults(features: Features) -> dict[int, str]:
    """What is wrong with the first faulty feature of each row that has one."""
    found = {row: f"{features.columns[0]} {reason}" for row, reason in features.unreadable.items()}
    for fault, column, rows in features.faults():
        for row in np.flatnonzero(rows).tolist():
            found.setdefault(row, f"{column} {_WORDS[fault]}")
    return found
