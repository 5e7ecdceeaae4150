"""How many rows are not as they should be, with a few of them as witnesses."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

EXAMPLES = 5
"""Rows of each kind that are remembered."""


@dataclass
class Tally:
    """Rows with one fault."""

    rows: int = 0
    by_column: Counter[str] = field(default_factory=Counter)
    """The same by column, where the fault is one of columns; a row may count in several."""
    examples: list[int] = field(default_factory=list)
    """Positions of the first of them."""
    pairs: list[tuple[int, int]] = field(default_factory=list)
    """Positions of some of them, each with the row that it is equal to."""

    def add(self, mask: npt.NDArray[np.bool_], positions: npt.NDArray[np.int64]) -> None:
        """Count the rows where ``mask`` holds, both of shape (rows,)."""
        self.rows += int(mask.sum())
        room = EXAMPLES - len(self.examples)
        if room > 0:
            self.examples += positions[np.flatnonzero(mask)[:room]].tolist()

    def add_positions(self, positions: npt.NDArray[np.int64]) -> None:
        """Count rows by their positions."""
        self.rows += len(positions)
        self.examples = sorted([*self.examples, *np.sort(positions)[:EXAMPLES].tolist()])[:EXAMPLES]


@dataclass
class Witness:
    """A row of the data, as far as the checks look at it."""

    position: int
    """Its number over the whole data set."""
    id: str | None
    split: str
    label: str | None
    """The class, also one that there is not; null where there is none or it is hidden."""
    notes: dict[str, str] = field(default_factory=dict)
    """What is wrong with it, by column of the frame that Great Expectations sees."""
    smallest: float = np.nan
    """Extremes of its finite features."""
    largest: float = np.nan
