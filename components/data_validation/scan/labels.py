"""Labels of some rows as numbers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.blocks import Block
from components.shared.dataset import NO_LABEL, SPLITS, label_name

NONE, FOREIGN = -1, -2
"""Stand for a label that is missing or hidden, and for one that is no class."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Labels of some rows; those of the unlabelled split are hidden."""

    codes: Numbers
    """Class index of each row, ``NONE`` or ``FOREIGN``; shape (rows,)."""
    names: list[str | None]
    """The different values."""
    indices: Numbers
    """Which of ``names`` each row has; shape (rows,)."""

    def name(self, row: int) -> str | None:
        """The label of a row, ``None`` where it is missing or hidden."""
        return None if self.codes[row] == NONE else self.names[self.indices[row]]


def read_labels(block: Block) -> Labels:
    """The labels of a block, without failing on those that are no class."""
    manifest = block.manifest
    if manifest.label == NO_LABEL:
        nothing = np.zeros(len(block.splits), np.int64)
        return Labels(nothing + NONE, [None], nothing)
    column = block.table.column(manifest.label).combine_chunks()
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    index = {name: position for position, name in enumerate(manifest.classes)}
    names = [*(label_name(value) for value in encoded.dictionary.to_pylist()), None]
    codes = [NONE if name is None else index.get(name, FOREIGN) for name in names]
    indices = encoded.indices.cast(pa.int64()).fill_null(len(names) - 1).to_numpy()
    found = np.asarray(codes, dtype=np.int64)[indices]
    found[block.splits == SPLITS.index("unlabelled")] = NONE
    return Labels(found, names, indices)
