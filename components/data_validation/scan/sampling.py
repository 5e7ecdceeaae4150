"""A random sample of the rows of some splits, whose positions are drawn before they are read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from components.data_validation.quarantine.taken import Positions, Taken

Matrix = npt.NDArray[np.float32]


@dataclass
class Sample:
    """Every row of the splits is in it with the same probability; the same at each run."""

    splits: Sequence[int]
    """Positions in ``SPLITS``."""
    rows: int
    """Rows of these splits."""
    size: int
    """Most rows of the sample."""
    parts: list[Matrix] = field(default_factory=list)
    positions: list[Positions] = field(default_factory=list)
    """Of the rows of each part."""

    def __post_init__(self) -> None:
        generator = np.random.default_rng(self.rows)
        size = min(self.size, self.rows)
        self._chosen = np.sort(generator.choice(self.rows, size, replace=False, shuffle=False))
        self._seen = 0

    def take(
        self, splits: npt.NDArray[np.int64], usable: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int64]:
        """Which of the next rows are in the sample.

        Args:
            splits: of the rows, shape (rows,).
            usable: rows that may be in it.
        """
        inside = np.flatnonzero(np.isin(splits, self.splits))
        start, stop = np.searchsorted(self._chosen, [self._seen, self._seen + len(inside)])
        picked = inside[self._chosen[start:stop] - self._seen]
        self._seen += len(inside)
        return picked[usable[picked]]

    def keep(self, values: Matrix, positions: Positions) -> None:
        """Keep what there is to know of the rows that were taken.

        Args:
            values: shape (rows, values).
            positions: of the rows, shape (rows,).
        """
        if len(values):
            self.parts.append(values)
            self.positions.append(positions)

    def drop(self, taken: Taken) -> None:
        """Keep those no longer that are taken out of the data."""
        kept = [~taken.among(positions) for positions in self.positions]
        self.parts = [part[rows] for part, rows in zip(self.parts, kept, strict=True)]
        self.positions = [part[rows] for part, rows in zip(self.positions, kept, strict=True)]

    @property
    def values(self) -> Matrix:
        """All of it, shape (rows, values)."""
        return np.concatenate(self.parts) if self.parts else np.zeros((0, 0), np.float32)
